"""For which wrong labels does it matter? A map of stock MACE's errors over ours, and of ours over the oracle's."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas
from readme_tables import markdown
from spice_cells import SEVERITY, SHARES

RATIO = "energy_mae_ratio"  # mean absolute errors: the RMSE is that of two small molecules
THREE = 3.0  # the paper's factor (arXiv:2602.08849, SPICE)
WRONG = [share for share in SHARES if share > 0]
KINDS = sorted(SEVERITY, key=SEVERITY.get)


def in_common(rows: pandas.DataFrame) -> pandas.DataFrame:
    """The trainings of stock MACE and of ours, of each kind and share those of the seeds that both have."""
    both = rows[rows.arm.isin(["weighted", "default"])]
    return both[both.groupby(["kind", "share", "seed"])["arm"].transform("nunique") == 2]


def grid(rows: pandas.DataFrame, arm: str) -> np.ndarray:
    """Energy errors over the oracle's, by how wrong the labels are (down) and their share; NaN: not trained."""
    own = rows[rows.arm == arm].groupby(["kind", "share"])[RATIO].mean()
    return np.array([[own.get((kind, share), np.nan) for share in WRONG] for kind in KINDS])


def draw_map(rows: pandas.DataFrame, noise: dict[str, float], path: Path) -> None:
    """The two maps; on the first, the line on which stock MACE's errors are three times ours."""
    rows = in_common(rows)
    stock, ours = grid(rows, "weighted"), grid(rows, "default")
    maps = {"stock weighted over ema_robust": stock / ours, "ema_robust over the oracle": ours}
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained", sharey=True)
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        shown = axes.imshow(np.log2(values), cmap="RdBu_r", vmin=-2.3, vmax=2.3, origin="lower", aspect="auto")
        for (down, across), value in np.ndenumerate(values):
            text, color = "-" if np.isnan(value) else f"{value:.2f}", "white" if abs(np.log2(value)) > 1.3 else "black"
            axes.text(across, down, text, ha="center", va="center", color=color)
        axes.set(title=title, xlabel="wrong labels, %", xticks=range(len(WRONG)), yticks=range(len(KINDS)))
        axes.set_xticklabels([f"{100 * share:g}" for share in WRONG])
        axes.set_yticklabels([f"{SEVERITY[kind] * noise['rms_meV_per_atom']:.0f}" for kind in KINDS])
    if np.isfinite(stock / ours).all():
        panels[0].contour(stock / ours, levels=[THREE], colors="black", linewidths=2)
    panels[0].set_ylabel("how wrong, meV/atom (RMS)")
    bar = figure.colorbar(shown, ax=panels, ticks=np.log2([0.25, 0.5, 1, 2, 3, 4]))
    bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "3", "4"])
    bar.set_label("mean absolute error of energies, ratio")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def table(rows: pandas.DataFrame, noise: dict[str, float]) -> str:
    """Markdown: stock over ours, and ours over the oracle."""
    rows = in_common(rows)
    stock, ours = grid(rows, "weighted"), grid(rows, "default")
    lines = []
    for kind, of_stock, own in zip(KINDS, stock, ours, strict=True):
        cells = ["-" if np.isnan(s / o) else f"{s / o:.2f} x; {o:.2f} x" for s, o in zip(of_stock, own, strict=True)]
        lines.append([f"{SEVERITY[kind] * noise['rms_meV_per_atom']:.0f} meV/atom", *cells])
    return markdown(["wrong by (RMS)", *(f"{100 * share:g} % wrong" for share in WRONG)], lines)
