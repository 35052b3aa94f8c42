"""What mini-SPICE trains: shares of unconverged labels, arms, settings."""

import _spice_paths  # noqa: F401 (first)
import cells  # noqa: F401 (adds the arms of the ablation to those of the demo)
from demo_arms import Training
from mini_spice import WORK, write_data

SHARES = (0.0, 0.15, 0.3, 0.43)
SEVERITY = {"halved": 0.5, "unconverged": 1.0, "stretched": 2.0, "fourfold": 4.0}  # of the difference from right labels
STRETCHED = [(share, arm) for share in (0.3, 0.43) for arm in ("default", "weighted")]  # labels twice as wrong
SEEDS = (1, 2, 3)
OF_MAP = [  # with the first seed: how wrong, what share, by which arm
    (kind, share, arm) for kind in SEVERITY for share in SHARES[1:] for arm in ("default", "weighted")
]
ARMS = ("default", "oracle", "weighted", "universal", "published")
EPOCHS, ENERGY_WEIGHT = 20, 1000.0
FLAGS = ("--lr_scheduler_gamma=0.85", "--r_max=4.5", "--batch_size=16", "--valid_batch_size=64")
ROUNDS, SIGMA = 1, 2.0  # of iterative refinement (more rounds: benchmarks/ablation)


def training(share: float, arm: str, seed: int, kind: str = "unconverged") -> Training:
    """One training, its data written."""
    data = WORK / "data" / f"{kind}-{share:g}-seed-{seed}"
    settings = write_data(data, share, seed, SEVERITY[kind])
    folder = WORK / "runs" / data.name / arm
    return Training(arm, seed, EPOCHS, data, folder, settings["E0s"], ENERGY_WEIGHT, FLAGS)
