"""Figures of errors: predictions against labels, and the errors of all configurations."""

from typing import Any

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import SymmetricalLogLocator
from numpy.typing import NDArray

from .figures import BLACK, GREY, OTHER, SUSPECT, Array, Figure, note, plain_ticks
from .sample import Pairs, Sample, energies, forces
from .summary import Summary

MOST_POINTS = 40_000  # of a kind in a parity plot; more are thinned
MOST_POINTS_IN_MAP = 5_000  # more configurations are binned
MOST_MARKS = 100  # suspects that are marked one by one on top of the bins
BINS = 90
DOTS: dict[str, Any] = {"color": OTHER, "linewidths": 0, "rasterized": True}
MARKS: dict[str, Any] = {"color": SUSPECT, "marker": "D", "linewidths": 0, "rasterized": True, "zorder": 3}
RING: dict[str, Any] = {"s": 30, "color": "none", "edgecolors": BLACK, "linewidths": 0.6}  # known to be wrong
BLUES = LinearSegmentedColormap.from_list("others", ["#cfe3f1", OTHER, "#00273d"])
REDS = LinearSegmentedColormap.from_list("suspects", ["#f6cba8", SUSPECT, "#6b2f00"])


def _legend(canvas: Canvas, axes: Axes, ringed: bool = False) -> None:
    """Name the marks, above the panels."""
    marks = {"trusted": axes.scatter([], [], s=18, **DOTS), "suspect": axes.scatter([], [], s=18, **MARKS)}
    if ringed:
        marks["known to be wrong"] = axes.scatter([], [], **RING)
    place: Any = "outside upper right"
    canvas.legend(list(marks.values()), list(marks), loc=place, ncols=len(marks), handletextpad=0.2)


def _alpha(points: int) -> float:
    """The more points, the more transparent."""
    return float(np.clip(500 / max(points, 1), 0.2, 0.7))


# --- parity ----------------------------------------------------------------------------------------------------------


def draw_parity(sample: Sample, summary: Summary) -> Figure:
    """Predictions against labels, energies and forces, of the sample."""
    canvas = Canvas(figsize=(7.6, 3.75))
    left, right = canvas.subplots(1, 2)
    energy, subtracted = energies(sample, summary)
    _parity(left, energy, "energy", "eV/atom", 22)
    _parity(right, forces(sample, summary), "force component", "eV/Å", 7)
    _legend(canvas, left)
    shown = sum(bool(summary.suspect[row]) for row in sample.frames)
    trained = "" if summary.validation[list(sample.frames)].any() else summary.trained
    suspects = f"the {shown} worst {trained}suspects and " if shown else ""
    model = "Model" if summary.audit else "Model at the end of the training"
    others = f"{len(sample.frames) - shown} other {trained}configurations at random"
    caption = (
        f"{model} against labels: {suspects}{others}. Energies are per atom, {subtracted}. On the line: the model "
        "agrees with the label. Suspects beyond the axes are drawn at the border, hollow."
    )
    return Figure("parity", "Predictions against labels", caption, canvas)


def _parity(axes: Axes, pairs: Pairs, what: str, unit: str, size: float) -> None:
    axes.set_title(what)
    if not pairs.values.size:
        note(axes, "no labels in the sample")
        return
    low, high = limits_of(pairs)
    axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, zorder=1)
    inside = ((pairs.values >= low) & (pairs.values <= high)).all(axis=0)
    for chosen, style in (
        (~pairs.suspect, {"s": size, **DOTS}),
        (pairs.suspect & inside, {"s": 0.8 * size, **MARKS}),
        (
            pairs.suspect & ~inside,
            {"s": 0.8 * size, **MARKS, "facecolors": "none", "linewidths": 0.8, "clip_on": False},
        ),
    ):
        points = pairs.values[:, chosen].clip(low, high)
        axes.scatter(*points[:, :: 1 + points.shape[1] // MOST_POINTS], alpha=_alpha(points.shape[1]), **style)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", box_aspect=1)
    axes.set(xlabel=f"label ({unit})", ylabel=f"prediction ({unit})")
    axes.locator_params(nbins=5)


def limits_of(pairs: Pairs) -> tuple[float, float]:
    """Return limits that show the trusted configurations, and suspects up to twice as far out."""
    trusted = pairs.values[:, ~pairs.suspect] if not pairs.suspect.all() else pairs.values
    low, high = np.quantile(trusted, [0.0005, 0.9995])
    span = max(high - low, 1e-3)
    shown = pairs.values.clip(low - span, high + span)
    margin = 0.04 * max(np.ptp(shown), 1e-3)
    return float(shown.min() - margin), float(shown.max() + margin)


# --- map of errors ---------------------------------------------------------------------------------------------------


def draw_map(table: pandas.DataFrame, summary: Summary, wrong: NDArray[np.bool_] | None = None) -> Figure:
    """Energy error against force RMSE of all configurations that have both; suspects marked, many of them binned.

    `wrong` (N,): labels that are known to be wrong; ringed, where these are single points.
    """
    canvas = Canvas(figsize=(7.6, 4.2))
    axes = canvas.subplots()
    errors = errors_of(table)
    known = np.isfinite(errors.sum(axis=1))
    visit = "last visit or the last validation" if summary.validation.any() else "last visit"
    caption = f"Errors of all configurations at their {visit}: energy (logarithmic away from 0) and force RMSE."
    ringed = wrong is not None and 0 < known.sum() <= MOST_POINTS_IN_MAP
    if not known.any():
        note(axes, "no configuration has both an energy and forces")
    else:
        edges = _set_axes(axes, *errors[known].T)
        force, energy = errors[:, 0].clip(edges[0][0]), errors[:, 1]  # a force error may be exactly 0
        trusted, suspect = known & ~summary.suspect, known & summary.suspect
        if known.sum() <= MOST_POINTS_IN_MAP:
            axes.scatter(force[trusted], energy[trusted], s=14, alpha=_alpha(trusted.sum()), **DOTS)
            axes.scatter(force[suspect], energy[suspect], s=11, **MARKS)
            if wrong is not None:
                axes.scatter(force[wrong & known], energy[wrong & known], **RING)
        else:
            _draw_bins(canvas, axes, edges, *((force[chosen], energy[chosen]) for chosen in (trusted, suspect)))
            worst = summary.order[known[summary.order]][:MOST_MARKS]
            axes.scatter(force[worst], energy[worst], s=12, **MARKS | {"edgecolors": "white", "linewidths": 0.5})
            caption += (
                " Blue bins hold mostly trusted configurations, orange ones mostly suspects; "
                f"the {len(worst)} worst are marked."
            )
    _legend(canvas, axes, ringed)
    if not known.all():
        caption += f" Not shown: {(~known).sum():,} without a finite energy or without finite forces."
    return Figure("residuals", "Errors of energy and forces", caption, canvas)


def errors_of(table: pandas.DataFrame) -> Array:
    """Return the errors (N, 2) that the map shows: force RMSE, meV/A, and energy, meV/atom."""
    return 1000 * table[["force_rmse", "energy_error_per_atom"]].to_numpy()


def _set_axes(axes: Axes, force: Array, energy: Array) -> tuple[Array, Array]:
    """Set the axes, logarithmic in the force and beyond the median of the energy; return edges of bins."""
    middle = max(float(np.median(np.abs(energy))), 1e-3)
    positive = force[force > 0] if (force > 0).any() else np.array([1e-3, 1.0])
    axes.set(xscale="log", xlabel="force RMSE (meV/Å)", ylabel="energy, prediction - label (meV/atom)")
    axes.set_xlim(positive.min() / 1.2, 1.2 * positive.max())
    axes.set_yscale("asinh", linear_width=middle)
    axes.set_ylim(1.3 * min(energy.min(), -middle), 1.3 * max(energy.max(), middle))
    axes.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=middle, subs=(1, 3)))
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.axhline(0, color=GREY, linewidth=0.8)
    asinh = axes.yaxis.get_transform()
    low, high = asinh.transform(np.array(axes.get_ylim()))
    return np.geomspace(*axes.get_xlim(), BINS + 1), asinh.inverted().transform(np.linspace(low, high, BINS + 1))


def _draw_bins(canvas: Canvas, axes: Axes, edges: tuple[Array, Array], *points: tuple[Array, Array]) -> None:
    """Colour bins by their number of configurations, trusted ones blue, suspects orange where they are more."""
    trusted, suspects = (np.histogram2d(*xy, edges)[0].T for xy in points)
    style: dict[str, Any] = {"norm": LogNorm(1, max(trusted.max(), suspects.max(), 2)), "rasterized": True}
    blue = np.ma.masked_where((trusted < suspects) | (trusted == 0), trusted)
    drawn = axes.pcolormesh(*edges, blue, cmap=BLUES, **style)
    axes.pcolormesh(*edges, np.ma.masked_where(suspects <= trusted, suspects), cmap=REDS, **style)
    canvas.colorbar(drawn, ax=axes, label="configurations per bin", pad=0.015, fraction=0.04)
