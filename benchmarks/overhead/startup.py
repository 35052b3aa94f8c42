"""What the start-up hook costs a Python program that doesn't use MACE.

    python benchmarks/overhead/startup.py        # seconds; writes startup.json beside this file

`import_us`: importing `mace_outlier` and its hook, as `python -X importtime` counts it, median of 40 starts.
`miss_ns`: what the hook adds to every further import, measured on the hook itself.
"""

import argparse
import compileall
import json
import platform
import statistics
import subprocess
import sys
import timeit
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from source_commit import PACKAGE, commit_of

from mace_outlier import _boot

HERE = Path(__file__).parent
RUNS = 40


def import_microseconds() -> float:
    """Microseconds that one Python start spends on importing the package and the hook."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True
    )
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()]
    ours = [int(own) for own, _, name in rows if name.strip() in ("mace_outlier", "mace_outlier._boot")]
    if len(ours) != 2:
        sys.exit("the start-up hook is not installed in this environment: pip install . first")
    return sum(ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "startup.json")
    arguments = parser.parse_args()
    compileall.compile_dir(Path(_boot.__file__).parent, quiet=1, maxlevels=0)  # as pip does at an installation
    hook = _boot._Trigger()
    result = {
        "command": "python benchmarks/overhead/startup.py",
        "commit": commit_of(PACKAGE),
        "python": platform.python_version(),
        "runs": RUNS,
        "import_us": statistics.median(import_microseconds() for _ in range(RUNS)),
        "miss_ns": 1e9 * min(timeit.repeat(lambda: hook.find_spec("numpy"), number=100_000, repeat=5)) / 100_000,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(result)


if __name__ == "__main__":
    main()
