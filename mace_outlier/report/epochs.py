"""Figure of the weights: over the epochs, and the latest."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from ..results.wrong_labels import number
from .figures import (
    BLACK,
    GREY,
    OTHER,
    PALE,
    SUSPECT,
    Figure,
    head_legend,
    label,
    largest,
    more_heads,
    note,
    plain_ticks,
)
from .summary import Summary
from .text import percent

QUANTILES = ("5", "25", "50", "75", "95")


def history_of(about: Mapping[str, Any], head: str) -> list[dict[str, Any]]:
    """Return the epochs of a head in order; of an epoch that was repeated after a restart, the last."""
    found = {}
    for entry in about.get("history") or []:
        if str(entry.get("head")) == head and np.isfinite(number(entry.get("epoch"))):
            found[number(entry["epoch"])] = entry
    return [found[epoch] for epoch in sorted(found)]


def draw_weights(table: pandas.DataFrame, summary: Summary, about: Mapping[str, Any]) -> Figure:
    """For each head: quantiles of the weight and share below 0.5 by epoch, and the latest weights."""
    heads = largest(summary.heads)
    histories = [history_of(about, head.name) for head in heads]
    recorded = any(histories)
    canvas = Canvas(figsize=(7.6, 0.6 + 2.2 * len(heads)))
    panels = canvas.subplots(
        len(heads), 3 if recorded else 1, squeeze=False, width_ratios=(3, 2, 2) if recorded else None
    )
    weight = table["weight"].to_numpy()
    for row, head, history in zip(panels, heads, histories, strict=True):
        name = f", head {label(head.name, 18)}" if len(summary.heads) > 1 else ""
        _latest(row[-1], weight[(table["head"] == head.name).to_numpy() & summary.visited], summary.below)
        row[-1].set_title("latest weights" + ("" if recorded else name))
        if recorded:
            _fan(row[0], history)
            _share(row[1], history)
            row[0].set_title("weight" + name)
            row[1].set_title("share below 0.5")
    latest = "the latest weights" + (", with those of the validation set" if summary.validation.any() else "")
    caption = f"{latest.capitalize()}; two separate groups mean a clear separation."
    if not recorded and not summary.audit:
        caption += " The history was not recorded."
    if recorded:
        head_legend(canvas, [row[0] for row in panels], "left")
        caption = (
            "Left: weights over the epochs, median, mean, and the ranges that hold 50 % and 90 % of the "
            "configurations. "
            f"Middle: share with a weight below 0.5. Right: {latest}; two separate groups mean a clear separation."
        )
    return Figure("weights", "Weights", caption + more_heads(summary.heads), canvas)


def _fan(axes: Axes, history: list[dict[str, Any]]) -> None:
    if not history:
        note(axes, "history not recorded")
        return
    epochs = [number(entry["epoch"]) for entry in history]
    columns = np.array([[number((entry.get("quantiles") or {}).get(q)) for q in QUANTILES] for entry in history]).T
    marker = "o" if len(epochs) == 1 else None
    axes.fill_between(epochs, columns[0], columns[4], color=OTHER, alpha=0.18, linewidth=0, label="90 % of them")
    axes.fill_between(epochs, columns[1], columns[3], color=OTHER, alpha=0.38, linewidth=0, label="50 % of them")
    axes.plot(epochs, columns[2], color=OTHER, linewidth=1.4, marker=marker, label="median")
    mean = [number(entry.get("mean_weight")) for entry in history]
    axes.plot(epochs, mean, color=BLACK, linewidth=1, linestyle=(0, (3, 2)), marker=marker, label="mean")
    axes.set(ylim=(-0.02, 1.04), xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _stages(axes, history, named=True)


def _share(axes: Axes, history: list[dict[str, Any]]) -> None:
    if not history:
        note(axes, "history not recorded")
        return
    epochs = [number(entry["epoch"]) for entry in history]
    shares = [number(entry.get("share_below_half")) for entry in history]
    axes.plot(epochs, shares, color=SUSPECT, linewidth=1.4, marker="o" if len(epochs) == 1 else None)
    above = np.nanmax([*shares[-1 - len(shares) // 3 :], 0])  # the line beneath it
    axes.text(epochs[-1], above, f"{percent(shares[-1])} ", color=SUSPECT, ha="right", va="bottom", fontsize=8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="epoch", ylim=(0, max(0.01, 1.2 * np.nanmax([*shares, 0]))))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _stages(axes, history, named=False)


def _stages(axes: Axes, history: list[dict[str, Any]], named: bool) -> None:
    """A line where stage two begins."""
    for before, after in pairwise(history):
        if before.get("stage") != after.get("stage"):
            place = (number(before["epoch"]) + number(after["epoch"])) / 2
            axes.axvline(place, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
            if named:
                name = label(after.get("stage", "")).replace("_", " ")
                axes.text(place, 0.02, f" {name}", color=GREY, fontsize=8, transform=axes.get_xaxis_transform())


def _latest(axes: Axes, weight: NDArray[np.floating], below: float) -> None:
    edges = np.linspace(0, 1, 21)
    counts, suspects = np.histogram(weight, edges)[0], np.histogram(weight[weight < below], edges)[0]
    axes.stairs(counts, edges, fill=True, color=PALE)
    axes.stairs(suspects, edges, fill=True, color=SUSPECT)
    axes.set(yscale="log", ylim=(0.6, 2 * max(counts.max(), 2)), xlim=(0, 1), xlabel="weight", ylabel="configurations")
    plain_ticks(axes.yaxis)
