"""Figure of the losses of each head: histogram, with the fitted distribution, or with z-scores beside it."""

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from . import figures
from .heads import LOGNORMAL, MIXTURE, NORMAL, Head, Losses
from .summary import Summary

FARTHEST = 30.0  # times the highest loss: a threshold above that is not in the figure
LOWEST = 0.05  # configurations per bin, from which the fitted distribution is drawn
SMALLEST_Z = 0.1  # smaller ones go to the first bin

CAPTIONS = {
    NORMAL: "The curve is the fitted normal distribution, lopsided on a logarithmic axis, with its mean mu and "
    "standard deviation sigma. Beyond mu + t sigma a configuration has less than half its weight.",
    LOGNORMAL: "The fitted normal distribution is that of the logarithm of the loss, with its mean mu and standard "
    "deviation sigma: labels were not judged yet. Beyond exp(mu + t sigma) a configuration has less than half its "
    "weight.",
    MIXTURE: "Labels are judged by errors that the geometry doesn't explain, not by the loss: a hard configuration may "
    "have a larger loss than a suspect. Right: how far the worst label of each configuration lies from right ones, in "
    f"their widths (z; below {SMALLEST_Z:g} in the first bin).",
}


def draw_losses(table: pandas.DataFrame, summary: Summary) -> figures.Figure:
    """Histogram of the losses of each head; with the fitted distribution and where the weight is 1/2, or with z-scores.

    Only what was learnt from, not the validation set.
    """
    heads = figures.largest(summary.heads)
    canvas = Canvas(figsize=(7.6, 0.75 + 2.3 * len(heads)))
    grid = canvas.add_gridspec(len(heads), 5)
    loss, zscore = (table[name].to_numpy().astype(float) for name in ("loss", "zscore"))
    usable = np.isfinite(loss) & (loss > 0) & summary.judged & ~summary.validation
    left: list[Axes] = []
    right: list[Axes] = []
    for row, head in enumerate(heads):
        judged = head.losses.kind == MIXTURE and head.losses.recorded
        here = usable & (table["head"] == head.name).to_numpy()
        left.append(canvas.add_subplot(grid[row, :3] if judged else grid[row, :]))
        _draw_losses(left[-1], loss[here], summary.suspect[here], head.losses)
        if len(summary.heads) > 1:
            left[-1].set_title(f"head {figures.label(head.name)}")
        if judged:
            right.append(canvas.add_subplot(grid[row, 3:]))
            _draw_zscores(right[-1], zscore[here], summary.suspect[here])
    left[-1].set_xlabel("loss at the last visit (unit of the base loss)")
    for axes in right[-1:]:
        axes.set_xlabel("z (widths of right labels)")
    figures.head_legend(canvas, left, "right")
    return figures.Figure("loss_distribution", "Losses", _caption(heads, summary), canvas)


def _caption(heads: list[Head], summary: Summary) -> str:
    """What the curves and the line are, and what else is shown."""
    sentences = list(dict.fromkeys(CAPTIONS[head.losses.kind] for head in heads if head.losses.recorded))
    if not sentences:
        sentences = ["Losses on a logarithmic axis. How the labels were judged was not recorded."]
    sentences += ["The validation set is left out."] * bool(summary.trained)
    return " ".join(sentences) + figures.more_heads(summary.heads)


def _draw_losses(axes: Axes, loss: figures.Array, suspect: NDArray[np.bool_], losses: Losses) -> None:
    """Losses on a logarithmic axis, the fitted distribution, its centre, and where the weight is 1/2."""
    if not len(loss):
        figures.note(axes, "no loss recorded")
        return
    low, high = min(np.quantile(loss, 0.002), loss.max() / 3), loss.max()  # the smallest go to the first bin
    if losses.half_weight < FARTHEST * high:
        high = max(high, 1.5 * losses.half_weight)
    edges = _logarithmic_bins(axes, 0.8 * low, 1.25 * high, len(loss))
    figures.draw_histogram(axes, loss, suspect, edges)
    axes.set_ylabel("configurations")
    if not losses.distribution:
        return
    x = np.geomspace(edges[0], edges[-1], 400)
    expected = len(loss) * np.log(edges[1] / edges[0]) * x * losses.distribution.pdf(x)  # configurations in a bin
    axes.plot(
        x,
        np.where(expected > LOWEST, expected, np.nan),
        label="fitted distribution",
        color=figures.BLACK,
        linewidth=1.2,
    )
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.1 * expected.max()))
    name = "{}" if losses.kind == NORMAL else "exp({})"
    half = f" {name.format(f'mu + {losses.threshold:g} sigma')}"
    for place, text, side, colour, dashes in (
        (losses.centre, f"{name.format('mu')} ", "right", figures.GREY, figures.DASHES),
        (losses.half_weight, half, "left", figures.SUSPECT, "-"),
    ):
        if edges[0] < place < edges[-1]:
            axes.axvline(place, color=colour, linewidth=1, linestyle=dashes)
            axes.text(place, 0.98, text, color=colour, ha=side, va="top", transform=axes.get_xaxis_transform())


def _draw_zscores(axes: Axes, zscore: figures.Array, suspect: NDArray[np.bool_]) -> None:
    """How far the worst label of each configuration lies from right ones."""
    known = ~np.isnan(zscore)
    if not known.any():
        figures.note(axes, "no z-score recorded")
        return
    highest = np.max(zscore, where=np.isfinite(zscore), initial=10 * SMALLEST_Z)
    edges = _logarithmic_bins(axes, SMALLEST_Z / 1.25, 1.25 * highest, len(zscore) // 2)
    figures.draw_histogram(axes, zscore[known], suspect[known], edges)


def _logarithmic_bins(axes: Axes, low: float, high: float, values: int) -> figures.Array:
    """Make the axis logarithmic; return the edges of bins for so many values."""
    axes.set(xscale="log", xlim=(low, high))
    figures.plain_ticks(axes.xaxis)
    return np.geomspace(low, high, int(np.clip(3 * np.sqrt(values), 16, 70)))
