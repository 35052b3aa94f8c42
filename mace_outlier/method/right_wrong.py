"""Densities of what is not explained, of right and of wrong labels: what all properties share. Numpy only.

Values (N,) are finite here; whoever calls knows which labels there are.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .seen import Array
from .tails import CERTAIN, TAILS

RANGE = 30.0  # e-folds over which gross errors are spread
PRIOR = 1.0  # configurations that the priors of the wrong populations count
STRAGGLING = 0.25  # least spread of wrong labels over their distance from right ones: some are off by less
STRAGGLING_MOST = 0.75  # of that spread, e-folds: by a factor, however far the others are
GRID = np.sinh(np.linspace(0.0, 14.0, 700))  # distances from right labels at which odds are known

Kind = TypeVar("Kind", bound="Population")


@dataclass
class Population:
    """What describes the right and the wrong labels of one property."""

    apart: float  # how far off wrong labels have to be typically, to be told from hard ones
    centre: float = 0.0  # of right labels
    tail: int = 1  # of right labels, one of TAILS
    at: float = 2.0  # typical wrong labels
    spread: float = 0.6  # of these

    PARAMETERS = 0  # of wrong labels
    CERTAIN = CERTAIN  # tail of right labels beside gross errors

    def log_right(self, values: Array, hardness: Array | float = 0.0) -> Array:
        """Log density of right labels (N,); `hardness` (N,): of their forces."""
        raise NotImplementedError

    def log_wrong(self, values: Array) -> Array:
        """Log density of wrong labels (N,)."""
        raise NotImplementedError

    def log_gross(self, values: Array) -> Array:
        """Log density of errors of any size (N,)."""
        raise NotImplementedError

    def _along(self, distance: Array, side: int, of_wrong: bool) -> Array:
        """Log ratio of wrong (or gross) and right densities at distances (N,) from right labels, never falling."""
        there = self.centre + side * GRID
        right = replace(self, tail=self.tail if of_wrong else self.CERTAIN).log_right(there)
        odds = (self.log_wrong(there) if of_wrong else self.log_gross(there)) - right
        return np.interp(distance, GRID, np.maximum.accumulate(odds))

    def _likeliest(self: Kind, variants: "list[Kind]", values: Array, q: Array, hardness: Array | float = 0.0) -> Kind:
        """The variant under which right labels, each with a probability of being right, are likeliest."""

        def log_likelihood(own: Kind) -> float:
            return float((q * own.log_right(values, hardness)).sum()) + TAILS[own.tail].log_prior

        return max(variants, key=log_likelihood)


def least_spread(apart: float) -> float:
    """Spread that wrong labels have at least, e-folds, where typical ones lie so many e-folds from right ones."""
    return min(max(0.1, STRAGGLING * apart), STRAGGLING_MOST)


def log_normal(values: Array, mean: float, width: float) -> Array:
    """Log density of a normal distribution (N,)."""
    return -0.5 * ((values - mean) / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
