"""What the geometry says of a configuration, as columns that a readout can be fitted to. Numpy only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .seen import Array, Seen

CONSTANT = 1e-9  # relative to their size: columns that vary by less are dropped
FORCE_FLOOR = 1e-3  # eV/A
FORCE_KNOTS, TIME_KNOTS, FEW_CONDITIONS = 4, 6, 8
SPARSE = 3  # configurations for each component of the features at least
SMALLEST = 1e-5  # width of a component relative to the widest
LARGEST = 1e2  # widths at which a column is cut
THINNED = 20_000  # configurations that the components are made from, at most


class Covariates(NamedTuple):
    """Columns of N configurations."""

    design: Array  # (N, p): 1, size, composition, conditions, predicted force, time, whitened components of features
    coarse: Array  # (N, q): without time, and with the first components only: what the size of an error depends on
    place: Array  # (N, d): components in their own widths, where near neighbours are sought

    def part(self, which: np.ndarray) -> "Covariates":
        """Those of some configurations; of a mask that takes all, these."""
        if which.dtype == bool and which.all():
            return self
        return Covariates(*(columns[which] for columns in self))


class Geometry:
    """How configurations become columns: scales, knots and principal components are those of a sample.

    Args:
        sample: configurations of a head.
        components: of the features in `Covariates.coarse`.
    """

    def __init__(self, sample: Seen, components: int) -> None:
        self._few = components
        self._knots = np.unique(np.quantile(_log_force(sample), np.linspace(0.02, 0.98, FORCE_KNOTS)))
        self._elements = list(sample.composition)
        self._conditions = [np.unique(column) for column in sample.conditions.T]
        self._first, self._clock = _Scaling(self._plain(sample)), _Scaling(_within_epoch(sample))
        features = np.asarray(sample.features)
        self._features = _Scaling(features)
        self._directions, self._widths = _components(self._features.of(features), sample.number // SPARSE)

    def columns(self, seen: Seen) -> Covariates:
        """Columns of configurations, of the sample or others."""
        first = np.column_stack((np.ones(seen.number), self._first.of(self._plain(seen))))
        own = self._features.of(np.asarray(seen.features)) @ self._directions
        white = (own / self._widths).clip(-LARGEST, LARGEST)
        coarse = np.concatenate((first, white[:, : self._few]), axis=1)
        design = np.concatenate((first, self._clock.of(_within_epoch(seen)), white), axis=1)
        return Covariates(design, coarse, own[:, : 3 * self._few])

    def _plain(self, seen: Seen) -> Array:
        """Size, composition, predicted force and conditions (N, k), as they are."""
        plain = [1 / seen.atoms, np.log(seen.atoms)]
        plain += [seen.composition.get(element, np.zeros(seen.number)) for element in self._elements]
        plain += list(_spline(_log_force(seen), self._knots).T)
        for column, values in zip(seen.conditions.T, self._conditions, strict=True):
            plain += [column == value for value in values[1:]] if len(values) <= FEW_CONDITIONS else [column]
        return np.column_stack(plain).astype(float)


class _Scaling:
    """Makes columns of zero mean and unit variance; drops constant ones, and those that aren't known of all."""

    def __init__(self, sample: Array) -> None:
        known = np.isfinite(sample).all(axis=0)
        columns = sample[:, known].astype(np.float64)
        mean, width = columns.mean(axis=0), columns.std(axis=0)
        varies = width > CONSTANT * np.maximum(1.0, np.abs(columns).max(axis=0, initial=0.0))
        self._kept: NDArray[np.int64] | slice = np.flatnonzero(known)[varies]
        self._mean, self._width = mean[varies], width[varies]
        if len(self._kept) == sample.shape[1]:
            self._kept = slice(None)  # which needs no copy

    def of(self, columns: Array) -> Array:
        """Columns (N, k) of the sample or of others; what isn't known of these is taken for the mean."""
        scaled = (columns[:, self._kept] - self._mean) / self._width
        np.clip(scaled, -LARGEST, LARGEST, out=scaled)
        scaled[np.isnan(scaled)] = 0.0
        return np.asarray(scaled)


def _log_force(seen: Seen) -> Array:
    return np.asarray(np.log(np.hypot(np.nan_to_num(seen.predicted_force), FORCE_FLOOR)))


def _within_epoch(seen: Seen) -> Array:
    """When in its epoch a configuration was seen, as columns (N, TIME_KNOTS - 1): a spline between equal knots."""
    knots = np.arange(1.0, TIME_KNOTS)
    return (1.0 - np.abs((TIME_KNOTS - 1) * (seen.times % 1.0)[:, None] - knots)).clip(0.0)


def _components(columns: Array, most: int) -> tuple[Array, Array]:
    """Directions (k, K) of at most so many principal components, and their widths (K,)."""
    thinned = columns[:: max(1, -(-len(columns) // THINNED))]
    _, sizes, directions = np.linalg.svd(thinned, full_matrices=False)
    most = min(most, int(np.sum(sizes > SMALLEST * sizes.max(initial=0.0))))
    return directions[:most].T, sizes[:most] / np.sqrt(len(thinned))


def _spline(values: Array, knots: Array) -> Array:
    """Piecewise linear functions between knots, constant beyond, (N, knots - 1)."""
    columns = [np.interp(values, knots, own) for own in np.eye(len(knots))[1:]]
    return np.column_stack(columns) if columns else np.zeros((len(values), 0))
