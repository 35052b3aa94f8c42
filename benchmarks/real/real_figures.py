"""Figures: what was found, and test errors over the oracle's, by data set and fault for all arms."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas
from faults import FAULTS
from figures import STYLES as OTHERS  # of the ablation
from matplotlib.ticker import NullFormatter
from real_cells import PLANTED

STYLES = {arm: OTHERS[arm] for arm in ("weighted", "universal", "published")}
STYLES |= {"landed": ("ema_robust, landed before", "#56B4E9", "v"), "ema_robust": OTHERS["default"]}  # Okabe and Ito
FOUND = {"recall": "recall at the end", "precision": "precision at the end"}
RATIOS = {"energy_ratio": "energy RMSE / oracle's", "force_ratio": "force RMSE / oracle's"}
SMALLEST, LARGEST = 0.3, 10.0  # ratios that are drawn; others lie on the edge


def draw(rows: pandas.DataFrame, folder: Path) -> None:
    """detection.png and errors.png: a column for each set, faults down, of trainings on energies and forces."""
    rows = rows[(rows.train == "forces") & rows.set.isin(PLANTED)]
    if not len(rows):
        return
    draw_panels(
        rows[rows.arm.isin(["published", "landed", "ema_robust"]) & (rows.fault != "clean")],
        FOUND,
        folder / "detection.png",
    )
    draw_panels(rows[rows.arm != "oracle"], RATIOS, folder / "errors.png")


def draw_panels(rows: pandas.DataFrame, columns: dict[str, str], path: Path) -> None:
    """One row of panels for each column; marks are single trainings. What has no figure to draw gets no panel."""
    rows = rows[rows.reindex(columns=list(columns)).notna().any(axis=1)]
    sets = [name for name in PLANTED if name in set(rows.set)]
    faults = [name for name in FAULTS if name in set(rows.fault)][::-1]
    if not sets:
        path.unlink(missing_ok=True)  # else a figure of earlier results would stay
        return
    size = (2.8 * len(sets) + 1, (0.25 * len(faults) + 1) * len(columns))
    figure, panels = plt.subplots(
        len(columns), len(sets), figsize=size, layout="constrained", squeeze=False, sharey=True, sharex="row"
    )
    for line, (column, label) in zip(panels, columns.items(), strict=True):
        for axes, name in zip(line, sets, strict=True):
            draw_panel(axes, rows[rows.set == name], column, faults)
            axes.set(title=name, xlabel=label)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def draw_panel(axes: plt.Axes, rows: pandas.DataFrame, column: str, faults: list[str]) -> None:
    """One quantity of one data set, by fault and arm."""
    arms = [arm for arm in STYLES if arm in set(rows.arm)]
    for number, arm in enumerate(arms):
        name, colour, marker = STYLES[arm]
        own = rows[rows.arm == arm]
        height = [faults.index(fault) + 0.6 * (0.5 - (number + 0.5) / len(arms)) for fault in own.fault]
        values = own[column].clip(SMALLEST, LARGEST) if column in RATIOS else own[column]
        axes.plot(values, height, marker, color=colour, label=name, ms=4, alpha=0.8, ls="none", clip_on=False)
    axes.set_yticks(range(len(faults)), labels=faults)
    if column in RATIOS:
        axes.set_xscale("log")
        axes.set_xlim(SMALLEST, LARGEST)
        axes.set_xticks([0.5, 1, 2, 5, 10], labels=["0.5", "1", "2", "5", ">= 10"])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.axvline(1.05, color="#777777", lw=0.8)
    else:
        axes.set_xlim(0, 1.02)
        axes.axvline(0.95, color="#777777", lw=0.8)
    axes.grid(alpha=0.3)
