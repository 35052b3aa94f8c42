"""Errors of every epoch: does a training learn the wrong labels by heart? Of trainings whose checkpoints are all kept.

These are trainings of their own: with all checkpoints kept, MACE takes the last epoch for its model, not the best one.

Energies and forces of right and of wrong training labels and of the validation labels as they were given, and of the
test set, which is right throughout; some hundred configurations of each.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from ase import Atoms
from ase.io import read
from demo_arms import Training
from demo_results import predictions_minus_labels, rms
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from tqdm import tqdm

KEEP_ALL = "--save_all_checkpoints"
SETS = {  # colour-blind safe (Okabe and Ito)
    "wrong training labels": "#D55E00",
    "right training labels": "#0072B2",
    "validation labels as given": "#999999",
    "test, right labels": "#000000",
}


def keeping_all(one: Training, folder: Path) -> Training:
    """The same training, with the checkpoint of every epoch."""
    return replace(one, folder=folder / one.data.name / one.arm, flags=(*one.flags, KEEP_ALL))


def models_of_epochs(one: Training) -> Iterator[tuple[int, Path]]:
    """Each epoch, and a file that holds its model until the next."""
    model = torch.load(one.folder / "demo.model", weights_only=False, map_location="cpu")
    path = one.folder / "epoch.model"
    for epoch in range(one.epochs):
        checkpoint = one.folder / "checkpoints" / f"demo_run-{one.seed}_epoch-{epoch}.pt"
        model.load_state_dict(torch.load(checkpoint, weights_only=False, map_location="cpu")["model"])
        torch.save(model, path)
        yield epoch, path


def sets(one: Training, some: int) -> dict[str, list[Atoms]]:
    """Some configurations of each kind."""
    train, valid, test = (read(one.data / f"{split}.xyz", ":") for split in ("train", "valid", "test"))
    wrong = [atoms for atoms in train if atoms.info["unconverged"]]
    right = [atoms for atoms in train if not atoms.info["unconverged"]]
    return dict(zip(SETS, (_some(frames, some) for frames in (wrong, right, valid, test)), strict=True))


def _some(frames: list[Atoms], some: int) -> list[Atoms]:
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[i] for i in order[:some]]


def curve(one: Training, some: int) -> list[dict]:
    """Errors of each epoch on `some` configurations of each kind, meV/atom and meV/Angstrom."""
    chosen, rows = sets(one, some), []
    for epoch, path in tqdm(models_of_epochs(one), desc=one.arm, total=one.epochs):
        for name, frames in chosen.items():
            energy, forces = predictions_minus_labels(path, frames)
            errors = {"energy_meV_per_atom": rms(energy), "forces_meV_per_A": rms(np.concatenate(forces))}
            rows.append({"arm": one.arm, "epoch": epoch, "set": name} | errors)
    return rows


def draw(rows: list[dict], arms: dict[str, str], title: str, path: Path) -> None:
    """Arms across (their names), energy and forces down."""
    figure, panels = plt.subplots(
        2, len(arms), figsize=(9, 6), layout="constrained", sharex=True, sharey="row", squeeze=False
    )
    for column, (arm, name) in enumerate(arms.items()):
        panels[0, column].set_title(f"{name}, {title}")
        panels[1, column].set_xlabel("epoch")
        for line, metric in enumerate(("energy_meV_per_atom", "forces_meV_per_A")):
            axes = panels[line, column]
            for label, colour in SETS.items():
                own = [row for row in rows if row["arm"] == arm and row["set"] == label]
                axes.plot([row["epoch"] for row in own], [row[metric] for row in own], color=colour, label=label)
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3, which="both")
    panels[0, 0].set_ylabel("energy RMSE (meV/atom)")
    panels[1, 0].set_ylabel("force RMSE (meV/Å)")
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)
