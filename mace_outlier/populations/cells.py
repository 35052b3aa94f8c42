"""Configurations as a fit sees them: one by one, or binned, so that it costs the same for any number. No torch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT = 5000  # configurations up to which each is a cell of its own
BINS = (160, 80)  # of the log losses and of the energy errors, above that
WIDEST = 1e4  # spreads of the energy errors, beyond which they are counted as that

Array = NDArray[np.float64]


class Cells(NamedTuple):
    """Configurations, binned: how many have such a log loss and energy error."""

    x: Array  # (K,) log loss
    e: Array  # (K,) energy error; NaN: none
    counts: Array  # (K,)


def cells_of(x: Array, e: Array) -> Cells:
    """What a fit is made to: configurations one by one, or binned if they are many."""
    return Cells(x, e, np.ones(len(x))) if len(x) <= EXACT else binned(x, e)


def binned(x: Array, e: Array) -> Cells:
    """Occupied cells of a grid: log losses in equal bins; energy errors in equal bins of asinh(e), and one for NaN."""
    rows, columns = BINS
    lowest, highest = x.min(), x.max()
    width = max(highest - lowest, 1e-6) / rows
    place = ((x - lowest) / width).astype(np.int32).clip(0, rows - 1)
    end = np.arcsinh(WIDEST)
    scaled = np.arcsinh(e)
    column = np.nan_to_num((scaled + end) * (columns / (2 * end)), nan=columns).astype(np.int32)
    column = np.where(np.isnan(e), columns, column.clip(0, columns - 1))
    counts = np.bincount(place * (columns + 1) + column, minlength=rows * (columns + 1)).astype(float)
    occupied = np.flatnonzero(counts)
    row, column = np.divmod(occupied, columns + 1)
    centres = np.append(np.sinh((np.arange(columns) + 0.5) * (2 * end / columns) - end), np.nan)
    return Cells(lowest + width * (row + 0.5), centres[column], counts[occupied])
