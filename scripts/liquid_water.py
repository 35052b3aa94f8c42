"""Periodic liquid water labelled by GFN1-xTB: converged, and by SCC calculations stopped early. Used by make_water.py.

GFN1-xTB takes half a second for 32 molecules, too long for molecular dynamics that forgets where it began. So:

1. a few short GFN1-xTB trajectories from random boxes, hot at first, train a small MACE model;
2. molecular dynamics with that model (picoseconds) gives better frames, which train the next one;
3. molecular dynamics with the last model gives the frames of the data set, labelled by GFN1-xTB in every way; some
   training frames are those of the first trajectories instead, with molecules pushed together.

Every trajectory is kept in a file of its own as soon as it is finished: a run that was cut goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.io import read
from demo_arms import RESULT_FILE, Training, finished_result, run_all
from demo_results import silent_calculator
from liquid_boxes import NoLiquidError, check_liquid, dynamics, random_box
from liquid_contacts import push_together
from side_by_side import side_by_side
from tqdm import tqdm
from training_files import write_atomically, write_json_atomically, write_training_files
from water_clusters import isolated_atom_energies as isolated
from water_clusters import single_point, xtb_calculator

METHOD = "GFN1-xTB"  # GFN2-xTB takes six times as long in a periodic box
CONVERGED = {"accuracy": 0.1}
# What stops the SCC early: a factor on its thresholds, and less of the new charges mixed into the old ones.
SEVERITIES = {
    "mild": {"accuracy": 1e8, "mixer_damping": 0.4},
    "moderate": {"accuracy": 1e6, "mixer_damping": 0.2},
    "gross": {"accuracy": 1e8, "mixer_damping": 0.1},
}
CONTACTS = 99  # part of the seed of what is pushed together
MIXED = "mixed"  # any of them, drawn for each frame


@dataclass(frozen=True)
class LiquidSettings:
    """What decides the configurations and their labels (which frames are bad is decided later, by its own seed)."""

    n_molecules: int = 32
    n_train: int = 300
    n_valid: int = 40
    n_test: int = 80
    n_close: int = 0  # of n_train: frames of the first trajectories, molecules pushed together (see liquid_contacts)
    frames_per_trajectory: int = 10
    coolest: float = 300.0  # K; temperatures and densities are spread evenly over the trajectories
    warmest: float = 350.0
    thinnest: float = 0.95  # g/cm3
    densest: float = 1.05
    timestep: float = 1.0  # fs; hydrogen carries the mass of deuterium, which leaves the sampled distribution as it is
    first_trajectories: int = 8
    first_steps_between_frames: int = 15
    generations: int = 2  # of models, the last one samples the data set
    between_trajectories: int = 12  # of the models before the last
    equilibration_steps: int = 1500
    steps_between_frames: int = 200
    attempts: int = 5  # starts of a trajectory, until its molecules stay whole and apart; 0: whatever they do
    sampler_epochs: int = 60
    seed: int = 1

    @property
    def counts(self) -> dict[str, int]:
        """Number of frames of the last generation in each split."""
        return {"train": self.n_train - self.n_close, "valid": self.n_valid, "test": self.n_test}

    @property
    def first_frames(self) -> int:
        """Number of frames of the first trajectories that are not the data set itself."""
        return self.first_trajectories * self.frames_per_trajectory if self.generations else 0

    def conditions(self, index: int, trajectories: int) -> tuple[float, float]:
        """Temperature (K) and density (g/cm3) of a trajectory: low discrepancy, so that any part of them is spread."""
        temperature, density = (((index + 0.5) * step) % 1 for step in (1 / trajectories, (5**0.5 - 1) / 2))
        return (
            self.coolest + (self.warmest - self.coolest) * temperature,
            self.thinnest + (self.densest - self.thinnest) * density,
        )


class Trajectory(NamedTuple):
    """One trajectory: which, under what conditions, and with which model (None: GFN1-xTB itself)."""

    settings: LiquidSettings
    generation: int
    index: int
    conditions: tuple[float, float]  # K, g/cm3
    path: Path  # of its frames
    model: Path | None
    severities: tuple[str, ...]  # of the labels beside the converged ones


class Contacts(NamedTuple):
    """A frame whose molecules are to be pushed together."""

    seed: int
    index: int
    atoms: Atoms
    path: Path


# --- frames and their labels ---------------------------------------------------------------------------------------


def sample(trajectory: Trajectory) -> list[Atoms]:
    """The frames of a trajectory, without labels, from another start where the model lets molecules break or fuse.

    Frames that only the next model learns from are taken as they are: it has to learn what must not happen. Raises
    NoLiquidError where no start will do.
    """
    settings = trajectory.settings
    strict = settings.attempts > 0 and trajectory.generation == settings.generations
    for attempt in range(settings.attempts if strict else 1):
        try:
            return run_dynamics(trajectory, attempt, strict)
        except NoLiquidError as error:
            fault = str(error)
    raise NoLiquidError(
        f"trajectory {trajectory.index} of generation {trajectory.generation}: {fault}; give the model that samples"
        " more to learn from (--first_trajectories, --sampler_epochs) and another folder (--out)"
    )


def run_dynamics(trajectory: Trajectory, attempt: int, strict: bool) -> list[Atoms]:
    """The frames from one start.

    Raises NoLiquidError where the liquid blows up or, if `strict`, where molecules break or fuse.
    """
    settings, (temperature, density) = trajectory.settings, trajectory.conditions
    start = [settings.seed, trajectory.generation, trajectory.index]
    rng = np.random.default_rng([*start, attempt] if attempt else start)
    atoms = random_box(settings.n_molecules, density, rng)
    if trajectory.model is None:
        atoms.calc = xtb_calculator(METHOD, accuracy=10.0)
        steps, between = settings.first_steps_between_frames, settings.first_steps_between_frames
    else:
        atoms.calc = silent_calculator(trajectory.model)
        steps, between = settings.equilibration_steps, settings.steps_between_frames
    # From random directions there is heat to lose: friction, and half the timestep.
    dynamics(atoms, temperature, settings.timestep / 2, 0.1, rng).run(steps // 3)
    run = dynamics(atoms, temperature, settings.timestep, 0.02, rng)
    frames = []
    for number in range(settings.frames_per_trajectory):
        run.run(between if number else steps)
        if strict:
            check_liquid(atoms, atoms.get_temperature())
        else:
            check_liquid(atoms, atoms.get_temperature(), longest_bond=np.inf, closest=0.0)
        frames.append(Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True))
    return frames


def label(atoms: Atoms, severities: tuple[str, ...]) -> None:
    """Store the converged label and those of each severity on the frame."""
    for name, options in {"converged": CONVERGED, **{name: SEVERITIES[name] for name in severities}}.items():
        energy, forces = single_point(atoms, method=METHOD, **options)
        atoms.info[f"{name}_energy"], atoms.arrays[f"{name}_forces"] = energy, forces


def choose_severity(splits: dict[str, list[Atoms]], kind: str, seed: int) -> None:
    """Name the labels of a severity, or of one drawn for each frame, the unconverged ones."""
    rng = np.random.default_rng([seed, 16])
    for atoms in (atoms for frames in splits.values() for atoms in frames):
        chosen = str(rng.choice(list(SEVERITIES))) if kind == MIXED else kind
        atoms.info["unconverged_energy"] = atoms.info[f"{chosen}_energy"]
        atoms.arrays["unconverged_forces"] = atoms.arrays[f"{chosen}_forces"]


def labelled_trajectory(trajectory: Trajectory) -> None:
    """Run a trajectory, label its frames, and write them to its file, which is whole or absent."""
    frames = sample(trajectory)
    for atoms in frames:
        atoms.info.update(
            trajectory=trajectory.index, temperature=trajectory.conditions[0], density=trajectory.conditions[1]
        )
        label(atoms, trajectory.severities)
    write_atomically(trajectory.path, frames)


def labelled_contacts(contacts: Contacts) -> None:
    """Push molecules of a frame together, label it, and write it to its file, which is whole or absent."""
    atoms = push_together(contacts.atoms, np.random.default_rng([contacts.seed, CONTACTS, contacts.index]))
    atoms.info["trajectory"] = contacts.atoms.info["trajectory"]
    label(atoms, tuple(SEVERITIES))
    write_atomically(contacts.path, [atoms])


def run_missing(function: Callable, tasks: Sequence[Any], processes: int, title: str, unit: str = "trajectory") -> None:
    """Call a function for every task whose file, its `path`, is not there."""
    missing = [task for task in tasks if not task.path.exists()]
    if not missing:
        return
    try:
        list(tqdm(side_by_side(function, missing, processes), total=len(missing), desc=title, unit=unit))
    except NoLiquidError as error:
        raise SystemExit(str(error)) from None


# --- generations ------------------------------------------------------------------------------------------------


def isolated_atom_energies() -> dict[int, float]:
    """Energies (eV) of the free atoms by atomic number, for MACE's --E0s."""
    return isolated(METHOD)


def generation_frames(
    settings: LiquidSettings, folder: Path, generation: int, model: Path | None, processes: int
) -> list[list[Atoms]]:
    """The labelled frames of each trajectory of a generation."""
    last = generation == settings.generations
    wanted = sum(-(-count // settings.frames_per_trajectory) for count in settings.counts.values())
    count = wanted if last else settings.between_trajectories if generation else settings.first_trajectories
    own = folder / f"generation_{generation}"
    own.mkdir(parents=True, exist_ok=True)
    severities = tuple(SEVERITIES) if last else ()
    tasks = [
        Trajectory(settings, generation, i, settings.conditions(i, count), own / f"{i:03d}.xyz", model, severities)
        for i in range(count)
    ]
    run_missing(labelled_trajectory, tasks, processes, f"generation {generation}: dynamics and labels")
    return [read(task.path, ":") for task in tasks]


def train_sampler(settings: LiquidSettings, folder: Path, number: int, frames: list[Atoms]) -> Path:
    """Train the model that samples generation `number` on converged labels; return its file."""
    data = folder / f"sampler_{number}" / "data"
    valid = max(len(frames) // 10, 1)
    write_training_files({"train": frames[valid:], "valid": frames[:valid], "test": frames[:1]}, data, 0.0, 1)
    e0s = str(isolated_atom_energies())
    flags = ("--batch_size=4", "--scheduler=ExponentialLR", "--lr_scheduler_gamma=0.94")
    training = Training("weighted", settings.seed, settings.sampler_epochs, data, data.parent / "run", e0s, 10.0, flags)
    if finished_result(training) is None:
        run_all([training], 1, mark_finished)
    return training.folder / "demo.model"


def mark_finished(training: Training, seconds: float) -> dict:
    """What tells a finished training of a sampler from one that was cut."""
    result = {"seconds": round(seconds, 1)}
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def check_same_settings(settings: LiquidSettings, folder: Path) -> None:
    """Raise SystemExit if the folder holds frames of other settings, or if there can't be any of these."""
    if settings.n_close > min(settings.first_frames, settings.n_train):
        raise SystemExit(
            f"--n_close {settings.n_close}: no more than the first trajectories have ({settings.first_frames} frames; "
            f"with --generations 0 they are the data set itself), nor than --n_train {settings.n_train}"
        )
    path = folder / "settings.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != asdict(settings):
        raise SystemExit(
            f"{folder} holds water of other settings ({path}): choose another folder by --out, or delete it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json_atomically(path, asdict(settings))


def labelled_splits(settings: LiquidSettings, folder: Path, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames of each split; no trajectory feeds two splits, and every split sees all temperatures and densities."""
    check_same_settings(settings, folder)
    known, model = [], None
    for generation in range(settings.generations + 1):
        trajectories = generation_frames(settings, folder, generation, model, processes)
        known += [atoms for frames in trajectories for atoms in frames]
        if generation < settings.generations:
            model = train_sampler(settings, folder, generation + 1, list(known))
    order = iter(np.random.default_rng(settings.seed).permutation(len(trajectories)))
    take = partial(next, order)
    splits = {}
    for split, count in settings.counts.items():
        chosen = [trajectories[take()] for _ in range(-(-count // settings.frames_per_trajectory))]
        splits[split] = [atoms for frames in chosen for atoms in frames][:count]
    splits["train"] = close_contacts(settings, folder, known[: settings.first_frames], processes) + splits["train"]
    return splits


def close_contacts(settings: LiquidSettings, folder: Path, frames: list[Atoms], processes: int) -> list[Atoms]:
    """Frames evenly spread over these, some of their molecules pushed together, labelled in every way."""
    own = folder / "contacts"
    own.mkdir(exist_ok=True)
    chosen = some_of(frames, settings.n_close)
    tasks = [Contacts(settings.seed, i, atoms, own / f"{i:03d}.xyz") for i, atoms in enumerate(chosen)]
    run_missing(labelled_contacts, tasks, processes, "close contacts: labels", "frame")
    return [read(task.path) for task in tasks]


def some_of(frames: list[Atoms], count: int) -> list[Atoms]:
    """As many frames, evenly spread."""
    return [frames[len(frames) * i // count] for i in range(count)]
