"""What the course of an epoch does to what is remembered of it. No torch.

Every configuration was seen by the model of its moment. Within an epoch losses fall, and the offset of the energies
drifts by more than what is to be found; and a model that is wrong for a while looks like wrong labels.
"""

import numpy as np
from numpy.typing import NDArray

from .densest import FEW

WINDOW, WINDOWS = 50, 40  # configurations at least, and windows at most, in which the drift of an epoch is measured
GRID = 2000  # moments of an epoch at which it is known
CLIP = 3.0  # interquartile ranges beyond the quartiles, from where a value is a gross error
NEIGHBOURS = 3  # visits within which wrong labels are not expected to bunch

Array = NDArray[np.float64]


def by_time(times: Array) -> NDArray[np.int64]:
    """Indices (N,) that sort the times, those of a batch, which are equal, in an order that says nothing.

    That of the rows does: wrong labels may lie side by side in a file.
    """
    shuffled = np.random.default_rng([2608, 8849]).permutation(len(times))
    return np.asarray(shuffled[np.argsort(times[shuffled], kind="stable")])


def drift(values: Array, times: Array, trusted: NDArray[np.bool_] | None = None) -> Array:
    """How far all values (N,) were moved at their times (N,), by the change of the model within an epoch; mean 0.

    Means over windows of time of what is `trusted` (N,), and straight lines between. Where it is not known yet what to
    trust, wrong labels raise the means of all windows alike; gross errors are clipped.
    """
    known = np.isfinite(values) if trusted is None else np.isfinite(values) & trusted
    use = np.flatnonzero(known)[:: max(1, int(known.sum()) // FEW)]
    windows = min(WINDOWS, len(use) // WINDOW)
    if windows < 2 or times[use].min() == times[use].max():
        return np.zeros(len(values))
    order = use[by_time(times[use])]
    low, high = np.quantile(values[order], (0.25, 0.75))
    clipped = values[order].clip(low - CLIP * (high - low), high + CLIP * (high - low))
    number = np.arange(len(order)) * windows // len(order)
    count = np.bincount(number)
    first, span = times.min(), np.ptp(times)
    grid = np.linspace(0, 1, GRID + 1)
    middles = (np.bincount(number, times[order]) / count - first) / span
    path = np.interp(grid, middles, np.bincount(number, clipped) / count)[((times - first) * (GRID / span)).astype(int)]
    return np.asarray(path - path.mean())


def bunched(times: Array, wrong: NDArray[np.bool_]) -> bool:
    """Whether configurations that look wrong were visited close to one another, as wrong labels are not.

    An epoch visits configurations in random order, those of a batch at once. Counted are pairs of wrong ones at most
    NEIGHBOURS visits apart, against what chance gives.
    """
    if not len(times) or times.min() == times.max():
        return False
    wrong = wrong[by_time(times)].astype(float)
    found = sum(float(wrong[:-apart] @ wrong[apart:]) for apart in range(1, NEIGHBOURS + 1))
    expected = NEIGHBOURS * len(wrong) * wrong.mean() ** 2
    return bool(found > 1.3 * expected + 4 * np.sqrt(expected + 1))


def agreement(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """How far two masks (N,) agree, beyond chance: 1 if the smaller is part of the larger, 0 if they are unrelated."""
    smaller, larger = sorted((float(one.sum()), float(other.sum())))
    by_chance = smaller * larger / max(len(one), 1)
    return (float((one & other).sum()) - by_chance) / max(smaller - by_chance, 1e-9) if smaller else 0.0
