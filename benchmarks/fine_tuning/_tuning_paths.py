"""One thread a process, and the modules of scripts/ and of other benchmarks importable; imported first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BENCHMARKS = Path(__file__).resolve().parent.parent
for folder in ("", "ablation", "real", "spice", "../scripts"):
    sys.path.append(str(BENCHMARKS / folder))
