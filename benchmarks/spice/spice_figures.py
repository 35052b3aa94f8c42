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
from training_files import write_json_atomically

from mace_outlier.results.reading import read_results

STYLES = figures.STYLES | {f"{REFINED}{ROUNDS}": (f"refinement, {ROUNDS + 1} trainings", "#009E73", "v")}
TICKS = {"energy_rmse_meV_per_atom": [7, 10, 15, 20, 30], "force_rmse_meV_per_A": [100, 120, 150, 200]}
BINS = np.array([0, 2, 5, 10, 20, 40, 80, 1000.0])  # of the error of a label, meV/atom
LAST = 160.0  # as drawn
DASHES = {"published": "--", "default": "-"}  # by arm
COLOURS = {0.15: "#56B4E9", 0.3: "#0072B2", 0.43: "#000000"}  # by share of wrong labels


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
    curves = detection_curves(rows, folder / "detection.json")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for one in curves:
        look = {"color": COLOURS[one["share"]], "linestyle": DASHES[one["arm"]]}
        label = f"{STYLES[one['arm']][0]}, {100 * one['share']:g} %"
        left.step(one["right_labels_called_wrong"], one["wrong_labels_found"], where="post", label=label, **look)
        right.stairs(one["recall_by_label_error"], np.minimum(BINS, LAST), **look)
    left.set_xscale("symlog", linthresh=1e-3)
    left.set(xlabel="right labels called wrong (share)", ylabel="wrong labels found (share)", xlim=(0, 1))
    right.set(xlabel="error of the label's energy (meV/atom)", ylabel="found at weight 1/2 (share)", ylim=(-0.02, 1.02))
    right.set_xscale("symlog", linthresh=2)
    right.set_xlim(0, LAST)
    right.set_xticks(BINS[:-1], labels=[f"{edge:g}" for edge in BINS[:-1]])
    right.minorticks_off()
    right.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=8, loc="upper left")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(folder / "detection.png", dpi=150)
    plt.close(figure)
    bins = BINS[:-1].tolist()
    write_json_atomically(folder / "detection.json", {"from_meV_per_atom": bins, "curves": curves})


def detection_curves(rows: pandas.DataFrame, committed: Path) -> list[dict]:
    """A curve for each share and arm: of the seeds whose weights are here, or a committed one of more seeds."""
    earlier = json.loads(committed.read_text())["curves"] if committed.exists() else []
    known = {(one["arm"], one["share"]): one for one in earlier}
    curves = []
    for arm in DASHES:
        for share in COLOURS:
            own = rows[(rows.arm == arm) & (rows.share == share)]
            seeds = [seed for seed in sorted(own.seed) if run_folder(share, seed, arm).exists()]
            one = known.get((arm, share))
            if seeds and (one is None or len(seeds) >= len(one["seeds"])):
                one = {"arm": arm, "share": share, "seeds": seeds} | detection_curve(share, seeds, arm)
            curves += [] if one is None else [one]
    return curves


def detection_curve(share: float, seeds: list[int], arm: str) -> dict[str, list[float]]:
    """ROC (at most some 200 points) and recall by the error of the label, of several seeds together."""
    weight, bad = map(np.concatenate, zip(*(weights(share, seed, arm) for seed in seeds), strict=True))
    inside = np.digitize(np.tile(how_wrong(), len(seeds)), BINS) - 1
    false, true = (np.insert(rates, 0, 0.0) for rates in roc(weight, bad))
    corners = np.unique(np.searchsorted(false, [0, *np.geomspace(1e-4, 1, 200)], side="right") - 1)
    return {
        "right_labels_called_wrong": np.round(false[corners], 5).tolist(),
        "wrong_labels_found": np.round(true[corners], 5).tolist(),
        "recall_by_label_error": [float((weight[bad & (inside == i)] < 0.5).mean()) for i in range(len(BINS) - 1)],
    }


def how_wrong() -> np.ndarray:
    """|unconverged - converged| energy of every training configuration, meV/atom."""
    frames = labelled()["train"]
    return np.array([1e3 * abs(a.info["unconverged_energy"] - a.info["converged_energy"]) / len(a) for a in frames])


def run_folder(share: float, seed: int, arm: str) -> Path:
    """Folder of a training."""
    return WORK / "runs" / f"unconverged-{share:g}-seed-{seed}" / arm


def weights(share: float, seed: int, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Final weights of the training configurations, and which have wrong labels, in the order of the file."""
    folder = run_folder(share, seed, arm)
    table = read_results(folder).table
    own = table[table["split"] == "train"].sort_values("frame")
    bad = [atoms.info["unconverged"] for atoms in read(WORK / "data" / folder.parent.name / "train.xyz", ":")]
    return own["weight"].to_numpy(), np.array(bad, dtype=bool)[own["frame"].to_numpy()]


def roc(weight: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of right and of wrong labels below each weight, ascending."""
    order = np.argsort(weight, kind="stable")
    return np.cumsum(~bad[order]) / (~bad).sum(), np.cumsum(bad[order]) / bad.sum()
