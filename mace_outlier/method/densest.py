"""Where the values of groups are densest: wrong labels are not there. No torch."""

import numpy as np
from numpy.typing import NDArray

NORMAL_HALF = 1.349  # width of the middle half of a normal distribution, in standard deviations
TINY = 1e-12  # of any width


Array = NDArray[np.float64]


def densest_halves(values: Array, number: NDArray[np.int64], groups: int) -> tuple[Array, Array]:
    """Where the values of each group are densest, and how wide that is, each (groups,); NaN for a group without values.

    Width: that of the shortest interval with half of the finite values of the group, in standard deviations of a normal
    distribution. Location: mean of the values within two of these of the middle of that interval.
    """
    finite = np.isfinite(values)
    values, number = values[finite], number[finite]
    order = np.argsort(values)
    if groups > 1:  # by group, and by value within it: the same as np.lexsort((values, number)), in half of the time
        keys = number[order] * len(order) + np.arange(len(order))
        keys.sort()
        order = order[keys % len(order)] if len(order) else order
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


def densest(values: Array) -> tuple[float, float]:
    """Where the finite values are densest, and how wide that is, see `densest_halves`; (0, 1) where there are none."""
    middle, spread = densest_halves(values, np.zeros(len(values), dtype=np.int64), 1)
    return (float(middle[0]), max(float(spread[0]), TINY)) if np.isfinite(middle[0]) else (0.0, 1.0)


def spread_about_zero(residuals: Array) -> float:
    """Robust standard deviation of values about zero: 1.4826 times the median of their sizes."""
    return max(1.4826 * float(np.median(np.abs(residuals))), TINY)
