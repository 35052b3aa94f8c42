"""How large an unexplained error is expected to be, by the geometry alone: no label is judged by its own error.

A configuration is as hard as its kind: coarse features, how few others resemble it, how much of its error geometry has
to explain, and what configurations of similar features suffer. Numpy and scipy only.
"""

import numpy as np
from scipy.spatial import cKDTree

from .densest import TINY
from .seen import Array

REFERENCES = 2000  # configurations among which neighbours are sought at most
PENALTY = 10.0
FLOOR = 0.35  # of an error, in widths of all: logarithms of smaller ones say nothing
SMALLEST, LARGEST = -2.0, 8.0  # log of the expected size, relative to the typical one
TOO_FAR = 3.0  # log of an error over the expected one, beyond which it doesn't count for more
CHUNK = 65_536  # configurations whose neighbours are sought together: bounds the memory
LITTLE = 0.1  # of logarithms
NEIGHBOUR_SCALE = 3.0  # of the neighbours' column: penalised less than the others


class Neighbours:
    """The nearest configurations of each of N, by where they are (N, d) in the space of the features; never itself."""

    def __init__(self, place: Array, count: int) -> None:
        place = place if place.shape[1] else np.zeros((len(place), 1))  # no features: all are alike
        references = np.arange(len(place))
        if len(place) > REFERENCES:
            references = np.sort(np.random.default_rng(0).permutation(len(place))[:REFERENCES])
        count = max(1, min(count, len(references) - 1))
        tree = cKDTree(place[references])
        self.of = np.empty((len(place), count), dtype=np.int32)  # indices
        self.distance = np.empty(len(place))
        for first in range(0, len(place), CHUNK):
            own = np.arange(first, min(first + CHUNK, len(place)))
            apart, near = tree.query(place[own], count + 1)
            other = references[near] != own[:, None]
            other[other.all(axis=1), -1] = False  # not a reference itself, or beside as many at the same place
            self.of[own] = references[near][other].reshape(-1, count)
            self.distance[own] = np.sqrt(np.square(apart[other].reshape(-1, count)).mean(axis=1))

    def uncertainty(self, near: float) -> Array:
        """Factor (N,) by which an expectation may be off far from others, sqrt(1 + (distance / (near typical))^2).

        A geometry that nothing resembles can't be judged by others. `near`: typical distances within which others tell.
        """
        typical = max(float(np.median(self.distance)), 1e-12)
        return np.asarray(np.hypot(1.0, self.distance / (near * typical)))

    def mean(self, values: Array) -> Array:
        """Mean of the neighbours' values (N,)."""
        return np.asarray(values[self.of].mean(axis=1))

    def middle_mean(self, values: Array) -> Array:
        """Mean of the middle half of the neighbours' values (N,): a few wrong labels make no hard region."""
        ordered = np.sort(values[self.of], axis=1)
        cut = ordered.shape[1] // 4
        return np.asarray(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))


class Difficulty:
    """Expected size of what is not explained of the errors of N configurations.

        log s_i = z_i b,    b by quasi-likelihood for the mean of |r|: sum_i (|r_i| / s_i - 1) z_i = penalty b

    z: coarse columns (N, q), leverage, distance to the neighbours, middle mean of their log |r|, what is explained.
    Each is expected without its own error (one step of leaving it out).
    """

    def __init__(self, design: Array, coarse: Array, neighbours: Neighbours) -> None:
        self.neighbours = neighbours
        normal = design.T @ design
        normal[np.diag_indices_from(normal)] += 1.0
        lever = np.einsum("ij,ij->i", design @ np.linalg.inv(normal), design).clip(TINY, 1.0)
        unlike = [np.log(lever), np.log((1 - lever).clip(1e-3)), np.log(neighbours.distance + TINY)]
        self.columns = np.column_stack((coarse, *map(_standard, unlike)))
        self.log = np.zeros(len(design))

    def expect(self, residual: Array, explained: Array) -> tuple[Array, Array]:
        """Expected sizes (N,), and those without a configuration's own error, by residuals in widths of all.

        `explained` (N,): what geometry explains of the errors, in the same unit.
        """
        sizes = np.minimum(np.hypot(residual, FLOOR), np.exp(self.log + TOO_FAR))
        near = self.neighbours.middle_mean(np.log(sizes))
        near_columns = [NEIGHBOUR_SCALE * near, NEIGHBOUR_SCALE * np.maximum(near - 1.0, 0.0)]
        columns = np.column_stack((self.columns, _standard(np.log(np.hypot(explained, 1.0))), *near_columns))
        self.log, alone = _log_means(columns, sizes)
        self.log = _around_typical(self.log)
        return np.exp(self.log), np.exp(_around_typical(alone))


def _around_typical(log: Array) -> Array:
    return np.asarray((log - np.median(log)).clip(SMALLEST, LARGEST))


def _standard(values: Array) -> Array:
    """Of zero mean and unit variance; what hardly varies (LITTLE) is not blown up: it may tell of the own error."""
    return (values - values.mean()) / max(float(values.std()), LITTLE)


def _log_means(columns: Array, sizes: Array, steps: int = 8) -> tuple[Array, Array]:
    """Log of the expected sizes (N,) by columns (N, q), and the same without the own one."""
    penalty = PENALTY * np.eye(columns.shape[1])
    penalty[0, 0] = 0.0
    inverse = np.linalg.inv(columns.T @ columns + penalty + 1e-9 * np.eye(len(penalty)))
    log = columns @ (inverse @ (columns.T @ np.log(sizes)))
    for _ in range(steps):
        log = log.clip(-4.0, 10.0)
        log = columns @ (inverse @ (columns.T @ (log + (sizes / np.exp(log) - 1).clip(-2.0, 2.0))))
    leverage = np.einsum("ij,ij->i", columns @ inverse, columns).clip(0.0, 0.9)
    surprise = (sizes / np.exp(log.clip(-4.0, 10.0)) - 1).clip(-2.0, 3.0)
    return log, log - surprise * leverage / (1 - leverage)
