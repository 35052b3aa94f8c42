"""Figure of the ablation: test errors against the share of wrong labels."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas
from matplotlib.ticker import NullFormatter

STYLES = {  # colour-blind safe (Okabe and Ito)
    "weighted": ("stock weighted", "#D55E00", "s"),
    "universal": ("stock universal", "#E69F00", "D"),
    "published": ("ema_robust, as published", "#CC79A7", "^"),
    "default": ("ema_robust", "#0072B2", "o"),
    "oracle": ("good frames only", "#777777", "x"),
}
METRICS = {"energy_rmse_meV_per_atom": "energy RMSE (meV/atom)", "force_rmse_meV_per_A": "force RMSE (meV/Å)"}
TICKS = {"energy_rmse_meV_per_atom": [3, 5, 10, 20, 50], "force_rmse_meV_per_A": [50, 70, 100, 150]}
TITLES = {"unconverged": "wrong labels that agree with one another", "random_sign": "wrong labels of random sign"}


def draw_shares(rows: pandas.DataFrame, path: Path) -> None:
    """Rows of panels by kind of wrong label, energy and forces; small marks are single trainings, lines their means."""
    kinds = [kind for kind in TITLES if rows[(rows.kind == kind) & (rows.arm == "default")].share.nunique() > 1]
    figure, panels = plt.subplots(
        len(kinds), 2, figsize=(9, 3.6 * len(kinds)), layout="constrained", squeeze=False, sharey="col"
    )
    for line, kind in zip(panels, kinds, strict=True):
        own = with_common_points(rows, kind)
        for axes, (metric, label) in zip(line, METRICS.items(), strict=True):
            draw_panel(axes, own, metric, TICKS[metric])
            axes.set(xlabel="wrong labels (%)", ylabel=label, title=TITLES[kind])
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def with_common_points(rows: pandas.DataFrame, kind: str) -> pandas.DataFrame:
    """The rows of a kind, with those of clean data; the oracle of clean data is the stock training."""
    clean = rows[(rows.kind == "unconverged") & (rows.share == 0)]
    oracle = clean[clean.arm == "weighted"].assign(arm="oracle")
    own = rows[(rows.kind == kind) & (rows.share > 0)]
    more = rows[(rows.kind == "unconverged") & (rows.arm == "oracle") & (kind != "unconverged")]
    return pandas.concat((clean, oracle, own, more))


def draw_panel(
    axes: plt.Axes, rows: pandas.DataFrame, metric: str, ticks: list[int], styles: dict[str, tuple] = STYLES
) -> None:
    """One metric against the share of wrong labels."""
    for arm, (name, colour, marker) in styles.items():
        own = rows[rows.arm == arm]
        if len(own):
            mean = own.groupby("share")[metric].mean()
            axes.plot(100 * mean.index, mean, marker + "-", color=colour, label=name, lw=1.6, ms=6)
            axes.plot(100 * own.share, own[metric], marker, color=colour, ms=3, alpha=0.5)
    axes.set_yscale("log")
    axes.set_yticks(ticks, labels=[str(tick) for tick in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
