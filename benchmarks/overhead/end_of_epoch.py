"""Time of the judgement at the end of an epoch, by the number of configurations.

    python benchmarks/overhead/end_of_epoch.py   # about a minute; writes end_of_epoch.json beside this file

Made-up configurations of one molecule with 64 features: errors of energies that the features explain in part, and of
forces; 15 % of the energies are wrong. Three epochs each (seed 0), the median of the last two: the first finds nothing.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from source_commit import REPOSITORY, commit_of

from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.seen import Seen
from mace_outlier.method.settings import Settings

SIZES = (200, 1_000, 10_000, 100_000)
FEATURES, EPOCHS = 64, 3


def made_up(size: int, rng: np.random.Generator) -> Seen:
    """What an epoch shows of so many configurations."""
    features, difficulty = rng.normal(size=(size, FEATURES)), np.exp(0.2 * rng.normal(size=size))
    wrong = rng.random(size) < 0.15
    energy = features @ rng.normal(size=FEATURES) * 0.005 + 0.01 * difficulty * rng.normal(size=size)
    return Seen(
        errors={"energy": energy + 0.06 * wrong, "forces": 0.1 * difficulty * np.exp(0.1 * rng.normal(size=size))},
        features=features,
        composition={"H": np.full(size, 2 / 3), "O": np.full(size, 1 / 3)},
        atoms=np.full(size, 15.0),
        predicted_force=np.exp(rng.normal(size=size)),
        label_force=np.ones(size),
        conditions=np.zeros((size, 3)),
        times=rng.random(size),
        molecules=np.ones(size, dtype=np.int64),
    )


def seconds_of(size: int) -> float:
    """Median seconds of a judgement."""
    rng, judge, times = np.random.default_rng(0), HeadJudge(Settings()), []
    for _ in range(EPOCHS):
        seen = made_up(size, rng)
        start = time.perf_counter()
        judge.refit(np.arange(size), seen, size)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = []
    for size in arguments.sizes:
        results.append({"configurations": size, "seconds": seconds_of(size)})
        print(results[-1], flush=True)
    versions = {name: version(name) for name in ("numpy", "mace-outlier")} | {"python": platform.python_version()}
    command = f"OMP_NUM_THREADS={arguments.threads} python benchmarks/overhead/end_of_epoch.py"
    report = {"command": command, "versions": versions, "commit": commit_of(REPOSITORY / "mace_outlier")}
    report |= {"features": FEATURES, "results": results}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
