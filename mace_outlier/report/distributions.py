"""Figure of the losses of each head: histogram, fitted distribution, and where the weight is 1/2."""

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .figures import (
    BLACK,
    GREY,
    OTHER,
    PALE,
    SUSPECT,
    WRONG,
    Figure,
    head_legend,
    label,
    largest,
    more_heads,
    note,
    plain_ticks,
)
from .heads import Head
from .losses import LOGNORMAL, MIXTURE, NORMAL, Losses, relative_losses
from .summary import Summary

LOG_FROM = 300  # configurations in the highest bin, from which a linear axis would hide the suspects
FAR = 30.0  # times the highest loss: a cut beyond that is named, not shown
LEAST = 0.05  # configurations per bin: a curve that is drawn along the axis would say nothing
DASHES: Any = (0, (4, 3))

CAPTIONS = {
    NORMAL: "The curve is the fitted normal distribution, lopsided on a logarithmic axis, with its mean mu and "
    "standard deviation sigma. Beyond mu + t sigma a configuration has less than half its weight.",
    LOGNORMAL: "The fitted normal distribution is that of the logarithm of the loss, with its mean mu and standard "
    "deviation sigma: populations were not fitted yet. Beyond exp(mu + t sigma) a configuration has less than half its "
    "weight.",
    "two": "The losses of the fitted populations, of right and of wrong labels, and their sum.",
    "one": "The losses of one fitted population.",
}
CUTS = {  # what the line at weight 1/2 means
    "two": "At the line{} a label is as likely to be wrong as right: weight 1/2.",
    "one": "At the line{} the tail of right labels ends, and gross errors take over: weight 1/2.",
}
ALONE = ", judged by its loss alone,"
BY_ENERGY = "Energies tell them apart (see the errors of energy and forces), so that there is no line at weight 1/2."
RELATIVE = "Losses are relative to their formula: loss / (typical loss of the formula) x (typical loss over all)."


def draw_losses(table: pandas.DataFrame, summary: Summary) -> Figure:
    """Histogram of the losses of each head with the fitted distribution, and where the weight is 1/2.

    Only the losses that the distribution was fitted to, not those of the validation set.
    """
    heads = largest(summary.heads)
    canvas = Canvas(figsize=(7.6, 0.6 + 2.3 * len(heads)))
    panels = np.atleast_1d(canvas.subplots(len(heads), 1, squeeze=False)[:, 0])
    loss = table["loss"].to_numpy().astype(float)
    usable = np.isfinite(loss) & (loss > 0) & summary.visited & ~summary.validation
    formulas, relative = table["formula"].cat.codes.to_numpy(np.int64), False
    for axes, head in zip(panels, heads, strict=True):
        here = usable & (table["head"] == head.name).to_numpy()
        own, several = relative_losses(loss[here], formulas[here], ~summary.suspect[here], head.losses)
        relative |= several
        _draw_head(axes, own, summary.suspect[here], head.losses)
        if len(summary.heads) > 1:
            axes.set_title(f"head {label(head.name)}")
    panels[-1].set_xlabel("loss of a configuration at its last visit (unit of the base loss)")
    head_legend(canvas, list(panels), "right")
    return Figure("loss_distribution", "Losses", _caption(heads, relative, summary), canvas)


def _caption(heads: list[Head], relative: bool, summary: Summary) -> str:
    """What the curves and the line are; `relative`: whether losses were made relative to a formula."""
    recorded = [head.losses for head in heads if head.losses.recorded]
    said = list(dict.fromkeys(CAPTIONS[_what(losses)] for losses in recorded))
    said += dict.fromkeys(_cut_meaning(head) for head in heads if head.losses.fit)
    if not recorded:
        said = ["Losses on a logarithmic axis. The fitted distribution was not recorded."]
    said += [RELATIVE] * relative + ["The validation set is left out."] * bool(summary.trained)
    return " ".join(said) + more_heads(summary.heads)


def _what(losses: Losses) -> str:
    return ("two" if losses.two else "one") if losses.kind == MIXTURE else losses.kind


def _cut_meaning(head: Head) -> str:
    if head.losses.apart.by_energy:
        return BY_ENERGY
    return CUTS[_what(head.losses)].format(ALONE if head.energies else "")


def _cut(losses: Losses) -> float:
    """The loss at which the weight is 1/2; infinite where there is none."""
    return np.inf if losses.apart.by_energy else losses.crossing(0.5)


def _draw_head(axes: Axes, loss: NDArray[np.float64], suspect: NDArray[np.bool_], losses: Losses) -> None:
    if not len(loss):
        note(axes, "no loss recorded")
        return
    edges = _edges(loss, losses)
    loss = loss.clip(edges[0], edges[-1])
    counts = np.histogram(loss, edges)[0]
    axes.stairs(counts, edges, fill=True, color=PALE, label="configurations")
    axes.stairs(np.histogram(loss[suspect], edges)[0], edges, fill=True, color=SUSPECT, label="suspects")
    logarithmic = counts.max() > LOG_FROM
    top = counts.max() * (3 if logarithmic else 1.18)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylabel="configurations")
    if losses.recorded:
        highest = _curves(axes, edges, len(loss), losses)
        top = max(top, (3 if logarithmic else 1.18) * highest if losses.fit else 1.1 * highest)
        _mark(axes, losses, edges)
    axes.set_yscale("log" if logarithmic else "linear")
    axes.set_ylim(0.6 if logarithmic else 0, top)
    if not logarithmic:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    plain_ticks(axes.xaxis)


def _edges(loss: NDArray[np.float64], losses: Losses) -> NDArray[np.float64]:
    """Log-spaced bins; the few smallest losses go to the first bin."""
    low, high = np.quantile(loss, 0.002), loss.max()
    cut = _cut(losses)
    low, high = min(low, high / 3), max(high, 1.5 * cut if cut < FAR * high else 0)
    return np.geomspace(0.8 * low, 1.25 * high, int(np.clip(12 * np.sqrt(len(loss)) / 4, 16, 70)))


def _curves(axes: Axes, edges: NDArray[np.float64], members: int, losses: Losses) -> float:
    """Expected configurations per bin; return the highest."""
    x = np.linspace(np.log(edges[0]), np.log(edges[-1]), 400)
    width = np.log(edges[1] / edges[0])
    right, wrong = (members * width * density for density in losses.densities(x))
    curves: list[tuple[str, NDArray[np.float64], dict[str, Any]]] = [
        ("fitted distribution", right, {"color": BLACK, "linewidth": 1.2})
    ]
    if losses.two:
        curves = [
            ("right labels (fitted)", right, {"color": OTHER, "linewidth": 1.8}),
            ("wrong labels (fitted)", wrong, {"color": WRONG, "linewidth": 1.8, "linestyle": (0, (5, 1.5))}),
            ("their sum", right + wrong, {"color": BLACK, "linewidth": 1.2, "linestyle": (0, (1, 1.5))}),
        ]
    for name, curve, style in curves:
        axes.plot(np.exp(x), np.where(curve > LEAST, curve, np.nan), label=name, **style)
    return float((right + wrong).max())


def _mark(axes: Axes, losses: Losses, edges: NDArray[np.float64]) -> None:
    """Lines at the centres, and where the weight is 1/2."""
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "fontsize": 8, "va": "top"}
    for centre, name, colour, side in _centres(losses):
        if not edges[0] < centre < edges[-1]:
            continue
        axes.axvline(centre, color=colour, linewidth=0.9, linestyle=DASHES)
        axes.text(centre, 0.98, name, ha=side, color=colour, **style)
    cut = _cut(losses)
    if edges[0] < cut < edges[-1]:
        height, side = (0.86, "right") if losses.two else (0.98, "left")  # between the names of the populations
        axes.axvline(cut, color=SUSPECT, linewidth=1.2)
        axes.text(cut, height, f" {_cut_name(losses)} ", ha=side, color=SUSPECT, **style)


def _centres(losses: Losses) -> list[tuple[float, str, str, str]]:
    """Where a distribution or its populations are centred: loss, name, colour, and where the name ends."""
    if losses.two:
        right, (*others, wrong) = losses.centre, sorted(losses.upper_centres)
        unnamed = [(centre, "", WRONG, "left") for centre in others]
        if wrong < right:  # each name on the outer side
            return [(right, " right labels", OTHER, "left"), (wrong, "wrong labels ", WRONG, "right"), *unnamed]
        return [(right, "right labels ", OTHER, "right"), (wrong, " wrong labels", WRONG, "left"), *unnamed]
    names = {NORMAL: "mu ", LOGNORMAL: "exp(mu) "}
    return [(losses.centre, names.get(losses.kind, "one population "), GREY, "right")]


def _cut_name(losses: Losses) -> str:
    if losses.fit:
        return "weight 1/2"
    name = f"mu + {losses.threshold:g} sigma"
    return name if losses.kind == NORMAL else f"exp({name})"
