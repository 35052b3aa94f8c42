"""What the geometry says of a configuration, as columns that a readout can be fitted to. Numpy only."""

from typing import NamedTuple

import numpy as np

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
        """Those of some configurations."""
        return Covariates(*(columns[which] for columns in self))


def covariates(seen: Seen, components: int) -> Covariates:
    """Columns of the configurations of a head; `components`: of the features in `coarse`."""
    force = np.log(np.hypot(np.nan_to_num(seen.predicted_force), FORCE_FLOOR))
    knots = np.unique(np.quantile(force, np.linspace(0.02, 0.98, FORCE_KNOTS)))
    plain = [1 / seen.atoms, np.log(seen.atoms), *seen.composition.values(), *_spline(force, knots).T]
    for column in seen.conditions.T:
        values = np.unique(column)
        plain += [column == value for value in values[1:]] if len(values) <= FEW_CONDITIONS else [column]
    clock = _scaled(_spline(seen.times % 1.0, np.linspace(0.0, 1.0, TIME_KNOTS)))
    first = np.column_stack((np.ones(seen.number), _scaled(np.column_stack(plain).astype(float))))
    own, widths = _components(_scaled(seen.features), seen.number // SPARSE)
    white = (own / widths).clip(-LARGEST, LARGEST)
    coarse = np.concatenate((first, white[:, :components]), axis=1)
    return Covariates(np.concatenate((first, clock, white), axis=1), coarse, own[:, : 3 * components])


def _scaled(columns: Array) -> Array:
    """Columns (N, k) of zero mean and unit variance; constant ones, and those that aren't known of all, are dropped."""
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    mean, width = columns.mean(axis=0), columns.std(axis=0)
    kept = width > CONSTANT * np.maximum(1.0, np.abs(columns).max(axis=0, initial=0.0))
    return ((columns[:, kept] - mean[kept]) / width[kept]).clip(-LARGEST, LARGEST)


def _components(columns: Array, most: int) -> tuple[Array, Array]:
    """At most so many principal components (N, k), and their widths."""
    thinned = columns[:: max(1, -(-len(columns) // THINNED))]
    _, sizes, directions = np.linalg.svd(thinned, full_matrices=False)
    most = min(most, int(np.sum(sizes > SMALLEST * sizes.max(initial=0.0))))
    return columns @ directions[:most].T, sizes[:most] / np.sqrt(len(thinned))


def _spline(values: Array, knots: Array) -> Array:
    """Piecewise linear functions between knots, constant beyond, (N, knots - 1)."""
    columns = [np.interp(values, knots, own) for own in np.eye(len(knots))[1:]]
    return np.column_stack(columns) if columns else np.zeros((len(values), 0))
