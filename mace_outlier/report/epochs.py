"""Figure of the weights: over the epochs, and the latest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..results.wrong_labels import number
from . import figures
from .summary import Summary
from .text import percent

NUMBERS = ["epoch", "mean_weight", "share_below_half", *(f"quantiles.{q}" for q in (5, 25, 50, 75, 95))]


def read_history(about: Mapping[str, Any]) -> pandas.DataFrame:
    """Return a row for each head and epoch, in order: of an epoch that was repeated after a restart, the last."""
    history = pandas.json_normalize(about.get("history") or []).reindex(columns=["head", "stage", *NUMBERS])
    history[NUMBERS] = history[NUMBERS].apply(lambda column: column.map(number)).astype(float)
    history = history[np.isfinite(history["epoch"])].drop_duplicates(["head", "epoch"], keep="last")
    return history.sort_values("epoch", kind="stable")


def draw_weights(table: pandas.DataFrame, summary: Summary, about: Mapping[str, Any]) -> figures.Figure:
    """For each head: quantiles of the weight and share below 0.5 by epoch, and the latest weights."""
    heads, history = figures.largest(summary.heads), read_history(about)
    recorded = bool(history["head"].isin([head.name for head in heads]).any())
    canvas = Canvas(figsize=(7.6, 0.6 + 2.2 * len(heads)))
    widths = (3, 2, 2) if recorded else (1,)
    panels = canvas.subplots(len(heads), len(widths), squeeze=False, width_ratios=widths)
    for row, head in zip(panels, heads, strict=True):
        weight = table["weight"].to_numpy()[(table["head"] == head.name).to_numpy() & summary.judged]
        figures.draw_histogram(row[-1], weight, weight < summary.below, np.linspace(0, 1, 21), log_from=0)
        row[-1].set(xlabel="weight", ylabel="configurations", title="latest weights")
        if recorded:
            row[0].set_title("weight")
            row[1].set_title("share below 0.5")
            _draw_epochs(row[0], row[1], history[history["head"] == head.name])
        if len(summary.heads) > 1:
            row[0].set_title(f"{row[0].get_title(loc='left')}, head {figures.label(head.name, 18)}")
    if recorded:
        figures.head_legend(canvas, [row[0] for row in panels], "left")
    return figures.Figure("weights", "Weights", _caption(summary, recorded) + figures.more_heads(summary.heads), canvas)


def _caption(summary: Summary, recorded: bool) -> str:
    latest = "the latest weights" + (", with those of the validation set" if summary.validation.any() else "")
    meaning = "two separate groups mean a clear separation."
    if not recorded:
        missing = "" if summary.audit else " The history was not recorded."
        return f"{latest.capitalize()}; {meaning}{missing}"
    return (
        "Left: weights over the epochs, median, mean, and the ranges that hold 50 % and 90 % of the configurations. "
        f"Middle: share with a weight below 0.5. Right: {latest}; {meaning}"
    )


def _draw_epochs(left: Axes, right: Axes, history: pandas.DataFrame) -> None:
    """Weights by epoch to the left, and the share of low ones to the right."""
    if history.empty:
        figures.note(left, "history not recorded")
        figures.note(right, "history not recorded")
        return
    epochs, shares = history["epoch"], history["share_below_half"]
    q5, q25, median, q75, q95 = (history[name] for name in NUMBERS[3:])
    style: dict[str, Any] = {"marker": "o" if len(epochs) == 1 else None}
    left.fill_between(epochs, q5, q95, color=figures.OTHER, alpha=0.18, linewidth=0, label="90 % of them")
    left.fill_between(epochs, q25, q75, color=figures.OTHER, alpha=0.38, linewidth=0, label="50 % of them")
    left.plot(epochs, median, color=figures.OTHER, label="median", **style)
    left.plot(epochs, history["mean_weight"], color=figures.BLACK, linestyle=figures.DASHES, label="mean", **style)
    left.set_ylim(-0.02, 1.04)
    right.plot(epochs, shares, color=figures.SUSPECT, **style)
    above = shares.tail(1 + len(shares) // 3).max()  # the line beneath the number
    right.text(epochs.iloc[-1], above, f"{percent(shares.iloc[-1])} ", color=figures.SUSPECT, ha="right", va="bottom")
    right.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    right.yaxis.set_major_locator(MaxNLocator(5))
    right.set_ylim(0, max(0.01, np.nan_to_num(1.2 * shares.max())))
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    for stage, first in history.groupby("stage", sort=False)["epoch"].min().iloc[1:].items():
        for axes in (left, right):
            axes.axvline(first - 0.5, color=figures.GREY, linewidth=0.9, linestyle=figures.DASHES)
        name = figures.label(str(stage)).replace("_", " ")
        left.text(first - 0.5, 0.02, f" {name}", color=figures.GREY, transform=left.get_xaxis_transform())
