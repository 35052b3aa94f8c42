"""One or two populations of log losses: the fit. No torch.

The logarithms of the losses of right labels have one mode and a tail towards large losses (configurations that are
harder than others); wrong labels lie in a second mode above it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

NARROWEST = 0.05  # scale of a population: log losses are never sharper than that
SHARES = (0.05, 0.2, 0.45)  # of wrong labels, from which a fit starts
BACKGROUND = 0.01 / 30.0  # density of gross errors: 1 % of the labels, over 30 units of the log loss
LEFT, RIGHT = np.sqrt(np.pi / 2), 3 * np.pi * np.sqrt(5) / 16  # integrals of the two halves of the lower population
SIMILAR = 0.4  # share of the upper population above which losses can't say which of the two is wrong
ROOT_TWO_PI = np.sqrt(2 * np.pi)

Array = NDArray[np.float64]


class Fit(NamedTuple):
    """Lower population and, where there are two, the upper one; x is the log loss.

        p(x) = (1 - share) A h(x) + share N(x; high_mean, high_scale)
        h(x) = exp(-z^2 / 2), z = (x - mode) / left, below the mode;   (1 + z^2 / 5)^-3, z = (x - mode) / right, above

    A normal half below the mode, and above it half of a Student t distribution of 5 degrees of freedom, for the tail.
    """

    log_likelihood: float
    mode: float
    left: float
    right: float
    share: float = 0.0  # of the upper population; 0: one population
    high_mean: float = 0.0
    high_scale: float = 1.0

    @property
    def distance(self) -> float:
        """How far the modes are apart, in scales of the lower population (root mean square of its halves)."""
        return (self.high_mean - self.mode) / float(np.hypot(self.left, self.right) / np.sqrt(2))


def lower_density(x: Array, mode: Array, left: Array, right: Array) -> Array:
    """A h(x), see Fit."""
    below, above = (x - mode) / left, (x - mode) / right
    return np.where(x < mode, np.exp(-0.5 * below**2), (1 + 0.2 * above**2) ** -3) / (left * LEFT + right * RIGHT)


def fit_populations(x: Array, counts: Array, start: Array) -> Fit:
    """Maximise the likelihood of values x (K,) that occur `counts` (K,) times.

    `start`: (mode, log left, log right) for one population, and (logit share, mean, log scale) of the upper for two.
    """

    def negative_log_likelihood(points: Array) -> Array:
        """At several points (P, parameters) at once."""
        mode, log_left, log_right, *upper = np.expand_dims(points.T, -1)
        density = lower_density(x, mode, _scale(log_left), _scale(log_right))
        if upper:
            share, scale = _logistic(upper[0]), _scale(upper[2])
            normal = np.exp(-0.5 * ((x - upper[1]) / scale) ** 2) / (scale * ROOT_TWO_PI)
            density = (1 - share) * density + share * normal
        return -(np.log(density + BACKGROUND) @ counts)

    steps = 1e-6 * np.vstack((np.zeros(len(start)), np.eye(len(start))))

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        values = negative_log_likelihood(point + steps)
        return float(values[0]), (values[1:] - values[0]) / 1e-6

    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    p = found.x
    lower = (-float(found.fun), p[0], _scale(p[1]), _scale(p[2]))
    return Fit(*lower, _logistic(p[3]), p[4], _scale(p[5])) if len(p) > 3 else Fit(*lower)


def fit_one(x: Array, counts: Array) -> Fit:
    """Fit one population."""
    return fit_populations(x, counts, _lower_start(x, counts))


def fit_two(x: Array, counts: Array) -> Fit:
    """Fit two populations, from several starts; the likeliest."""
    order, total, fits = np.cumsum(counts), counts.sum(), []
    for share in SHARES:
        upper = x > x[np.searchsorted(order, (1 - share) * total)]
        if not counts[upper].sum():
            continue
        mean = np.average(x[upper], weights=counts[upper])
        scale = np.sqrt(np.average((x[upper] - mean) ** 2, weights=counts[upper]))
        high = [np.log(share / (1 - share)), mean, np.log(max(scale, 0.1))]
        fits.append(fit_populations(x, counts, np.concatenate((_lower_start(x[~upper], counts[~upper]), high))))
    return max(fits, key=lambda fit: fit.log_likelihood)


def _lower_start(x: Array, counts: Array) -> Array:
    median = x[np.searchsorted(np.cumsum(counts), counts.sum() / 2)]
    spread = np.log(max(np.average(np.abs(x - median), weights=counts), 0.1))
    return np.array([median, spread, spread])


def _scale(logarithm: Any) -> Any:
    return np.maximum(np.exp(np.minimum(logarithm, 5.0)), NARROWEST)


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


class Guard(NamedTuple):
    """What two populations need before they are believed."""

    evidence: float = 10.0  # gain in the Bayesian information criterion
    separation: float = 2.5  # distance of the modes, see Fit
    factor: float = 2.0  # between the losses at the modes: wrong labels are no small matter

    def relaxed(self) -> "Guard":
        """What they need to be believed on, once they have been found: a fit near the limit must not flicker."""
        return Guard(0.0, 0.8 * self.separation, self.factor)


def choose(x: Array, counts: Array, guard: Guard) -> Fit:
    """Fit one and two populations to the log losses of the configurations of a head; two only if the data show them.

    The criterion (three more parameters) must gain by `guard.evidence`, and the modes must be `guard.separation` and a
    factor of `guard.factor` apart: with very many configurations, the criterion alone would call every small deviation
    from the lower population's form another one, and losses that fall during an epoch can have two narrow modes.
    """
    one, two = fit_one(x, counts), fit_two(x, counts)
    gain = 2 * (two.log_likelihood - one.log_likelihood) - 3 * np.log(counts.sum())
    apart = two.distance > guard.separation and two.high_mean - two.mode > np.log(guard.factor)
    return two if gain > guard.evidence and apart else one
