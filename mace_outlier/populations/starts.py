"""Where the fit of two populations starts: from what looks wrong, or from several guesses. No torch."""

import numpy as np
from numpy.typing import NDArray

from .cells import Cells

SHARES = (0.1, 0.4)  # of wrong labels, from which a fit starts
ENOUGH = 20_000  # configurations that say where to start

Array = NDArray[np.float64]


def start_from(x: Array, e: Array, wrong: NDArray[np.bool_]) -> Array | None:
    """Where a fit starts that knows which of the configurations (N,) look wrong; None if that is all or none."""
    if wrong.all() or not wrong.any():
        return None
    lower, upper = (Cells(x[own], e[own], np.ones(len(own))) for own in map(_some, (~wrong, wrong)))
    return np.concatenate((lower_start(lower), _upper_start(upper, float(wrong.mean()))))


def _some(which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places in the mask `which` (N,): all, or as many as a start needs."""
    places = np.flatnonzero(which)
    return places[:: max(1, len(places) // ENOUGH)]


def guesses(cells: Cells) -> list[Array]:
    """Wrong are those with the largest losses, or with energies far off."""
    has, starts = np.isfinite(cells.e), []
    far = np.abs(np.where(has, cells.e - _median(cells.e[has], cells.counts[has]) if has.any() else 0.0, 0.0))
    for score in (cells.x, far) if far.any() else (cells.x,):
        order = np.argsort(score, kind="stable")
        rank = np.empty(len(order))
        rank[order] = np.cumsum(cells.counts[order]) / cells.counts.sum()
        for share in SHARES:
            upper = rank > 1 - share
            if upper.any() and not upper.all():
                starts.append(
                    np.concatenate((lower_start(_part(cells, ~upper)), _upper_start(_part(cells, upper), share)))
                )
    return starts


def lower_start(cells: Cells) -> Array:
    """Parameters of one population, see Fit: mode, log left, log right, error, log error_scale."""
    x, spread = location_and_spread(cells.x, cells.counts)
    error, error_spread = location_and_spread(cells.e, cells.counts)
    return np.array([x, np.log(spread), np.log(spread), error, np.log(error_spread)])


def _upper_start(cells: Cells, share: float) -> Array:
    x, spread = location_and_spread(cells.x, cells.counts)
    error, error_spread = location_and_spread(np.arcsinh(cells.e), cells.counts)
    return np.array([np.log(share / (1 - share)), x, np.log(spread), error, np.log(error_spread)])


def _part(cells: Cells, which: NDArray[np.bool_]) -> Cells:
    return Cells(*(values[which] for values in cells))


def location_and_spread(values: Array, counts: Array) -> tuple[float, float]:
    """Median and mean absolute deviation of values (K,) that occur `counts` (K,) times; 0 and 1 where all are NaN."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0, 1.0
    median = _median(values[known], counts[known])
    return median, max(float(np.average(np.abs(values[known] - median), weights=counts[known])), 0.1)


def _median(values: Array, counts: Array) -> float:
    order = np.argsort(values, kind="stable")
    return float(values[order][np.searchsorted(np.cumsum(counts[order]), counts.sum() / 2)])
