"""Figures of losses and weights: the loss distribution of each head, and the weights over the epochs."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from scipy.stats import norm

from .figures import BLACK, GREY, MOST_HEADS, OTHER, PALE, SUSPECT, Figure, label, note, plain_ticks
from .summary import Head, Summary, number
from .text import percent

LOG_FROM = 300  # configurations in the highest bin, from which a linear axis would hide the suspects
QUANTILES = ("5", "25", "50", "75", "95")


def _shown(summary: Summary) -> list[Head]:
    return sorted(summary.heads, key=lambda head: -head.members)[:MOST_HEADS]


def _more(summary: Summary) -> str:
    hidden = len(summary.heads) - MOST_HEADS
    return f" The {MOST_HEADS} largest heads; {hidden} more are not shown." if hidden > 0 else ""


def _legend(canvas: Canvas, panels: list[Axes], side: str) -> None:
    """Name what is drawn, above all panels; the panel with most to name speaks for all."""
    handles, names = max((axes.get_legend_handles_labels() for axes in panels), key=lambda found: len(found[1]))
    place: Any = f"outside upper {side}"
    canvas.legend(handles, names, loc=place, ncols=4, handlelength=1.4)


# --- losses ----------------------------------------------------------------------------------------------------------


def draw_losses(table: pandas.DataFrame, summary: Summary) -> Figure:
    """Histogram of the losses of each head with the fitted distribution and the threshold."""
    heads = _shown(summary)
    canvas = Canvas(figsize=(7.6, 0.6 + 2.3 * len(heads)))
    panels = np.atleast_1d(canvas.subplots(len(heads), 1, squeeze=False)[:, 0])
    loss = table["loss"].to_numpy().astype(float)
    usable = np.isfinite(loss) & (loss > 0) & summary.visited
    for axes, head in zip(panels, heads, strict=True):
        here = usable & (table["head"] == head.name).to_numpy()
        _draw_head(axes, loss[here], summary.suspect[here], head)
        if len(summary.heads) > 1:
            axes.set_title(f"head {label(head.name)}")
    panels[-1].set_xlabel("loss of a configuration at its last visit (unit of the base loss)")
    _legend(canvas, list(panels), "right")
    caption = (
        "The curve is the fitted normal distribution, lopsided on a logarithmic axis, with its mean mu and standard "
        "deviation sigma. Beyond mu + t sigma a configuration has less than half its weight."
    )
    if not any(np.isfinite(head.location) for head in heads):
        caption = "Losses on a logarithmic axis. The fitted distribution was not recorded."
    return Figure("loss_distribution", "Losses", caption + _more(summary), canvas)


def _draw_head(axes: Axes, loss: NDArray[np.float64], suspect: NDArray[np.bool_], head: Head) -> None:
    if not len(loss):
        note(axes, "no loss recorded")
        return
    edges = _edges(loss, head)
    loss = loss.clip(edges[0], edges[-1])
    counts = np.histogram(loss, edges)[0]
    axes.stairs(counts, edges, fill=True, color=PALE, label="configurations")
    axes.stairs(np.histogram(loss[suspect], edges)[0], edges, fill=True, color=SUSPECT, label="suspects")
    logarithmic = counts.max() > LOG_FROM
    top = counts.max() * (3 if logarithmic else 1.18)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylabel="configurations")
    if np.isfinite(head.location) and head.scale > 0:
        points = np.geomspace(edges[0], edges[-1], 400)
        width = np.log(edges[1] / edges[0])
        expected = len(loss) * norm.pdf(points, head.location, head.scale) * points * width
        axes.plot(points, expected, color=BLACK, linewidth=1.2, label="fitted normal distribution")
        top = max(top, 1.1 * expected.max())
        _mark(axes, head)
    axes.set_yscale("log" if logarithmic else "linear")
    axes.set_ylim(0.6 if logarithmic else 0, top)
    if not logarithmic:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    plain_ticks(axes.xaxis)


def _edges(loss: NDArray[np.float64], head: Head) -> NDArray[np.float64]:
    """Log-spaced bins; the few smallest losses go to the first bin."""
    low, high = np.quantile(loss, 0.002), loss.max()
    cut = head.location + head.threshold * head.scale
    low, high = min(low, high / 3), max(high, 1.5 * cut if np.isfinite(cut) else 0)
    return np.geomspace(0.8 * low, 1.25 * high, int(np.clip(12 * np.sqrt(len(loss)) / 4, 16, 70)))


def _mark(axes: Axes, head: Head) -> None:
    """Lines at mu and at mu + t sigma."""
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "fontsize": 8, "va": "top"}
    axes.axvline(head.location, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.text(head.location, 0.98, "mu ", ha="right", color=GREY, **style)
    cut = head.location + head.threshold * head.scale
    if np.isfinite(cut):
        axes.axvline(cut, color=SUSPECT, linewidth=1.2)
        axes.text(cut, 0.98, f" mu + {head.threshold:g} sigma", ha="left", color=SUSPECT, **style)


# --- weights ---------------------------------------------------------------------------------------------------------


def history_of(about: Mapping[str, Any], head: str) -> list[dict[str, Any]]:
    """Return the epochs of a head in order; of an epoch that was repeated after a restart, the last."""
    found = {}
    for entry in about.get("history") or []:
        if str(entry.get("head")) == head and np.isfinite(number(entry.get("epoch"))):
            found[number(entry["epoch"])] = entry
    return [found[epoch] for epoch in sorted(found)]


def draw_weights(table: pandas.DataFrame, summary: Summary, about: Mapping[str, Any]) -> Figure:
    """For each head: quantiles of the weight and share below 0.5 by epoch, and the latest weights."""
    heads = _shown(summary)
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
    caption = "The latest weights; two separate groups mean a clear separation."
    if not recorded and not summary.audit:
        caption += " The history was not recorded."
    if recorded:
        _legend(canvas, [row[0] for row in panels], "left")
        caption = (
            "Left: weights over the epochs, median, mean, and the ranges that hold 50 % and 90 % of the "
            "configurations. "
            "Middle: share with a weight below 0.5. Right: the latest weights; two separate groups mean a clear "
            "separation."
        )
    return Figure("weights", "Weights", caption + _more(summary), canvas)


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
    axes.text(epochs[-1], shares[-1], f"{percent(shares[-1])} ", color=SUSPECT, ha="right", va="bottom", fontsize=8)
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
