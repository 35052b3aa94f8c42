"""How large an unexplained error is expected to be, by the geometry alone: no label is judged by its own error.

A configuration is as hard as its kind: coarse features, how few others resemble it, how much of its error geometry has
to explain, and what configurations of similar features suffer. Numpy and scipy only.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .densest import TINY
from .seen import Array

REFERENCES = 2000  # configurations among which neighbours are sought at most
PENALTY = 10.0
FLOOR = 0.35  # of an error, in widths of all: logarithms of smaller ones say nothing
SMALLEST, LARGEST = -2.0, 8.0  # log of the expected size, relative to the typical one
TOO_FAR = 3.0  # log of an error over the expected one, beyond which it doesn't count for more
NEAREST = 256  # of these, one of which stands for other configurations
CHUNK = 65_536  # configurations whose neighbours are sought together: bounds the memory
LITTLE = 0.1  # of logarithms
NEIGHBOUR_SCALE = 3.0  # of the neighbours' column: penalised less than the others


class Nearest(NamedTuple):
    """The reference that is nearest to each of n other configurations, by which they are judged."""

    of: NDArray[np.int64]  # (n,) which configuration of the sample it is
    distance: Array  # (n,) to its neighbours


class Neighbours:
    """The nearest configurations of each of N, by where they are (N, d) in the space of the features; never itself."""

    def __init__(self, place: Array, count: int) -> None:
        place = _somewhere(place)
        references = np.arange(len(place))
        if len(place) > REFERENCES:
            references = np.sort(np.random.default_rng(0).permutation(len(place))[:REFERENCES])
        count = max(1, min(count, len(references) - 1))
        tree = cKDTree(place[references])
        some = references[:: -(-len(references) // NEAREST)]
        self._some, self._places = some, place[some]
        self.of = np.empty((len(place), count), dtype=np.int32)  # indices
        self.distance = np.empty(len(place))
        for first in range(0, len(place), CHUNK):
            own = np.arange(first, min(first + CHUNK, len(place)))
            apart, near = tree.query(place[own], count + 1)
            other = references[near] != own[:, None]
            other[other.all(axis=1), -1] = False  # not a reference itself, or beside as many at the same place
            self.of[own] = references[near][other].reshape(-1, count)
            self.distance[own] = np.sqrt(np.square(apart[other].reshape(-1, count)).mean(axis=1))

    def nearest(self, place: Array) -> Nearest:
        """The nearest of NEAREST references of other configurations (n,), whose neighbours are taken for theirs."""
        place, half = _somewhere(place), 0.5 * np.square(self._places).sum(axis=1)
        closeness = place @ self._places.T
        closeness -= half  # (|place|^2 - distance^2) / 2
        near = closeness.argmax(axis=1)
        squares = np.square(place).sum(axis=1) - 2 * np.take_along_axis(closeness, near[:, None], axis=1)[:, 0]
        of = self._some[near]
        return Nearest(of, np.hypot(np.sqrt(squares.clip(0.0)), self.distance[of]))

    def uncertainty(self, near: float, distance: Array | None = None) -> Array:
        """Factor (N,) by which an expectation may be off far from others, sqrt(1 + (distance / (near typical))^2).

        A geometry that nothing resembles can't be judged by others. `near`: typical distances within which others tell.
        `distance`: of other configurations (n,) to their neighbours.
        """
        typical = max(float(np.median(self.distance)), 1e-12)
        distance = self.distance if distance is None else distance
        return np.asarray(np.hypot(1.0, distance / (near * typical)))

    def mean(self, values: Array) -> Array:
        """Mean of the neighbours' values (N,)."""
        return np.asarray(values[self.of].mean(axis=1))

    def middle_mean(self, values: Array) -> Array:
        """Mean of the middle half of the neighbours' values (N,): a few wrong labels make no hard region."""
        ordered = np.sort(values[self.of], axis=1)
        cut = ordered.shape[1] // 4
        return np.asarray(ordered[:, cut : ordered.shape[1] - cut].mean(axis=1))


def _somewhere(place: Array) -> Array:
    """Places (N, d); without features, all are alike."""
    return place if place.shape[1] else np.zeros((len(place), 1))


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
        self._inverse = np.linalg.inv(normal)
        lever = np.einsum("ij,ij->i", design @ self._inverse, design)
        unlike = _unlike(lever, neighbours.distance)
        self._standards = [_Standard(own) for own in unlike]
        self.columns = self._columns(coarse, unlike)
        self.log = np.zeros(len(design))

    def expect(self, residual: Array, explained: Array) -> tuple[Array, Array]:
        """Expected sizes (N,), and those without a configuration's own error, by residuals in widths of all.

        `explained` (N,): what geometry explains of the errors, in the same unit.
        """
        sizes = np.minimum(np.hypot(residual, FLOOR), np.exp(self.log + TOO_FAR))
        self._near = self.neighbours.middle_mean(np.log(sizes))
        self._explained = _Standard(_log_explained(explained))
        columns = self._with_errors(self.columns, _log_explained(explained), self._near)
        self._coefficients, log, alone = _log_means(columns, sizes)
        self._typical = float(np.median(log))
        self.log = _around(log, self._typical)
        return np.exp(self.log), np.exp(_around(alone, float(np.median(alone))))

    def of(self, design: Array, coarse: Array, nearest: Nearest, explained: Array) -> Array:
        """Expected sizes (n,) of other configurations, whose own errors have no part in it."""
        lever = np.einsum("ij,ij->i", design @ self._inverse, design)
        columns = self._columns(coarse, _unlike(lever / (1 + lever), nearest.distance))
        columns = self._with_errors(columns, _log_explained(explained), self._near[nearest.of])
        return np.exp(_around(columns @ self._coefficients, self._typical))

    def _columns(self, coarse: Array, unlike: list[Array]) -> Array:
        scaled = [standard.of(own) for standard, own in zip(self._standards, unlike, strict=True)]
        return np.column_stack((coarse, *scaled))

    def _with_errors(self, columns: Array, explained: Array, near: Array) -> Array:
        near_columns = [NEIGHBOUR_SCALE * near, NEIGHBOUR_SCALE * np.maximum(near - 1.0, 0.0)]
        return np.column_stack((columns, self._explained.of(explained), *near_columns))


class _Standard:
    """Makes values of zero mean and unit variance; what hardly varies (LITTLE) is not blown up: it may tell of errors.

    Those of other configurations are cut where the sample ends.
    """

    def __init__(self, values: Array) -> None:
        self._mean, self._width = float(values.mean()), max(float(values.std()), LITTLE)
        self._range = float(values.min()), float(values.max())

    def of(self, values: Array) -> Array:
        return np.asarray((values.clip(*self._range) - self._mean) / self._width)


def _unlike(lever: Array, distance: Array) -> list[Array]:
    """What says how few others resemble a configuration, each (N,)."""
    lever = lever.clip(TINY, 1.0)
    return [np.log(lever), np.log((1 - lever).clip(1e-3)), np.log(distance + TINY)]


def _log_explained(explained: Array) -> Array:
    return np.asarray(np.log(np.hypot(explained, 1.0)))


def _around(log: Array, typical: float) -> Array:
    return np.asarray((log - typical).clip(SMALLEST, LARGEST))


def _log_means(columns: Array, sizes: Array, steps: int = 8) -> tuple[Array, Array, Array]:
    """Coefficients of columns (N, q), the log of the expected sizes (N,), and the same without the own one."""
    penalty = PENALTY * np.eye(columns.shape[1])
    penalty[0, 0] = 0.0
    inverse = np.linalg.inv(columns.T @ columns + penalty + 1e-9 * np.eye(len(penalty)))
    coefficients = inverse @ (columns.T @ np.log(sizes))
    for _ in range(steps):
        log = (columns @ coefficients).clip(-4.0, 10.0)
        coefficients = inverse @ (columns.T @ (log + (sizes / np.exp(log) - 1).clip(-2.0, 2.0)))
    log = columns @ coefficients
    leverage = np.einsum("ij,ij->i", columns @ inverse, columns).clip(0.0, 0.9)
    surprise = (sizes / np.exp(log.clip(-4.0, 10.0)) - 1).clip(-2.0, 3.0)
    return coefficients, log, log - surprise * leverage / (1 - leverage)
