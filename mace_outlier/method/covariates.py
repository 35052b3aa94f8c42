"""What the geometry says of a configuration, as columns that a readout can be fitted to. Numpy only."""

from typing import NamedTuple

import numpy as np

from .seen import Array, Seen

CONSTANT = 1e-9  # relative to their size: columns that vary by less are dropped
FORCE_FLOOR = 1e-3  # eV/A
FORCE_KNOTS, TIME_KNOTS, FEW_CONDITIONS = 4, 6, 8
SPARSE = 3  # configurations for each component of the features at least
LARGEST = 1e2  # standard deviations at which a column is cut: other configurations may lie anywhere


class Scaling(NamedTuple):
    """Makes columns of zero mean and unit variance, and drops constant ones."""

    mean: Array
    width: Array
    kept: np.ndarray

    @classmethod
    def of(cls, columns: Array) -> "Scaling":
        """Of columns (N, k)."""
        mean, width = columns.mean(axis=0), columns.std(axis=0)
        kept = np.flatnonzero(width > CONSTANT * np.maximum(1.0, np.abs(columns).max(axis=0, initial=0.0)))
        return cls(mean[kept], width[kept], kept)

    def __call__(self, columns: Array) -> Array:
        """Scale columns (N, k)."""
        return ((columns[:, self.kept] - self.mean) / self.width).clip(-LARGEST, LARGEST)


class Covariates:
    """Columns of the configurations of a head, made by the same rules for others (a validation set).

        design    1, size, composition, conditions, predicted force, time, all whitened components of the features
        coarse    the same without time, and with the first components only: what the size of an error depends on
        place     components of the features in their own widths: where near neighbours are sought

    Args:
        seen: the configurations that the rules are made from.
        components: of the features in `coarse`.
    """

    def __init__(self, seen: Seen, components: int) -> None:
        self.components = components
        self.force_knots = _quantiles(_log_force(seen), FORCE_KNOTS)
        self.conditions = [np.unique(column) for column in seen.conditions.T]
        self.plain = Scaling.of(self._plain(seen))
        self.timed = bool(seen.number and np.ptp(seen.times) > 0)
        self.clock = Scaling.of(_hats(seen.times)) if self.timed else None
        self.features = Scaling.of(seen.features)
        scaled = self.features(seen.features)
        most = min(scaled.shape[1], seen.number // SPARSE)
        _, sizes, directions = np.linalg.svd(_thinned(scaled), full_matrices=False)
        widths = sizes / np.sqrt(max(len(_thinned(scaled)), 1))
        most = min(most, int(np.sum(widths > 1e-5 * widths[0]))) if len(widths) else 0
        self.directions, self.widths = directions[:most].T, widths[:most]

    def _plain(self, seen: Seen) -> Array:
        columns = [
            1 / seen.atoms,
            np.log(seen.atoms),
            *seen.composition.T,
            *_spline(_log_force(seen), self.force_knots).T,
        ]
        for own, values in zip(seen.conditions.T, self.conditions, strict=True):
            columns += [own == value for value in values[1:]] if len(values) <= FEW_CONDITIONS else [own]
        return np.column_stack(columns).astype(float)

    def of(self, seen: Seen) -> tuple[Array, Array, Array]:
        """Design (N, p), coarse (N, q) and place (N, components)."""
        one, plain = np.ones((seen.number, 1)), self.plain(self._plain(seen))
        own = self.features(seen.features) @ self.directions
        white = (own / self.widths).clip(-LARGEST, LARGEST)
        clock = self.clock(_hats(seen.times)) if self.clock is not None else one[:, :0]
        coarse = np.concatenate((one, plain, white[:, : self.components]), axis=1)
        return np.concatenate((one, plain, clock, white), axis=1), coarse, own[:, : 3 * self.components]


def _thinned(columns: Array, most: int = 20_000) -> Array:
    """At most so many rows, evenly."""
    return columns[:: max(1, -(-len(columns) // most))]


def _log_force(seen: Seen) -> Array:
    return np.log(np.hypot(np.nan_to_num(seen.predicted_force), FORCE_FLOOR))


def _quantiles(values: Array, knots: int) -> Array:
    return np.unique(np.quantile(values, np.linspace(0.02, 0.98, knots))) if len(values) else np.zeros(0)


def _spline(values: Array, knots: Array) -> Array:
    """Piecewise linear functions between knots, constant beyond, (N, knots - 1)."""
    if len(knots) < 2:
        return np.zeros((len(values), 0))
    return np.column_stack([np.interp(values, knots, own) for own in np.eye(len(knots))[1:]])


def _hats(times: Array) -> Array:
    """The same, of where in the epoch a visit was, (N, knots - 1)."""
    return _spline(times % 1.0, np.linspace(0.0, 1.0, TIME_KNOTS))
