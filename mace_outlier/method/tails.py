"""Tails of what is not explained of right labels: some data have more hard configurations than others. Numpy only.

A t distribution is a normal one whose variance is not the same for all (inverse gamma distributed). Where one
difficulty that nobody knows multiplies the errors, the variance is rather log-normal. The data choose.
"""

import math

import numpy as np

from .seen import Array

GRID = np.linspace(0.0, 45.0, 1500)  # of log(1 + y^2)


class Student:
    """A t distribution of nu degrees of freedom, of width 1."""

    def __init__(self, nu: float, log_prior: float = 0.0) -> None:
        self.nu, self.log_prior = nu, log_prior
        self.constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)

    def log(self, squared: Array) -> Array:
        """Log density at values y whose squares are given."""
        return np.asarray(self.constant - (self.nu + 1) / 2 * np.log1p(squared / self.nu))

    def pull(self, squared: Array) -> Array:
        """Weight -p'(y) / (y p(y)) of such values in a mean or a variance."""
        return np.asarray((self.nu + 1) / (self.nu + squared))


class ScaleMixture:
    """A normal distribution whose log width is normally distributed with this standard deviation; tabulated."""

    def __init__(self, sd: float, log_prior: float = 0.0, nodes: int = 41) -> None:
        self.log_prior = log_prior
        places, shares = np.polynomial.hermite_e.hermegauss(nodes)
        with np.errstate(divide="ignore"):  # far out, shares underflow
            logs = np.log(shares / shares.sum())
        variance = np.exp(2 * sd * places)[:, None]
        terms = logs[:, None] - 0.5 * np.expm1(GRID) / variance - 0.5 * np.log(2 * math.pi * variance)
        top = terms.max(axis=0)
        parts = np.exp(terms - top)
        self._log = top + np.log(parts.sum(axis=0))
        self._pull = (parts / variance).sum(axis=0) / parts.sum(axis=0)

    def log(self, squared: Array) -> Array:
        """See Student."""
        return np.interp(np.log1p(squared), GRID, self._log)

    def pull(self, squared: Array) -> Array:
        """See Student."""
        return np.interp(np.log1p(squared), GRID, self._pull)


RARE = -3.0  # log prior of the heaviest tails: errors are studentised, so that few data have them
TAILS: tuple[Student | ScaleMixture, ...] = (
    Student(2.5, RARE),
    *map(Student, (4.0, 7.0, 15.0, 40.0)),
    ScaleMixture(0.5),
    ScaleMixture(0.8, RARE),
)
CERTAIN, CERTAIN_LOG = 1, 2  # tails that are taken for certain where a single error, or its log, is to be called gross
