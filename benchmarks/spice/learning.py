"""Errors of every epoch: does stock MACE learn the wrong labels by heart? Two trainings, every checkpoint kept.

    python benchmarks/spice/learning.py        # half an hour; writes learning.json and learning.png

Energies and forces of right and of wrong training labels and of the validation labels as they were given, and of the
test set, which is right throughout; some hundred configurations of each.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import _spice_paths  # noqa: F401 (first)
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms
from ase.io import read
from demo_arms import Training, finished_result, run_all
from demo_results import predictions_minus_labels
from mini_spice import WORK
from selection import models
from spice_cells import training
from spice_errors import collect, rms
from tqdm import tqdm
from training_files import write_json_atomically

HERE = Path(__file__).resolve().parent
ARMS = {"weighted": "stock weighted", "default": "ema_robust"}
SETS = {  # colour-blind safe (Okabe and Ito)
    "wrong training labels": "#D55E00",
    "right training labels": "#0072B2",
    "validation labels as given": "#999999",
    "test, right labels": "#000000",
}
SOME = 200  # configurations of each


def keeping_all(one: Training) -> Training:
    """The same training, with the checkpoint of every epoch."""
    folder = WORK / "learning" / one.data.name / one.arm
    return replace(one, folder=folder, flags=(*one.flags, "--save_all_checkpoints"))


def sets(one: Training) -> dict[str, list[Atoms]]:
    """Some configurations of each kind."""
    train, valid, test = (read(one.data / f"{split}.xyz", ":") for split in ("train", "valid", "test"))
    wrong = [atoms for atoms in train if atoms.info["unconverged"]]
    right = [atoms for atoms in train if not atoms.info["unconverged"]]
    return dict(zip(SETS, (_some(frames) for frames in (wrong, right, valid, test)), strict=True))


def _some(frames: list[Atoms]) -> list[Atoms]:
    order = np.random.default_rng(0).permutation(len(frames))
    return [frames[i] for i in order[:SOME]]


def curve(one: Training) -> list[dict]:
    """Errors of each epoch."""
    chosen, rows = sets(one), []
    for epoch, path in tqdm(models(one), total=one.epochs, desc=one.arm):
        for name, frames in chosen.items():
            energy, forces = predictions_minus_labels(path, frames)
            errors = {"energy_meV_per_atom": rms(energy), "forces_meV_per_A": rms(np.concatenate(forces))}
            rows.append({"arm": one.arm, "epoch": epoch, "set": name} | errors)
    return rows


def draw(rows: list[dict], share: float, path: Path) -> None:
    """Arms across, energy and forces down."""
    figure, panels = plt.subplots(2, len(ARMS), figsize=(9, 6), layout="constrained", sharex=True, sharey="row")
    for column, (arm, title) in enumerate(ARMS.items()):
        panels[0, column].set_title(f"{title}, {100 * share:g} % wrong labels")
        panels[1, column].set_xlabel("epoch")
        for line, metric in enumerate(("energy_meV_per_atom", "forces_meV_per_A")):
            axes = panels[line, column]
            for name, colour in SETS.items():
                own = [row for row in rows if row["arm"] == arm and row["set"] == name]
                axes.plot([row["epoch"] for row in own], [row[metric] for row in own], color=colour, label=name)
            axes.set_yscale("log")
            axes.grid(alpha=0.3, which="both")
    panels[0, 0].set_ylabel("energy RMSE (meV/atom)")
    panels[1, 0].set_ylabel("force RMSE (meV/Å)")
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trainings = [keeping_all(training(options.share, arm, options.seed)) for arm in ARMS]
    run_all([one for one in trainings if finished_result(one) is None], 2, collect)
    rows = [row for one in trainings for row in curve(one)]
    about = {"command": f"python benchmarks/spice/learning.py --share {options.share:g} --seed {options.seed}"}
    write_json_atomically(HERE / "learning.json", about | {"configurations": SOME, "rows": rows})
    draw(rows, options.share, HERE / "learning.png")


if __name__ == "__main__":
    main()
