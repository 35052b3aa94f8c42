"""What a fit sees of the configurations of a head: each relative to its like. Between torch and `populations`."""

import numpy as np
import torch
from torch import Tensor

from .populations import (
    Fit,
    Groups,
    Guard,
    Trend,
    cells_of,
    choose,
    drift,
    log_predicted_forces,
    measure,
    measure_trend,
    start_from,
)
from .weighting import Remembered


def rows_of(head: int, seen: Remembered) -> Tensor:
    """Rows of the configurations of a head that there is something to judge by."""
    return torch.nonzero(seen.usable & (seen.heads == head) & (seen.losses > 0)).flatten()


def log_forces(seen: Remembered) -> np.ndarray:
    """Log RMS forces (N,) of the predictions, on the host; NaN: not known."""
    if seen.forces is None:
        return np.full(len(seen.losses), np.nan)
    return log_predicted_forces(*seen.forces.double().cpu().numpy().T)


def compared(
    seen: Remembered, trusted: np.ndarray | None = None, trend: Trend | None = None
) -> tuple[Groups, np.ndarray, np.ndarray]:
    """Measures of the groups, and log losses and energy errors (N,) relative to those of the same molecule and time.

    And of forces of the same size, by a `trend` that is known or measured here.

    By all configurations, or by those in the mask `trusted` (N,).
    """
    x, e, times = seen.features()
    some = np.ones(len(x), dtype=bool) if trusted is None else trusted
    groups = measure(seen.kinds[some], x[some], e[some])
    x, e = groups.relative(seen.kinds, x, e)
    x, e = x - drift(x, times, trusted), e - drift(e, times, trusted)
    forces = log_forces(seen)
    groups = groups._replace(trend=trend or measure_trend(forces[some], x[some], e[some]))
    return groups, *groups.trend.removed(forces, x, e)


def relative_to(groups: Groups, seen: Remembered) -> tuple[np.ndarray, np.ndarray]:
    """Log losses and energy errors (N,) of another set, relative to groups that were measured before."""
    return groups.trend.removed(log_forces(seen), *groups.relative(seen.kinds, *seen.features()[:2]))


def fit_without(wrong: np.ndarray, seen: Remembered, guard: Guard) -> tuple[Groups, Fit, np.ndarray, np.ndarray]:
    """Measures of the groups by all but the mask `wrong` (N,), a fit that starts from there, and what it is made to."""
    groups, x, e = compared(seen, ~wrong)
    return groups, choose(cells_of(x, e), guard, start_from(x, e, wrong)), x, e
