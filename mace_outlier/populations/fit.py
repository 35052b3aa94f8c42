"""One or two populations of configurations, told apart by their losses and energy errors: the fit. No torch.

The logarithms of the losses of right labels have one mode and a tail towards large losses (configurations that are
harder than others), and their energy errors scatter about zero; wrong labels lie in a second population elsewhere.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import ThreadpoolController

from .cells import Cells
from .starts import guesses, location_and_spread, lower_start

BACKGROUND = 3e-5 / 30.0  # density of gross errors: 0.003 % of the labels, over 30 units of the log loss
ERROR_RANGE = 300.0  # ... and over so many scales of the energy errors
LEFT, RIGHT = np.sqrt(np.pi / 2), 3 * np.pi * np.sqrt(5) / 16  # integrals of exp(-z^2/2) and (1 + z^2/5)^-3 from 0
ROOT_TWO_PI = np.sqrt(2 * np.pi)
SIMILAR = 0.35  # share of the upper population above which losses can't say which of the two is wrong
TRIAL = 15  # iterations from each start, after which only the best is followed

Array = NDArray[np.float64]


class Fit(NamedTuple):
    """Lower population and, where there are two, the upper one, of log losses x and energy errors e.

        p(x, e) = (1 - share) A h(x) T(e) + share N(x; high_mean, high_scale) W(e)
        h(x) = exp(-z^2 / 2), z = (x - mode) / left, below the mode;   (1 + z^2 / 5)^-3, z = (x - mode) / right, above
        T(e) = (1 + y^2 / 5)^-3 / (2 RIGHT error_scale), y = (e - error) / error_scale
        W(e) = N(asinh e; high_error, high_error_scale) / sqrt(1 + e^2)

    A normal half below the mode, above it half of a Student t distribution of 5 degrees of freedom, for the tail; the
    same t distribution for the energy errors of right labels. Those of wrong ones may spread over orders of magnitude,
    hence the asinh, which is e for small and a logarithm for large ones. Without an energy error, the factors of e are
    1. N: normal density.
    """

    log_likelihood: float
    mode: float
    left: float
    right: float
    error: float
    error_scale: float
    share: float = 0.0  # of the upper population; 0: one population
    high_mean: float = 0.0
    high_scale: float = 1.0
    high_error: float = 0.0
    high_error_scale: float = 1.0
    certainty: float = 1.0  # how sure it is of those that it takes for wrong, see `_certainty`
    undecided: float = 0.0  # share of a second population that may be the right one as well, and is not acted on

    @property
    def loss_factor(self) -> float:
        """Ratio of the losses at the modes."""
        return float(np.exp(self.high_mean - self.mode))

    @property
    def error_factor(self) -> float:
        """Typical energy error of the upper population, in scales of the lower one."""
        apart = np.hypot(self.high_error - np.arcsinh(self.error), self.high_error_scale)
        return float(np.sinh(apart) / self.error_scale)


# order of the parameters of a fit: the first five are of the lower population
MODE, LOG_LEFT, LOG_RIGHT, ERROR, LOG_ERROR, LOGIT, HIGH, LOG_HIGH, HIGH_ERROR, LOG_HIGH_ERROR = range(10)
NARROWEST = {LOG_LEFT: 0.05, LOG_RIGHT: 0.05, LOG_HIGH: 0.05, LOG_ERROR: 0.05, LOG_HIGH_ERROR: 0.05}


def lower_density(x: Array, mode: Any, left: Any, right: Any) -> Array:
    """A h(x), see Fit."""
    below, above = (x - mode) / left, (x - mode) / right
    return np.where(x < mode, np.exp(-0.5 * below**2), (1 + 0.2 * above**2) ** -3) / (left * LEFT + right * RIGHT)


def _lower(cells: Cells, has: Array, p: Array) -> tuple[Array, list[Array]]:
    """Density of the lower population in the cells, and the derivatives of its logarithm by its five parameters."""
    left, right, scale = np.exp(p[[LOG_LEFT, LOG_RIGHT, LOG_ERROR]])
    below = cells.x < p[MODE]
    width = np.where(below, left, right)
    z, y = (cells.x - p[MODE]) / width, (cells.e - p[ERROR]) / scale
    tail, error_tail = 1 + 0.2 * z * z, 1 + 0.2 * y * y
    whole = left * LEFT + right * RIGHT
    density = np.where(below, np.exp(-0.5 * z * z), tail**-3) / whole
    density *= np.where(has, error_tail**-3 / (2 * RIGHT * scale), 1.0)
    slope, error_slope = np.where(below, -z, -1.2 * z / tail), np.where(has, -1.2 * y / error_tail, 0.0)
    return density, [
        -slope / width,
        np.where(below, -slope * z, 0.0) - left * LEFT / whole,
        np.where(below, 0.0, -slope * z) - right * RIGHT / whole,
        -error_slope / scale,
        -error_slope * y - has,
    ]


def _upper(cells: Cells, has: Array, p: Array) -> tuple[Array, list[Array]]:
    """The same for the upper population, by its four."""
    scale, error_scale = np.exp(p[[LOG_HIGH, LOG_HIGH_ERROR]])
    u, v = (cells.x - p[HIGH]) / scale, np.where(has, (np.arcsinh(cells.e) - p[HIGH_ERROR]) / error_scale, 0.0)
    density = np.exp(-0.5 * (u * u + v * v)) / (scale * ROOT_TWO_PI)
    density /= np.where(has, error_scale * ROOT_TWO_PI * np.sqrt(1 + cells.e**2), 1.0)
    return density, [u / scale, u * u - 1, v / error_scale, (v * v - 1) * has]


def _objective(cells: Cells) -> Any:
    """Negative log-likelihood and its gradient, as a function of five or ten parameters."""
    has = np.isfinite(cells.e)
    cells = cells._replace(e=np.where(has, cells.e, 0.0))

    def value_and_gradient(p: Array) -> tuple[float, Array]:
        lower, by_lower = _lower(cells, has, p)
        background = np.where(has, BACKGROUND / (ERROR_RANGE * np.exp(p[LOG_ERROR])), BACKGROUND)
        if len(p) == len(by_lower):
            total, share = lower + background, 0.0
        else:
            share = 1 / (1 + np.exp(-p[LOGIT]))
            upper, by_upper = _upper(cells, has, p)
            total = (1 - share) * lower + share * upper + background
        weight = cells.counts / total
        of_lower = weight * (1 - share) * lower
        gradient = [of_lower @ by for by in by_lower]
        gradient[LOG_ERROR] -= (weight * background) @ has
        if share:
            of_upper = weight * share * upper
            gradient += [(1 - share) * of_upper.sum() - share * of_lower.sum(), *(of_upper @ by for by in by_upper)]
        return -float(cells.counts @ np.log(total)), -np.array(gradient)

    return value_and_gradient


def fit_one(cells: Cells) -> Fit:
    """Fit one population."""
    found = _minimise(_objective(cells), lower_start(cells))
    return _as_fit(found.x, -float(found.fun))


def fit_two(cells: Cells, start: Array | None = None) -> Fit:
    """Fit two populations, from a start (see `start_from`) or the best of several; the likeliest."""
    objective = _objective(cells)
    if start is None:
        trials = [_minimise(objective, guess, TRIAL) for guess in guesses(cells)]
        start = min(trials, key=lambda trial: trial.fun).x
    found = _minimise(objective, start)
    return _as_fit(found.x, -float(found.fun))._replace(certainty=_certainty(cells, found.x))


def _minimise(objective: Any, start: Array, iterations: int = 200) -> Any:
    bounds = [(np.log(NARROWEST[i]), 8.0) if i in NARROWEST else (None, None) for i in range(len(start))]
    options = {"maxiter": iterations}
    with _threads().limit(limits=1, user_api="blas"):
        return minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)


@cache
def _threads() -> ThreadpoolController:
    """The thread pools of BLAS, found once. For ten parameters, several threads mostly wait for one another."""
    return ThreadpoolController()


def _as_fit(p: Array, log_likelihood: float) -> Fit:
    lower = (log_likelihood, p[MODE], *np.exp(p[[LOG_LEFT, LOG_RIGHT]]), p[ERROR], np.exp(p[LOG_ERROR]))
    if len(p) == 5:
        return Fit(*map(float, lower))
    share = 1 / (1 + np.exp(-p[LOGIT]))
    upper = (share, p[HIGH], np.exp(p[LOG_HIGH]), p[HIGH_ERROR], np.exp(p[LOG_HIGH_ERROR]))
    return Fit(*map(float, lower + upper))


def _certainty(cells: Cells, p: Array) -> float:
    """Mean probability to be wrong of those that are taken for wrong: sum_i q_i^2 / sum_i q_i."""
    has = np.isfinite(cells.e)
    cells = cells._replace(e=np.where(has, cells.e, 0.0))
    share = 1 / (1 + np.exp(-p[LOGIT]))
    upper = share * _upper(cells, has, p)[0]
    wrong = upper / np.maximum((1 - share) * _lower(cells, has, p)[0] + upper, 1e-300)
    return float(cells.counts @ wrong**2 / max(cells.counts @ wrong, 1e-12))


def shift(cells: Cells, fit: Fit) -> tuple[float, float]:
    """By how much log losses and energy errors of another set are moved against those of a fit: the likeliest."""
    parameters = _parameters(fit)
    objective = _objective(cells)

    def moved(by: Array) -> float:
        p = parameters.copy()
        p[[MODE, ERROR]] += by
        if len(p) > LOGIT:
            p[HIGH] += by[0]
            p[HIGH_ERROR] = np.arcsinh(np.sinh(p[HIGH_ERROR]) + by[1])
        return float(objective(p)[0])

    x, _ = location_and_spread(cells.x, cells.counts)
    e, _ = location_and_spread(cells.e, cells.counts)
    apart = (fit.high_mean - fit.mode, np.sinh(fit.high_error) - fit.error) if fit.share else (0.0, 0.0)
    typical = np.array([x - fit.mode, e - fit.error])
    starts = [np.zeros(2), typical, typical - np.array(apart)]  # in case the median is that of the wrong ones
    found = [minimize(moved, start, method="Nelder-Mead", options={"maxiter": 200}) for start in starts]
    best = min(found, key=lambda one: one.fun).x
    return float(best[0]), float(best[1])


def _parameters(fit: Fit) -> Array:
    """Inverse of `_as_fit`."""
    lower = [fit.mode, np.log(fit.left), np.log(fit.right), fit.error, np.log(fit.error_scale)]
    if not fit.share:
        return np.array(lower)
    upper = [fit.high_mean, np.log(fit.high_scale), fit.high_error, np.log(fit.high_error_scale)]
    return np.array([*lower, np.log(fit.share / (1 - fit.share)), *upper])
