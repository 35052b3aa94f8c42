"""What the ablation trains: its arms, and the studies, each a list of trainings that answer one question."""

from pathlib import Path
from typing import NamedTuple

from data import REPOSITORY
from demo_arms import ARMS, Arm, Training

WORK = REPOSITORY / "build" / "ablation"
TRAININGS = Path(__file__).resolve().parent / "trainings.csv"  # what they measured
ENERGY_WEIGHT = 10.0  # at MACE's default of 1 the offset of the energies is loose, and hides what wrong labels do
SEEDS = (1, 2, 3)
EPOCHS, SCHEDULE = 40, "--lr_scheduler_gamma=0.91"  # the demo's 60 epochs, shortened

GAUSSIAN = "--ema_robust_distribution=gaussian"
STOCK_SELECTION = "--ema_robust_selection=stock"
CLEAN_VALIDATION = {"valid_file": "valid_good.xyz"}
PUBLISHED = (GAUSSIAN, "--ema_robust_variance=batch", "--ema_robust_warmup=0")
ARMS.update(
    {
        "universal": Arm("universal"),
        "l1l2": Arm("l1l2energyforces"),
        "published": Arm("ema_robust", flags=(*PUBLISHED, STOCK_SELECTION)),
        "published, robust selection": Arm("ema_robust", flags=PUBLISHED),
        "default": Arm("ema_robust"),
        "default, by property": Arm("ema_robust", flags=("--ema_robust_scope=property",)),
        "default, stock selection": Arm("ema_robust", flags=(STOCK_SELECTION,)),
        "default on universal": Arm("ema_robust", flags=("--ema_robust_base_loss=universal",)),
        "published, clean validation": Arm("ema_robust", flags=(*PUBLISHED, STOCK_SELECTION), **CLEAN_VALIDATION),
        "default, clean validation": Arm("ema_robust", **CLEAN_VALIDATION),
        "weighted, clean validation": Arm("weighted", **CLEAN_VALIDATION),
    }
)
for size in (1, 5, 32):
    flags = (f"--batch_size={size}",)
    ARMS[f"default, batch {size}"] = Arm("ema_robust", flags=flags)
    ARMS[f"oracle, batch {size}"] = ARMS["oracle"]._replace(flags=flags)


class Cell(NamedTuple):
    """One training, up to the seed: which labels are wrong, how many of them, and the arm."""

    kind: str
    share: float
    arm: str

    def data(self, seed: int) -> Path:
        """Folder of the data set."""
        return WORK / "data" / f"{self.kind}-{self.share:g}-seed-{seed}"

    def training(self, seed: int, settings: dict) -> Training:
        """Return the training of this cell with a seed."""
        folder = WORK / "runs" / self.data(seed).name / self.arm.replace(", ", "-").replace(" ", "-")
        flags = (SCHEDULE, *settings.get("flags", ()))
        return Training(self.arm, seed, EPOCHS, self.data(seed), folder, settings["E0s"], ENERGY_WEIGHT, flags)


def product(kinds: list[str], shares: list[float], arms: list[str]) -> list[Cell]:
    """All combinations, without the oracle of clean data: that is the stock training."""
    cells = [Cell(kind, share, arm) for share in shares for kind in kinds for arm in arms]
    return [cell for cell in cells if cell.share > 0 or cell.arm != "oracle"]


NOISE = ["random_sign", "energy_only", "forces_only", "swapped", "other_method", "mild"]
STUDIES: dict[str, list[Cell]] = {
    "core": product(["unconverged"], [0.0, 0.15, 0.3, 0.43], ["default", "oracle", "weighted"]),
    "stock": product(["unconverged"], [0.0, 0.15, 0.3, 0.43], ["oracle", "weighted", "universal"]),
    "shares": product(["unconverged"], [0.0, 0.15, 0.3, 0.43], ["default"]),
    "few": product(["unconverged"], [0.05], ["default", "oracle", "weighted"]),
    "mild": product(["mild"], [0.15], ["default"]),
    "published": product(["unconverged"], [0.0, 0.15, 0.3, 0.43], ["published"]),
    "hard": product(["organic"], [0.29], ["oracle", "weighted", "default"]),
    "hard_others": product(["organic"], [0.29], ["universal", "published"]),
    "rare": product(["rare"], [0.0], ["weighted", "default"]) + product(["rare"], [0.15], ["oracle", "default"]),
    "noise": product(NOISE, [0.15], ["default", "weighted"]) + product(["gross"], [0.02], ["default", "weighted"]),
    "property": product(["energy_only", "forces_only"], [0.15], ["default, by property"]),
    "breakdown": product(["unconverged", "random_sign"], [0.5, 0.6, 0.7], ["default"])
    + product(["random_sign"], [0.3, 0.43], ["default", "weighted"])  # of unconverged labels: "core"
    + product(["unconverged", "random_sign"], [0.5, 0.6, 0.7], ["weighted"]),
    "selection": product(["unconverged"], [0.3], ["default, stock selection", "published, robust selection"]),
    "validation": product(
        ["unconverged"], [0.3], [f"{arm}, clean validation" for arm in ("default", "published", "weighted")]
    ),
    "base": product(["unconverged"], [0.3], ["default on universal", "l1l2"]),
    "batch": product(
        ["unconverged"], [0.3], [f"{arm}, batch {size}" for size in (32, 5, 1) for arm in ("oracle", "default")]
    ),
}
