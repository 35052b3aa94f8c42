"""What the benchmark of liquid water trains and simulates, in full and as --quick; and the data of its trainings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _water_paths  # noqa: F401 (first)
import cells  # noqa: F401 (adds the arms of the ablation to those of the demo)
from demo_arms import REPOSITORY, Training
from finished_trainings import REFINED
from liquid_boxes import DEUTERIUM
from liquid_water import MIXED, LiquidSettings, choose_severity
from make_water import DESCRIPTION_FILE, make_labelled
from training_files import write_training_files
from water_frames import label_kept
from water_md import Protocol, Replica

ENERGY_WEIGHT, SIGMA = 10.0, 2.0  # the latter: of iterative refinement
FLAGS = ("--batch_size=5", "--lr_scheduler_gamma=0.88")
ARMS = ("oracle", "weighted", "universal", "published", "default")
Cell = tuple[str, float, str]  # kind of wrong labels, their share, arm


@dataclass(frozen=True)
class Benchmark:
    """One size of the benchmark."""

    work: Path
    out: Path  # of tables and figures
    liquid: LiquidSettings
    epochs: int
    trained: tuple[Cell, ...]  # with the first seed
    refined: tuple[tuple[str, float], ...]  # kinds and shares
    rounds: int  # of iterative refinement
    simulated: tuple[Cell, ...]
    trajectories: int  # of each model
    protocol: Protocol
    repeated: tuple[Cell, ...] = ()  # trained, and simulated if they are to be, with the other seeds as well
    seeds: tuple[int, ...] = (1,)
    processes: int = 2  # that make the data

    def trained_with(self, seed: int) -> tuple[Cell, ...]:
        """What is trained with a seed."""
        return self.trained if seed == self.seeds[0] else self.repeated

    def simulated_with(self, seed: int) -> list[Cell]:
        """What is simulated of it (and of its refinement)."""
        return [cell for cell in self.simulated if seed == self.seeds[0] or cell in self.repeated]

    def data(self, kind: str, share: float, seed: int) -> Path:
        """Folder of the files of a training."""
        return self.work / "data" / f"{kind}-{share:g}-seed-{seed}"

    def training(self, cell: Cell, seed: int) -> Training:
        """One training, its data written."""
        kind, share, arm = cell
        settings = self.write_data(kind, share, seed)
        return Training(
            arm,
            seed,
            self.epochs,
            self.data(kind, share, seed),
            self.runs(cell, seed),
            settings["E0s"],
            ENERGY_WEIGHT,
            FLAGS,
        )

    def runs(self, cell: Cell, seed: int) -> Path:
        """Folder of a training; `refinement, round 2` is that of iterative refinement."""
        kind, share, arm = cell
        name = self.data(kind, share, seed).name
        if arm.startswith(REFINED):
            return self.work / "runs" / f"{name}-round-{arm.removeprefix(REFINED)}-{SIGMA:g}-sigma" / "weighted"
        return self.work / "runs" / name / arm

    def replicas(self, cell: Cell, seed: int) -> list[Replica]:
        """The trajectories of a model; they start from the test frames: those of each seed from others."""
        folder, starts = self.runs(cell, seed), self.data(*cell[:2], seed) / "test.xyz"
        own = self.work / "md" / f"{folder.parent.name}-{folder.name}"
        first = (seed - 1) * self.trajectories
        numbers = range(first, first + self.trajectories)
        return [Replica(folder / "demo.model", starts, number, own, self.protocol) for number in numbers]

    def labelled(self) -> tuple[dict[str, list], dict[int, float]]:
        """Frames of each split with all their labels, and the energies of the free atoms."""
        folder = self.work / "liquid"
        label_kept(self.liquid, folder, self.processes)
        splits = make_labelled(self.liquid, folder, self.processes)
        return splits, json.loads((folder / DESCRIPTION_FILE).read_text())["E0s_eV"]

    def write_data(self, kind: str, share: float, seed: int) -> dict[str, Any]:
        """Write the training files of a kind, share and seed, if they aren't there; return the E0s for MACE."""
        folder = self.data(kind, share, seed)
        settings = folder / "settings.json"
        if not settings.exists():
            splits, e0s = self.labelled()
            choose_severity(splits, kind, seed)
            write_training_files(splits, folder, share, seed)
            e0s = str({int(number): energy for number, energy in e0s.items()})
            settings.write_text(json.dumps({"E0s": e0s}) + "\n")  # last: the folder is complete
        return json.loads(settings.read_text())


SHARES = (0.2, 0.4)
CLEAN = (MIXED, 0.0, "weighted")
BAD = tuple((MIXED, SHARES[-1], arm) for arm in ("weighted", "oracle", "default"))  # whose liquid is compared
HEAVY = {"timestep": 1.0, "hydrogen": DEUTERIUM}  # heavy water: structure and diffusion are compared at half the cost
FULL = Benchmark(
    work=REPOSITORY / "build" / "water",
    out=REPOSITORY / "build" / "water" / "results",
    liquid=LiquidSettings(
        n_train=240,
        n_valid=30,
        n_test=50,
        n_close=40,  # without them models let molecules fuse after picoseconds
        generations=1,
        equilibration_steps=1000,
        steps_between_frames=100,
    ),
    epochs=30,
    trained=(CLEAN, *((MIXED, share, arm) for share in SHARES for arm in ARMS)),
    refined=tuple((MIXED, share) for share in SHARES),
    rounds=1,
    simulated=(CLEAN, *BAD),
    trajectories=2,
    protocol=Protocol(**HEAVY, equilibration_ps=1.5, production_ps=10.0, nve_ps=1.0),
    repeated=(CLEAN, *BAD, *((MIXED, SHARES[0], arm) for arm in ("oracle", "default"))),
    seeds=(1, 2, 3),
)
QUICK = Benchmark(
    work=REPOSITORY / "build" / "water_quick",
    out=REPOSITORY / "build" / "water_quick" / "results",
    liquid=LiquidSettings(
        n_molecules=16,
        n_train=40,
        n_valid=10,
        n_test=10,
        frames_per_trajectory=5,
        first_trajectories=6,
        generations=1,
        equilibration_steps=300,
        steps_between_frames=50,
        sampler_epochs=30,
        attempts=0,
    ),
    epochs=10,
    trained=(CLEAN, *BAD),
    refined=((MIXED, 0.4),),
    rounds=1,
    simulated=(CLEAN, *BAD, (MIXED, 0.4, f"{REFINED}1")),
    trajectories=2,
    protocol=Protocol(**HEAVY, equilibration_ps=0.3, production_ps=1.0, nve_ps=0.2),
)
