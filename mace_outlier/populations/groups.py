"""Compare a configuration with its like: those of the same formula, seen by the model in the same state. No torch.

A model's energies are off by a constant for each molecule, some molecules are harder than others, and a wrong label
stands out among configurations of its own molecule long before it stands out among all. Within an epoch the model
changes: losses fall, and the offset of the energies drifts by more than what is to be found.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALLEST = 5  # configurations with which a group is a measure of its own; smaller ones are taken together
TYPICAL = 10  # configurations that a group's spread has to outweigh: that of few is drawn towards the median group's
NORMAL_HALF = 1.349  # width of the middle half of a normal distribution, in standard deviations
NARROWEST = 0.1  # spread of a group's energy errors, relative to the median group
RESOLUTION = 1e-7  # eV/atom: spreads below that are rounding errors
FEW = 20_000  # configurations from which a measure of all is taken
WINDOW, WINDOWS = 50, 40  # configurations at least, and windows at most, in which the drift of an epoch is measured
GRID = 2000  # moments of an epoch at which it is known
CLIP = 3.0  # interquartile ranges beyond the quartiles, from where a value is a gross error
NEIGHBOURS = 3  # visits within which wrong labels are not expected to bunch

Array = NDArray[np.float64]


class Groups(NamedTuple):
    """Measures of the groups of a head, sorted by code, and last that of all others."""

    codes: NDArray[np.int64]  # (G,)
    level: Array  # (G + 1,) typical log loss
    error: Array  # (G + 1,) typical energy error, eV/atom
    spread: Array  # (G + 1,) of the energy errors about it, eV/atom

    def relative(self, codes: NDArray[np.int64], x: Array, e: Array) -> tuple[Array, Array]:
        """Log losses and energy errors (N,) of configurations of the groups `codes` (N,), as if all groups were alike.

        x - level_g         (e - error_g) / spread_g
        """
        if not len(self.codes):
            return x - self.level[0], (e - self.error[0]) / self.spread[0]
        place = np.searchsorted(self.codes, codes).clip(0, len(self.codes) - 1)
        place = np.where(self.codes[place] == codes, place, len(self.codes))
        return x - self.level[place], (e - self.error[place]) / self.spread[place]

    @property
    def typical_level(self) -> float:
        """Median over the groups of the typical log loss."""
        return float(np.median(self.level[:-1] if len(self.codes) else self.level))

    @property
    def typical_spread(self) -> float:
        """Median over the groups of the spread of the energy errors, eV/atom."""
        return float(np.median(self.spread[:-1] if len(self.codes) else self.spread))

    def to_dict(self) -> dict[str, list[Any]]:
        """Builtins, for a checkpoint."""
        return {name: values.tolist() for name, values in self._asdict().items()}

    @classmethod
    def from_dict(cls, state: dict[str, list[Any]]) -> "Groups":
        """Inverse of `to_dict`."""
        values = {name: np.asarray(state[name], dtype=np.float64) for name in ("level", "error", "spread")}
        return cls(np.asarray(state["codes"], dtype=np.int64), **values)


def measure(codes: NDArray[np.int64], x: Array, e: Array) -> Groups:
    """Typical log loss and energy error of each group, from where its values are densest: wrong labels aren't there.

    Args:
        codes: (N,) group of each configuration.
        x, e: (N,) log loss and energy error (eV/atom); NaN: no energy.
    """
    if (codes == codes[:1]).all():  # one formula: no need to look at all of them
        level, error, spread = _of_all(x, e)
        members = np.array([min(len(x), FEW)])
        return Groups(np.zeros(0, dtype=np.int64), level, np.nan_to_num(error), _steadied(spread, members))
    unique, group, size = np.unique(codes, return_inverse=True, return_counts=True)
    large = size >= SMALLEST
    others = ~large[group]
    if large.sum() <= 1 and others.sum() < SMALLEST:  # nothing to compare: all are alike
        large, others = np.zeros(len(unique), dtype=bool), np.ones(len(codes), dtype=bool)
    last = int(large.sum())
    number = np.where(large, np.cumsum(large) - 1, last)[group]  # the others together are the last group
    level, _ = densest_halves(x, number, last + 1)
    error, spread = densest_halves(e, number, last + 1)
    if not others.any():  # a group that comes later is compared with all
        level[-1:], error[-1:], spread[-1:] = _of_all(x, e)
    members = np.bincount(number, minlength=last + 1)
    return Groups(unique[large], level, np.nan_to_num(error), _steadied(spread, members))


def _of_all(x: Array, e: Array) -> tuple[Array, Array, Array]:
    """Level, error and spread, each (1,), of all configurations together, by some of them."""
    some = slice(None, None, max(1, len(x) // FEW))
    everyone = np.zeros(len(x[some]), dtype=np.int64)
    (level, _), (error, spread) = (densest_halves(values[some], everyone, 1) for values in (x, e))
    return level, error, spread


def _steadied(spread: Array, members: NDArray[np.int64]) -> Array:
    """Spreads of groups, those of few members drawn towards the median group's; never 0."""
    known = np.isfinite(spread)
    if not known.any():
        return np.ones(len(spread))
    groups = spread[:-1][known[:-1]] if known[:-1].any() else spread[known]  # the last are all others
    typical = max(float(np.median(groups)), RESOLUTION)
    own = np.where(known, spread, typical)
    drawn = np.sqrt((members * own**2 + TYPICAL * typical**2) / (members + TYPICAL))
    return np.asarray(np.maximum(drawn, max(NARROWEST * typical, RESOLUTION)))


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
    order = use[np.argsort(times[use], kind="stable")]
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

    An epoch visits configurations in random order. Counted are pairs of wrong ones that are at most NEIGHBOURS visits
    apart, against what chance gives.
    """
    if not len(times) or times.min() == times.max():
        return False
    wrong = wrong[np.argsort(times, kind="stable")].astype(float)
    found = sum(float(wrong[:-apart] @ wrong[apart:]) for apart in range(1, NEIGHBOURS + 1))
    expected = NEIGHBOURS * len(wrong) * wrong.mean() ** 2
    return bool(found > 1.3 * expected + 4 * np.sqrt(expected + 1))


def densest_halves(values: Array, number: NDArray[np.int64], groups: int) -> tuple[Array, Array]:
    """Where the values of each group are densest, and how wide that is, each (groups,); NaN for a group without values.

    Width: that of the shortest interval with half of the finite values of the group, in standard deviations of a normal
    distribution. Location: mean of the values within two of these of the middle of that interval.
    """
    finite = np.isfinite(values)
    values, number = values[finite], number[finite]
    order = np.lexsort((values, number)) if groups > 1 else np.argsort(values)
    values, number = values[order], number[order]
    size = np.bincount(number, minlength=groups)
    first = np.cumsum(size) - size
    half = size // 2  # the interval runs from i to i + half
    end = np.arange(len(values)) + half[number]
    inside = end < (first + size)[number]
    width = np.where(inside, values[np.where(inside, end, 0)] - values, np.inf)
    middle, spread = np.full(groups, np.nan), np.full(groups, np.nan)
    some = np.flatnonzero(size)
    spread[some] = np.minimum.reduceat(width, first[some]) if len(some) else 0.0
    shortest = np.flatnonzero(width == spread[number])
    start = shortest[np.unique(number[shortest], return_index=True)[1]]  # the first of them in each group
    middle[some] = 0.5 * (values[start] + values[start + half[some]])
    spread = spread / NORMAL_HALF
    near = np.abs(values - middle[number]) <= 2 * spread[number] + 1e-12 * np.abs(values)
    totals = np.bincount(number[near], values[near], minlength=groups)
    middle[some] = totals[some] / np.bincount(number[near], minlength=groups)[some]
    return middle, spread
