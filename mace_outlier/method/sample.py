"""The configurations that expectations are made from: of many, a sample, so that a fit costs the same for any number.

Which these are depends on nothing but their rows: 1 or 1,024 processes choose the same. Numpy only.
"""

import numpy as np
from numpy.typing import NDArray

MOST = 5000  # configurations, on average: some ten times the columns that are fitted


def in_sample(rows: NDArray[np.int64], total: int) -> NDArray[np.bool_]:
    """Which rows (N,) of `total` ones of a head, in all processes, are in the sample: all, where these are few."""
    if total <= MOST:
        return np.ones(len(rows), dtype=bool)
    return mixed(rows) < np.uint64(MOST / total * 2.0**64)


def mixed(rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Numbers that are spread evenly over 64 bits. Source: the finaliser of splitmix64 (Steele and others, 2014)."""
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
