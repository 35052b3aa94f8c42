"""The figure of the demo: test errors of the arms, and the weights that good and bad training frames ended with."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with colour-blindness can tell apart.
STYLES = {
    "weighted": ("stock MACE\nweighted", "#D55E00"),
    "ema_robust": ("plugin\nema_robust", "#0072B2"),
    "oracle": ("oracle\ngood only", "#999999"),
}
GOOD, BAD = "#56B4E9", "#333333"


def draw_errors(axes: Axes, results: list[dict], metric: str, title: str, unit: str) -> None:
    """A bar for each arm (mean over the seeds) with a dot for each seed."""
    arms = [arm for arm in STYLES if any(result["arm"] == arm for result in results)]
    means = []
    for place, arm in enumerate(arms):
        values = [result[metric] for result in results if result["arm"] == arm]
        means.append(np.mean(values))
        axes.bar(place, means[-1], width=0.68, color=STYLES[arm][1], zorder=2)
        if len(values) > 1:
            shifts = np.linspace(-0.12, 0.12, len(values))
            axes.scatter(place + shifts, values, s=16, color="white", edgecolor="black", linewidth=0.8, zorder=3)
        label_place = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{means[-1]:.1f}", (place, max(values)), weight="bold", **label_place)
    axes.set_xticks(range(len(arms)), [STYLES[arm][0] for arm in arms])
    axes.tick_params(axis="x", length=0, labelsize=9.5)
    axes.set_ylim(0, 1.22 * max(result[metric] for result in results))
    axes.set_ylabel(unit)
    axes.set_title(title, loc="left")


def draw_weights(axes: Axes, results: list[dict]) -> None:
    """Histogram of the final weights, as a share of the good and of the bad training frames (all seeds together)."""
    weighted = [result["weights"] for result in results if "weights" in result]
    bins = np.linspace(-0.05, 1.05, 12)  # about 0, 0.1 ... 1
    for offset, kind, name, colour in ((-1, "good", "correct labels", GOOD), (1, "bad", "wrong labels", BAD)):
        weights = np.concatenate([entry[kind] for entry in weighted])
        if not weights.size:
            continue
        shares = 100 * np.histogram(weights, bins)[0] / weights.size
        centres = (bins[:-1] + bins[1:]) / 2 + offset * 0.022
        label = f"{name} (mean weight {weights.mean():.2f})"
        axes.bar(centres, shares, width=0.042, color=colour, label=label, zorder=2)
    axes.set_xlim(-0.07, 1.07)
    axes.set_ylim(0, 100)
    axes.set_xlabel("weight at the end (0 = ignored, 1 = fully used)")
    axes.set_ylabel("share of these frames (%)")
    axes.set_title("Weights of the training frames", loc="left")
    axes.legend(frameon=False, loc="center")


def draw(results: list[dict], path: Path) -> None:
    """Write the figure (PNG, 1800 pixels wide: sharp at 900)."""
    style = {
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "grid.color": "#e5e5e5",
    }
    with plt.rc_context(style):
        figure, (energy, forces, weights) = plt.subplots(
            1, 3, figsize=(10, 4.0), width_ratios=(1, 1, 1.5), layout="constrained"
        )
        draw_errors(energy, results, "energy_rmse_meV_per_atom", "Test error, energies", "RMSE (meV/atom)")
        draw_errors(forces, results, "force_rmse_meV_per_A", "Test error, forces", "RMSE (meV/Å)")
        draw_weights(weights, results)
        figure.suptitle("MACE trained on water clusters, 15 % of the labels from unconverged calculations", fontsize=13)
        temporary = path.with_name(path.name + ".tmp")
        figure.savefig(temporary, dpi=180, format="png")
        plt.close(figure)
    os.replace(temporary, path)
