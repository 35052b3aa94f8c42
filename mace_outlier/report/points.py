"""The points in the map of errors, for the script of the page: where each one lies in the picture, and what it is."""

from typing import Any, NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray

from ..data.labels import RESIDUALS
from .figures import Array, Figure
from .residuals import shown_residual, shown_unit
from .scatter import errors_of
from .summary import Summary
from .text import clean, fixed

MOST_OTHERS = 2_000  # configurations beside the suspects that say what they are


class Point(NamedTuple):
    """A configuration in the picture."""

    across: float  # share of the width of the picture, from the left
    down: float  # share of its height, from the top
    rank: int  # of a suspect; 0: another one
    text: str


def find_points(table: pandas.DataFrame, summary: Summary, figure: Figure, listed: list[Any]) -> list[Point]:
    """Return those of the list, and others at random, that have both errors; the figure has to be drawn by now."""
    errors = errors_of(table)
    known = np.isfinite(errors.sum(axis=1))
    ranks = {suspect.row: suspect.rank for suspect in listed if known[suspect.row]}
    others = np.flatnonzero(known & ~summary.suspect)
    if len(others) > MOST_OTHERS:
        others = np.sort(np.random.default_rng(0).choice(others, MOST_OTHERS, replace=False))
    rows = np.array([*ranks, *others], dtype=int)
    if not len(rows):
        return []
    places = _places(figure, errors[rows]).round(4).tolist()
    texts = [_said(row, summary) for row in table.iloc[rows].itertuples(index=False)]
    return [
        Point(across, down, ranks.get(row, 0), text)
        for row, (across, down), text in zip(rows.tolist(), places, texts, strict=True)
    ]


def _places(figure: Figure, errors: Array) -> NDArray[np.float64]:
    """Where errors (M, 2) lie in the picture, in shares of its width and height from the upper left."""
    axes = figure.canvas.axes[0]
    inside = np.column_stack([errors[:, 0].clip(axes.get_xlim()[0]), errors[:, 1]])  # a force error may be exactly 0
    across, up = figure.canvas.transFigure.inverted().transform(axes.transData.transform(inside)).T
    return np.column_stack([across, 1 - up])


def _said(row: Any, summary: Summary) -> str:
    """A configuration in a few lines."""
    kind = "" if row.config_type in ("", "Default") else f", {clean(row.config_type, 28)}"
    cause = getattr(row, "cause", "")
    lines = [
        f"{clean(row.formula, 24)}{kind}",
        f"{clean(str(row.source).removeprefix(summary.folder), 40)}, frame {row.frame}",
        *(f"{RESIDUALS[of].name} {shown_residual(of, row)} {shown_unit(of)}" for of in summary.residuals),
        f"weight {fixed(row.weight, 3)}" + (f", {clean(cause, 200)}" if cause else ""),
    ]
    return "\n".join(lines)
