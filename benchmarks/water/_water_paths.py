"""One thread a process, and the modules of scripts/ and of the ablation importable; imported first."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
BENCHMARKS = Path(__file__).resolve().parent.parent
sys.path += map(str, (BENCHMARKS, BENCHMARKS / "ablation", BENCHMARKS.parent / "scripts"))
