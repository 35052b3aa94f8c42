"""What is trained: data sets, faults, what each is trained on, seeds, arms; all choices of the benchmark stand here."""

import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import _real_paths  # noqa: F401 (first)
import cells  # noqa: F401 (adds the arms of the ablation to those of the demo)
from demo_arms import ARMS, Arm, Training
from faults import FAULTS
from finished_trainings import BEFORE
from real_sets import REPOSITORY, write_data
from training_files import digest_of

WORK = REPOSITORY / "build" / "real"
LANDED = WORK / "landed"  # the plugin as it was before the new default
LANDED_COMMIT = BEFORE
OBSERVED = Path(__file__).with_name("observed_training.py")

# --- settings --------------------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """How a data set is trained. MACE_SETTINGS of scripts/demo_arms.py say the rest."""

    epochs: int
    flags: tuple[str, ...]
    seconds: float  # an epoch on one core, for the estimate of --list


SOLID = ("--r_max=4.0", "--batch_size=5")
MOLECULES = ("--r_max=4.0", "--batch_size=10")
SETS = {
    "Si": Settings(24, SOLID, 6),
    "Mo": Settings(24, SOLID, 6),
    "acac": Settings(40, MOLECULES, 3),
    "water": Settings(40, MOLECULES, 3),
    "wbe": Settings(20, ("--r_max=5.0", "--batch_size=5"), 30),
    "dft_water": Settings(12, ("--r_max=4.5", "--batch_size=2"), 25),
    "spice": Settings(20, MOLECULES, 25),
    "alloys": Settings(24, SOLID, 6),
}
KEPT = "kept"  # the moments of Adam, of which only OF_MOMENTS shows what they do: it has the largest gradients
ARM_NAMES = ("oracle", "weighted", "universal", "published", "landed", "ema_robust", KEPT)  # of clean data, no oracle
ARMS["landed"] = Arm("ema_robust")
ARMS[KEPT] = Arm("ema_robust", flags=("--ema_robust_optimizer=kept",))
OF_MOMENTS = "flip"
OF_LANDED = ("published", "landed")  # trained by the code of LANDED_COMMIT, so that they are never trained again
STAGE_TWO_FROM = 2 / 3  # of the epochs, so that eight of 24 have MACE's weights of stage two (energies 1,000)
STRESS_WEIGHT = 1000  # ten times the forces', as MACE-MP's 10 and 100: at MACE's 1, a stress hardly counts in the loss
TRAINED = {"forces": "forces", "energies": "energies", "stage_two": "forces", "stress": "stress"}  # its labels


def more_flags(train: str, arm: str, epochs: int) -> tuple[str, ...]:
    """Flags that belong to what is trained; "energies" has files without forces, and needs none."""
    if train == "stage_two":
        return ("--swa", f"--start_swa={round(STAGE_TWO_FROM * epochs)}")
    if train != "stress":
        return ()
    base = {"weighted": ("--loss=stress",), "ema_robust": ("--ema_robust_base_loss=stress",)}
    return (*base.get(ARMS[arm].loss, ()), "--stress_key=REF_stress", f"--stress_weight={STRESS_WEIGHT}")


# --- cells -----------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """One data set with one fault and one seed, and what is trained on it."""

    set: str
    fault: str
    train: str
    seed: int

    def data(self, work: Path = WORK) -> Path:
        """Folder of the files."""
        return work / "data" / f"{self.set}-{self.fault}-seed-{self.seed}" / TRAINED[self.train]

    @property
    def run_name(self) -> str:
        """Folder of its trainings."""
        return f"{self.set}-{self.fault}-{self.train}-seed-{self.seed}"

    def training(self, arm: str, work: Path = WORK, epochs: int | None = None) -> "ObservedTraining":
        """Return the training of an arm, its data written."""
        settings = SETS[self.set]
        epochs = epochs or settings.epochs
        write_data(self.data(work), self.set, self.fault, self.seed, TRAINED[self.train])
        folder = work / "runs" / self.run_name / arm
        flags = (*settings.flags, *more_flags(self.train, arm, epochs))
        return ObservedTraining(arm, self.seed, epochs, self.data(work), folder, "average", flags=flags, cell=self)

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that make sense: of clean data, the oracle is the stock training."""
        without = {"oracle"} if self.fault == "clean" else set()
        without |= {"universal"} if self.train != "forces" else set()  # another base loss: once is enough
        without |= {KEPT} if (self.fault, self.train) != (OF_MOMENTS, "forces") else set()
        return tuple(arm for arm in ARM_NAMES if arm not in without)


FOUR = ("Si", "Mo", "acac", "water")
PLANTED = (*FOUR, "alloys", "dft_water")
CLEAN = (*FOUR, "dft_water", "spice")
STAGES = ("forces", "energies", "stage_two")
OF_ENERGY = tuple(name for name, fault in FAULTS.items() if fault.labels == ("energy",))
PLAIN = (*OF_ENERGY, "flip", "kcal", "fnoise", "mild")
TABLE = [  # data sets, faults, what is trained: every combination
    (CLEAN, ("clean",), STAGES),
    (("Si", "Mo"), ("clean",), ("stress",)),
    (("wbe",), ("own",), STAGES),  # its own wrong labels
    (FOUR, PLAIN, ("forces",)),
    (FOUR, (*OF_ENERGY, "mild"), ("energies",)),
    (FOUR, ("flip", "pm60", "p60_30", "mild"), ("stage_two",)),
    (("Si", "Mo"), ("stress_sign", "stress_kbar"), ("stress",)),
    (("acac", "water"), ("charge", "scf_15"), ("forces",)),
    (("water",), ("scf_30", "scf_43"), ("forces",)),
    (("alloys",), ("clean", "flip", "kcal", "others", "pm60", "mild"), ("forces",)),  # nothing was tuned on them
    (("dft_water",), ("flip", "pm60", "scf_15", "scf_43"), ("forces",)),
]
SEEDS = (1, 2, 3)
THREE_SEEDS = [*product(("clean", "own"), TRAINED), *product(("flip", "pm60", "mild"), ("forces",))]  # the others: one
THREE_SEEDS_OF = ("dft_water",)  # whatever is wrong with it
FIRST_ARMS = ("oracle", "weighted", "ema_robust")


def importance(cell: "Cell", arm: str) -> tuple[bool, bool, int, int]:
    """What is trained first: ours and what it is compared with; what the bars are about; seed by seed, set by set."""
    later = (cell.fault, cell.train) not in THREE_SEEDS or cell.train != "forces"
    return arm not in FIRST_ARMS, later, cell.seed, list(SETS).index(cell.set)


def cells_of_table() -> list[Cell]:
    """All cells, seed by seed, each once."""
    found = [
        Cell(*which, seed)
        for seed in SEEDS
        for sets, faults, trains in TABLE
        for which in product(sets, faults, trains)
        if seed == 1 or which[1:] in THREE_SEEDS or which[0] in THREE_SEEDS_OF
    ]
    return list(dict.fromkeys(found))


# --- trainings -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObservedTraining(Training):
    """A training of which the weights after each epoch are kept (observed_training.py)."""

    cell: Cell = None

    @property
    def title(self) -> str:
        return f"{self.folder.parent.name} {self.arm}"

    def command(self) -> list[str]:
        command = [sys.executable, str(OBSERVED), str(self.folder), *super().command()[1:]]
        return ["env", f"PYTHONPATH={LANDED}", *command] if self.arm in OF_LANDED else command

    def key(self) -> dict:
        if self.arm not in OF_LANDED:
            return super().key()
        data = [self.data / name for name in ("train.xyz", "valid.xyz", "test.xyz")]
        return {"command": self.command(), "sha256_of_data": digest_of(data), "plugin": LANDED_COMMIT}


def check_out_landed() -> None:
    """Make the working tree of the landed code, unless it is there."""
    git = ("git", "-C", str(REPOSITORY), "worktree", "add", "--force", "--detach", str(LANDED), LANDED_COMMIT)
    if not (LANDED / "mace_outlier").exists():
        subprocess.run(git, check=True)
