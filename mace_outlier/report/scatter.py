"""Figures of errors: predictions against labels, and the errors of all configurations."""

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from .figures import BLACK, GREY, OTHER, SUSPECT, Figure, note, plain_ticks
from .sample import Pairs, Sample, energies, forces, has_pairs
from .summary import Summary

MOST_POINTS = 40_000  # of a kind in a parity plot; more are thinned
MOST_POINTS_IN_MAP = 5_000  # more configurations are binned
MOST_MARKS = 100  # suspects that are marked one by one on top of the bins
BINS = 90
RING: dict[str, Any] = {"s": 30, "color": "none", "edgecolors": BLACK, "linewidths": 0.6}  # known to be wrong
BLUES = LinearSegmentedColormap.from_list("others", ["#cfe3f1", OTHER, "#00273d"])
REDS = LinearSegmentedColormap.from_list("suspects", ["#f6cba8", SUSPECT, "#6b2f00"])


# --- parity ----------------------------------------------------------------------------------------------------------


def draw_parity(sample: Sample, summary: Summary) -> Figure:
    """Predictions against labels, energies and forces, of the sample."""
    canvas = Canvas(figsize=(7.6, 3.75))
    left, right = canvas.subplots(1, 2)
    energy, subtracted = energies(sample, summary)
    _parity(left, energy, "energy", "eV/atom", 22)
    _parity(right, forces(sample, summary), "force component", "eV/Å", 7)
    _key(canvas, left)
    shown = sum(bool(summary.suspect[row]) for row in sample.frames)
    suspects = f"the {shown} worst {summary.trained}suspects and " if shown else ""
    model = "Model" if summary.audit else "Model at the end of the training"
    others = f"{len(sample.frames) - shown} other {summary.trained}configurations at random"
    caption = (
        f"{model} against labels: {suspects}{others}. Energies are per atom, {subtracted}. On the line: the model "
        "agrees with the label. Suspects beyond the axes are drawn at the border, hollow."
    )
    return Figure("parity", "Predictions against labels", caption, canvas)


def _parity(axes: Axes, pairs: Pairs, what: str, unit: str, size: float) -> None:
    axes.set_title(what)
    if not len(pairs.reference):
        note(axes, "no labels in the sample")
        return
    low, high = _limits(pairs)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=1)
    suspects, others = _thinned(np.flatnonzero(pairs.suspect)), _thinned(np.flatnonzero(~pairs.suspect))
    outside = _outside(pairs, suspects, low, high)
    inside = _clipped(pairs, suspects[~outside], low, high)
    hollow = _clipped(pairs, suspects[outside], low, high)
    dots: dict[str, Any] = {"s": size, "color": OTHER, "linewidths": 0, "rasterized": True}
    axes.scatter(*_clipped(pairs, others, low, high), alpha=_alpha(others), **dots)
    marks: dict[str, Any] = {"marker": "D", "s": 0.8 * size, "rasterized": True, "zorder": 3}
    axes.scatter(*inside, color=SUSPECT, alpha=_alpha(suspects), linewidths=0, **marks)
    axes.scatter(*hollow, color="none", edgecolors=SUSPECT, linewidths=0.8, clip_on=False, **marks)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", box_aspect=1)
    axes.set(xlabel=f"label ({unit})", ylabel=f"prediction ({unit})")
    axes.locator_params(nbins=5)


def _key(canvas: Canvas, axes: Axes, ringed: bool = False) -> None:
    """Name the marks, above the panels."""
    marks = (("o", OTHER, "trusted"), ("D", SUSPECT, "suspect"))
    drawn = [axes.scatter([], [], s=18, marker=marker, color=colour, linewidths=0) for marker, colour, _ in marks]
    names = [name for *_, name in marks]
    if ringed:
        drawn.append(axes.scatter([], [], **RING))
        names.append("known to be wrong")
    canvas.legend(drawn, names, loc="outside upper right", ncols=len(names), handletextpad=0.2)


def _limits(pairs: Pairs) -> tuple[float, float]:
    """Limits that show the trusted configurations, and suspects up to twice as far out."""
    trusted = ~pairs.suspect if (~pairs.suspect).any() else np.ones(len(pairs.suspect), dtype=bool)
    inner = np.concatenate([pairs.reference[trusted], pairs.predicted[trusted]])
    low, high = np.quantile(inner, 0.0005), np.quantile(inner, 0.9995)
    span = max(high - low, 1e-3)
    all_ = np.concatenate([pairs.reference, pairs.predicted])
    low, high = max(low - span, min(low, all_.min())), min(high + span, max(high, all_.max()))
    margin = 0.04 * max(high - low, 1e-3)
    return float(low - margin), float(high + margin)


def _alpha(places: NDArray[np.int64]) -> float:
    """The more points, the more transparent."""
    return float(np.clip(600 / max(len(places), 1), 0.15, 0.7))


def _thinned(places: NDArray[np.int64]) -> NDArray[np.int64]:
    return places[:: max(1, -(-len(places) // MOST_POINTS))]


def _outside(pairs: Pairs, places: NDArray[np.int64], low: float, high: float) -> NDArray[np.bool_]:
    values = np.stack([pairs.reference[places], pairs.predicted[places]])
    return np.any((values < low) | (values > high), axis=0)


def _clipped(pairs: Pairs, places: NDArray[np.int64], low: float, high: float) -> NDArray[np.float64]:
    return np.stack([pairs.reference[places], pairs.predicted[places]]).clip(low, high)


# --- map of errors ---------------------------------------------------------------------------------------------------


def draw_map(table: pandas.DataFrame, summary: Summary, wrong: NDArray[np.bool_] | None = None) -> Figure:
    """Energy error against force RMSE of all configurations that have both; suspects marked, many of them binned.

    `wrong` (N,): labels that are known to be wrong; ringed, where these are single points.
    """
    canvas = Canvas(figsize=(7.6, 4.2))
    axes = canvas.subplots()
    known = has_pairs(table)
    energy = 1000 * table["energy_error_per_atom"].to_numpy()[known].astype(float)
    force = 1000 * table["force_rmse"].to_numpy()[known].astype(float)
    worst = np.zeros(len(known), dtype=bool)
    worst[summary.order[known[summary.order]][:MOST_MARKS]] = True
    visit = "last visit or the last validation" if summary.validation.any() else "last visit"
    caption = f"Errors of all configurations at their {visit}: energy (logarithmic away from 0) and force RMSE."
    ringed = wrong is not None and 0 < len(energy) <= MOST_POINTS_IN_MAP
    if not len(energy):
        note(axes, "no configuration has both an energy and forces")
    elif len(energy) <= MOST_POINTS_IN_MAP:
        edges = _scales(axes, force, energy)
        _points(axes, force, energy, summary.suspect[known], edges)
        if wrong is not None:
            axes.scatter(force[wrong[known]].clip(edges[0][0]), energy[wrong[known]], **RING)
    else:
        _binned(canvas, axes, force, energy, summary.suspect[known], worst[known])
        caption += (
            " Blue bins hold mostly trusted configurations, orange ones mostly suspects; "
            f"the {worst.sum()} worst are marked."
        )
    _key(canvas, axes, ringed)
    missing = len(known) - len(energy)
    if missing:
        caption += f" Not shown: {missing:,} without a finite energy or without finite forces."
    return Figure("residuals", "Errors of energy and forces", caption, canvas)


def _scales(axes: Axes, force: NDArray, energy: NDArray) -> tuple[NDArray, NDArray]:
    """Set the axes, logarithmic in the force and beyond the median of the energy; return edges of bins."""
    middle = max(float(np.median(np.abs(energy))), 1e-3)
    positive = force[force > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1e-3, 1.0)
    sides = np.arcsinh(np.array([energy.min(), energy.max(), 0.0]) / middle)
    edges = (
        np.geomspace(low / 1.2, high * 1.2, BINS + 1),
        middle * np.sinh(np.linspace(sides.min() - 0.3, sides.max() + 0.3, BINS + 1)),
    )
    axes.set_xscale("log")
    axes.set_yscale("asinh", linear_width=middle)
    axes.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    axes.set_yticks(_ticks(energy, middle))
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.set(ylim=edges[1][[0, -1]], xlabel="force RMSE (meV/Å)", ylabel="energy, prediction - label (meV/atom)")
    axes.axhline(0, color=GREY, linewidth=0.8)
    return edges


def _ticks(energy: NDArray, middle: float) -> list[float]:
    """Powers of ten up and down, not too many, as far as they can be told from zero."""
    largest = float(np.abs(energy).max())
    steps = (1, 2, 5) if largest < 30 * middle else (1,)
    nearest = middle * np.sinh(0.06 * np.arcsinh(largest / middle))
    powers = 10.0 ** np.arange(np.floor(np.log10(middle)), np.ceil(np.log10(largest + middle)) + 1)
    shown = [step * power for power in powers for step in steps if step * power > nearest]
    shown = shown[:: -(-len(shown) // 6)]
    return [-tick for tick in shown] + [0.0] + shown


def _points(
    axes: Axes, force: NDArray, energy: NDArray, suspect: NDArray[np.bool_], edges: tuple[NDArray, NDArray]
) -> None:
    force = force.clip(edges[0][0], edges[0][-1])  # an error of exactly 0
    alpha = float(np.clip(400 / max((~suspect).sum(), 1), 0.25, 0.6))
    axes.scatter(force[~suspect], energy[~suspect], s=14, color=OTHER, alpha=alpha, linewidths=0, rasterized=True)
    marks: dict[str, Any] = {"marker": "D", "s": 11 if suspect.sum() < 500 else 5, "color": SUSPECT, "rasterized": True}
    axes.scatter(force[suspect], energy[suspect], alpha=0.85, linewidths=0, **marks)


def _binned(
    canvas: Canvas, axes: Axes, force: NDArray, energy: NDArray, suspect: NDArray[np.bool_], worst: NDArray[np.bool_]
) -> None:
    """Colour bins by their number of configurations, mark the worst suspects."""
    edges = _scales(axes, force, energy)
    force = force.clip(edges[0][0], edges[0][-1])
    trusted = np.histogram2d(force[~suspect], energy[~suspect], edges)[0].T
    suspects = np.histogram2d(force[suspect], energy[suspect], edges)[0].T
    norm = LogNorm(1, max(trusted.max(), suspects.max(), 2))
    for counts, hidden, colours in ((trusted, trusted < suspects, BLUES), (suspects, suspects <= trusted, REDS)):
        shown = np.ma.masked_where(hidden | (counts == 0), counts)
        drawn = axes.pcolormesh(*edges, shown, cmap=colours, norm=norm, rasterized=True)
        if colours is BLUES:
            canvas.colorbar(drawn, ax=axes, label="configurations per bin", pad=0.015, fraction=0.04)
    axes.scatter(
        force[worst], energy[worst], s=12, marker="D", color=SUSPECT, edgecolors="white", linewidths=0.5, zorder=4
    )
