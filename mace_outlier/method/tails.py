"""Tails of what is not explained of right labels: some data have more hard configurations than others. Numpy only.

A t distribution is a normal one whose variance is not the same for all (inverse gamma distributed). Where one
difficulty that nobody knows multiplies the errors, the variance is rather log-normal. The data choose.
"""

import math
from typing import NamedTuple

import numpy as np

from .seen import Array

GRID = np.linspace(0.0, 45.0, 1500)  # of log(1 + y^2)


class Tail(NamedTuple):
    """A symmetric density of width 1, tabulated by log(1 + y^2)."""

    name: str
    log_density: Array
    weight: Array
    log_prior: float = 0.0

    def log(self, squared: Array) -> Array:
        """Log density at values whose squares are given."""
        return np.interp(np.log1p(squared), GRID, self.log_density)

    def pull(self, squared: Array) -> Array:
        """Weight -p'(y) / (y p(y)) of such values in a mean or a variance."""
        return np.interp(np.log1p(squared), GRID, self.weight)


def student(nu: float) -> Tail:
    """A t distribution of nu degrees of freedom."""
    squared = np.expm1(GRID)
    constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    return Tail(f"t {nu:g}", constant - (nu + 1) / 2 * np.log1p(squared / nu), (nu + 1) / (nu + squared))


def scale_mixture(sd: float, nodes: int = 41) -> Tail:
    """A normal distribution whose log width is normally distributed with this standard deviation."""
    squared = np.expm1(GRID)
    places, shares = np.polynomial.hermite_e.hermegauss(nodes)
    with np.errstate(divide="ignore"):  # far out, shares underflow
        logs = np.log(shares / shares.sum())
    variance = np.exp(2 * sd * places)[:, None]
    terms = logs[:, None] - 0.5 * squared / variance - 0.5 * np.log(2 * math.pi * variance)
    top = terms.max(axis=0)
    parts = np.exp(terms - top)
    total = parts.sum(axis=0)
    return Tail(f"log-normal {sd:g}", top + np.log(total), (parts / variance).sum(axis=0) / total)


RARE = -3.0  # log prior of the heaviest tails: errors are studentised, so that few data have them
TAILS = (
    student(2.5)._replace(log_prior=RARE),
    *map(student, (4.0, 7.0, 15.0, 40.0)),
    scale_mixture(0.5),
    scale_mixture(0.8)._replace(log_prior=RARE),
)
CERTAIN, CERTAIN_LOG = 1, 2  # tails that are taken for certain where a single error, or its log, is to be called gross
