"""One thread a process, and the modules of scripts/ and of benchmarks/real importable; imported first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BENCHMARKS = Path(__file__).resolve().parent.parent
for folder in (BENCHMARKS, BENCHMARKS / "real", BENCHMARKS.parent / "scripts"):
    sys.path.append(str(folder))
