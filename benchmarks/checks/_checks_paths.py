"""One thread a process, and the modules of scripts/ importable; imported first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path += [str(BENCHMARKS.parent / "scripts"), str(BENCHMARKS)]
