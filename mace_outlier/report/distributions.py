"""Figure of the losses of each head: histogram, with the fitted distribution, or with z-scores beside it."""

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .figures import BLACK, GREY, PALE, SUSPECT, Figure, head_legend, label, largest, more_heads, note, plain_ticks
from .heads import Head
from .losses import LOGNORMAL, MIXTURE, NORMAL, Losses
from .summary import Summary

LOG_FROM = 300  # configurations in the highest bin, from which a linear axis would hide the suspects
FAR = 30.0  # times the highest loss: a cut beyond that is named, not shown
LEAST = 0.05  # configurations per bin: a curve that is drawn along the axis would say nothing
NEAREST = 0.1  # z-scores below that are not told apart
DASHES: Any = (0, (4, 3))

CAPTIONS = {
    NORMAL: "The curve is the fitted normal distribution, lopsided on a logarithmic axis, with its mean mu and "
    "standard deviation sigma. Beyond mu + t sigma a configuration has less than half its weight.",
    LOGNORMAL: "The fitted normal distribution is that of the logarithm of the loss, with its mean mu and standard "
    "deviation sigma: labels were not judged yet. Beyond exp(mu + t sigma) a configuration has less than half its "
    "weight.",
    MIXTURE: "Labels are judged by errors that the geometry doesn't explain, not by the loss: a hard configuration may "
    "have a larger loss than a suspect. Right: how far the worst label of each configuration lies from right ones, in "
    f"their widths (z; below {NEAREST:g} in the first bin).",
}

Array = NDArray[np.float64]


def draw_losses(table: pandas.DataFrame, summary: Summary) -> Figure:
    """Histogram of the losses of each head; with the fitted distribution and where the weight is 1/2, or with z-scores.

    Only what was learnt from, not the validation set.
    """
    heads = largest(summary.heads)
    canvas = Canvas(figsize=(7.6, 0.75 + 2.3 * len(heads)))
    grid = canvas.add_gridspec(len(heads), 5)
    loss, zscore = (table[name].to_numpy().astype(float) for name in ("loss", "zscore"))
    usable = np.isfinite(loss) & (loss > 0) & summary.visited & ~summary.validation
    panels, beside = [], []
    for row, head in enumerate(heads):
        judged = head.losses.kind == MIXTURE and head.losses.recorded
        axes = canvas.add_subplot(grid[row, :3] if judged else grid[row, :])
        here = usable & (table["head"] == head.name).to_numpy()
        _draw_head(axes, loss[here], summary.suspect[here], head.losses)
        panels.append(axes)
        if len(summary.heads) > 1:
            axes.set_title(f"head {label(head.name)}")
        if judged:
            beside.append(canvas.add_subplot(grid[row, 3:]))
            _draw_zscores(beside[-1], zscore[here], summary.suspect[here])
    panels[-1].set_xlabel("loss at the last visit (unit of the base loss)")
    for axes in beside[-1:]:
        axes.set_xlabel("z (widths of right labels)")
    head_legend(canvas, panels, "right")
    return Figure("loss_distribution", "Losses", _caption(heads, summary), canvas)


def _caption(heads: list[Head], summary: Summary) -> str:
    """What the curves and the line are, and what else is shown."""
    said = list(dict.fromkeys(CAPTIONS[head.losses.kind] for head in heads if head.losses.recorded))
    if not said:
        said = ["Losses on a logarithmic axis. How the labels were judged was not recorded."]
    said += ["The validation set is left out."] * bool(summary.trained)
    return " ".join(said) + more_heads(summary.heads)


def _draw_head(axes: Axes, loss: Array, suspect: NDArray[np.bool_], losses: Losses) -> None:
    if not len(loss):
        note(axes, "no loss recorded")
        return
    edges = _edges(loss, losses)
    highest, logarithmic = _bars(axes, loss, suspect, edges)
    top = highest * (3 if logarithmic else 1.18)
    if losses.curve:
        top = max(top, 1.1 * _curve(axes, edges, len(loss), losses))
        _mark(axes, losses, edges)
    axes.set(ylabel="configurations", ylim=(0.6 if logarithmic else 0, top))


def _draw_zscores(axes: Axes, zscore: Array, suspect: NDArray[np.bool_]) -> None:
    """How far the worst label of each configuration lies from right ones."""
    known = ~np.isnan(zscore)
    if not known.any():
        note(axes, "no z-score recorded")
        return
    highest = max(float(np.max(zscore[known], where=np.isfinite(zscore[known]), initial=NEAREST)), 10 * NEAREST)
    edges = np.geomspace(NEAREST / 1.25, 1.25 * highest, _bins(len(zscore)) * 2 // 3)
    top, logarithmic = _bars(axes, zscore[known], suspect[known], edges)
    axes.set_ylim(0.6 if logarithmic else 0, top * (3 if logarithmic else 1.18))


def _bars(axes: Axes, values: Array, suspect: NDArray[np.bool_], edges: Array) -> tuple[float, bool]:
    """Draw all and, before them, suspects; return the highest bar, and whether the axis of counts is logarithmic."""
    values = values.clip(edges[0], edges[-1])
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts, edges, fill=True, color=PALE, label="configurations")
    axes.stairs(np.histogram(values[suspect], edges)[0], edges, fill=True, color=SUSPECT, label="suspects")
    logarithmic = bool(counts.max() > LOG_FROM)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), yscale="log" if logarithmic else "linear")
    if not logarithmic:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    plain_ticks(axes.xaxis)
    return float(counts.max()), logarithmic


def _bins(members: int) -> int:
    return int(np.clip(12 * np.sqrt(members) / 4, 16, 70))


def _edges(loss: Array, losses: Losses) -> Array:
    """Log-spaced bins; the few smallest losses go to the first bin."""
    low, high = np.quantile(loss, 0.002), loss.max()
    cut = losses.crossing(0.5)
    low, high = min(low, high / 3), max(high, 1.5 * cut if cut < FAR * high else 0)
    return np.geomspace(0.8 * low, 1.25 * high, _bins(len(loss)))


def _curve(axes: Axes, edges: Array, members: int, losses: Losses) -> float:
    """Expected configurations per bin; return the highest."""
    x = np.linspace(np.log(edges[0]), np.log(edges[-1]), 400)
    curve = members * np.log(edges[1] / edges[0]) * losses.density(x)
    shown = np.where(curve > LEAST, curve, np.nan)
    axes.plot(np.exp(x), shown, label="fitted distribution", color=BLACK, linewidth=1.2)
    return float(curve.max())


def _mark(axes: Axes, losses: Losses, edges: Array) -> None:
    """Lines at the centre, and where the weight is 1/2."""
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "fontsize": 8, "va": "top"}
    if edges[0] < losses.centre < edges[-1]:
        axes.axvline(losses.centre, color=GREY, linewidth=0.9, linestyle=DASHES)
        axes.text(losses.centre, 0.98, "mu " if losses.kind == NORMAL else "exp(mu) ", ha="right", color=GREY, **style)
    cut = losses.crossing(0.5)
    if edges[0] < cut < edges[-1]:
        name = f"mu + {losses.threshold:g} sigma"
        axes.axvline(cut, color=SUSPECT, linewidth=1.2)
        shown = name if losses.kind == NORMAL else f"exp({name})"
        axes.text(cut, 0.98, f" {shown} ", ha="left", color=SUSPECT, **style)
