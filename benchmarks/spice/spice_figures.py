"""Figures of mini-SPICE: errors against the share of unconverged labels, and which of these were found."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import figures
import matplotlib.pyplot as plt
import numpy as np
import pandas
from ase.io import read
from finished_trainings import REFINED
from mini_spice import WORK, labelled
from spice_cells import ROUNDS

from mace_outlier.results import read_results

STYLES = figures.STYLES | {f"{REFINED}{ROUNDS}": (f"refinement, {ROUNDS + 1} trainings", "#009E73", "v")}
TICKS = {"energy_rmse_meV_per_atom": [7, 10, 15, 20, 30], "force_rmse_meV_per_A": [100, 120, 150, 200]}
BINS = np.array([0, 2, 5, 10, 20, 40, 80, 1000.0])  # of the error of a label, meV/atom
LAST = 160.0  # as drawn


def draw_shares(rows: pandas.DataFrame, path: Path) -> None:
    """Energy and forces; small marks are single trainings, lines their means."""
    clean = rows[(rows.share == 0) & (rows.arm == "weighted")].assign(arm="oracle")
    rows = pandas.concat((rows, clean))
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, (metric, label) in zip(panels, figures.METRICS.items(), strict=True):
        figures.draw_panel(axes, rows, metric, TICKS[metric], STYLES)
        axes.set(xlabel="unconverged labels (%)", ylabel=f"test {label}")
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_detection(rows: pandas.DataFrame, folder: Path) -> None:
    """ROC curves, and what was found against how wrong the label was; the numbers go into detection.json."""
    wrongness = how_wrong()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    curves = []
    for arm, dashes in (("published", "--"), ("default", "-")):
        for share, colour in zip((0.15, 0.3, 0.43), ("#56B4E9", "#0072B2", "#000000"), strict=True):
            seeds = rows[(rows.arm == arm) & (rows.share == share)].seed.tolist()
            if not seeds:
                continue
            weight, bad = map(np.concatenate, zip(*(weights(share, seed, arm) for seed in seeds), strict=True))
            error = np.tile(wrongness, len(seeds))
            false, true = roc(weight, bad)
            inside = np.digitize(error, BINS) - 1
            recall = [float((weight[bad & (inside == i)] < 0.5).mean()) for i in range(len(BINS) - 1)]
            label = f"{STYLES[arm][0]}, {100 * share:g} %"
            left.step(false, true, dashes, color=colour, where="post", label=label)
            right.stairs(recall, np.minimum(BINS, LAST), color=colour, linestyle=dashes)
            curves.append({"arm": arm, "share": share, "seeds": seeds, "recall_by_label_error": recall})
    left.set_xscale("symlog", linthresh=1e-3)
    left.set(xlabel="right labels called wrong (share)", ylabel="wrong labels found (share)", xlim=(0, 1))
    left.legend(frameon=False, fontsize=7, loc="lower right")
    right.set(xlabel="error of the label's energy (meV/atom)", ylabel="found at weight 1/2 (share)", ylim=(-0.02, 1.02))
    right.set_xscale("symlog", linthresh=2)
    right.set_xlim(0, LAST)
    right.set_xticks(BINS[:-1], labels=[f"{edge:g}" for edge in BINS[:-1]])
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(folder / "detection.png", dpi=150)
    plt.close(figure)
    bins = BINS[:-1].tolist()
    (folder / "detection.json").write_text(json.dumps({"from_meV_per_atom": bins, "curves": curves}, indent=1) + "\n")


def how_wrong() -> np.ndarray:
    """|unconverged - converged| energy of every training configuration, meV/atom."""
    frames = labelled()["train"]
    return np.array([1e3 * abs(a.info["unconverged_energy"] - a.info["converged_energy"]) / len(a) for a in frames])


def weights(share: float, seed: int, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Final weights of the training configurations, and which have wrong labels, in the order of the file."""
    name = f"unconverged-{share:g}-seed-{seed}"
    table = read_results(WORK / "runs" / name / arm).table
    own = table[table["split"] == "train"].sort_values("frame")
    bad = [atoms.info["unconverged"] for atoms in read(WORK / "data" / name / "train.xyz", ":")]
    return own["weight"].to_numpy(), np.array(bad, dtype=bool)[own["frame"].to_numpy()]


def roc(weight: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of right and of wrong labels below each weight, ascending."""
    order = np.argsort(weight, kind="stable")
    return np.cumsum(~bad[order]) / (~bad).sum(), np.cumsum(bad[order]) / bad.sum()
