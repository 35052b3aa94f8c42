"""Configurations with larger forces are harder: how losses and energy errors change with them. No torch.

Data sets hold relaxed geometries beside hot or strained ones (SPICE: half of each molecule's conformations each), which
a model fits less well. That is no wrong label; a configuration is compared with those of forces like its own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import theilslopes

from .densest import FEW, densest_halves

WINDOW, WINDOWS, FEWEST = 30, 12, 4  # configurations at least in a window of forces, and windows at most and at least
RANGE = (0.02, 0.98)  # quantiles of the forces, between which a trend is followed: gross labels don't count
NOISE = 0.3  # of the label's forces: those of the prediction are taken to be that large at least

Array = NDArray[np.float64]


class Trend(NamedTuple):
    """Change with the logarithm of the root mean square force, within a range of it; none by default."""

    middle: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0
    level: float = 0.0  # slope of the log losses
    error: float = 0.0  # slope of the energy errors
    spread: float = 0.0  # slope of the logarithm of their spread

    def removed(self, log_forces: Array, x: Array, e: Array) -> tuple[Array, Array]:
        """Log losses and energy errors (N,) as they would be at the middle; NaN in `log_forces` (N,): unchanged."""
        if self.lowest == self.highest:
            return x, e
        by = np.nan_to_num(log_forces.clip(self.lowest, self.highest) - self.middle)
        return x - self.level * by, (e - self.error * by) * np.exp(-self.spread * by)


def measure_trend(log_forces: Array, x: Array, e: Array) -> Trend:
    """Slopes that the data show: zero where the 95 % confidence interval has it inside.

    Median of the slopes between windows of forces (Theil and Sen), of where the values are densest in each: up to half
    of the labels of a window may be wrong, and all labels of a few windows.
    """
    known = np.flatnonzero(np.isfinite(log_forces))
    known = known[:: max(1, len(known) // FEW)]
    windows = min(WINDOWS, len(known) // WINDOW)
    if windows < FEWEST:
        return Trend()
    known = known[np.argsort(log_forces[known], kind="stable")]
    forces = log_forces[known]
    number = np.arange(len(known)) * windows // len(known)
    middles = np.bincount(number, forces) / np.bincount(number)
    lowest, middle, highest = np.quantile(forces, (RANGE[0], 0.5, RANGE[1]))
    level, _ = densest_halves(x[known], number, windows)
    error, spread = densest_halves(e[known], number, windows)
    slopes = (_slope(middles, values) for values in (level, error, np.log(np.maximum(spread, 1e-12))))
    return Trend(float(middle), float(lowest), float(highest), *slopes)


def _slope(middles: Array, values: Array) -> float:
    """Median slope of the values (K,) of windows against their middles (K,), 0 where that is as likely."""
    some = np.isfinite(values)
    if some.sum() < FEWEST or np.ptp(middles[some]) == 0:
        return 0.0
    slope, _, low, high = theilslopes(values[some], middles[some])
    return float(slope) if low * high > 0 else 0.0


def log_predicted_forces(labels: Array, residuals: Array) -> Array:
    """Log RMS forces (N,) of predictions, from those of the labels and of prediction - label, eV/A; NaN: none.

        F^2 = F_label^2 - residual^2, but at least (0.3 F_label)^2

    What is wrong with a label adds to it, and is the residual then.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.maximum(labels**2 - residuals**2, (NOISE * labels) ** 2)
        return np.where((labels > 0) & np.isfinite(residuals), 0.5 * np.log(squares), np.nan)
