"""Errors that geometry does not explain, in units of what is expected of such a configuration. Numpy only."""

import numpy as np

from .covariates import Covariates, Geometry
from .densest import densest
from .difficulty import Difficulty, Nearest, Neighbours
from .readout import leave_one_out
from .seen import ENERGY, FORCES, Array, Seen
from .settings import Settings

MOST_OPPOSED = 2.0 - 1e-3  # of the squared error over those of prediction and label; 2: opposite forces
PART = 4096  # configurations that are judged together: what is computed of them stays in a cache
ROUNDS = 3  # of scale and readout in turn
NEAR_ENERGY, NEAR_SIZE = 1.0, 3.0  # see Neighbours: a readout extrapolates energies; sizes of errors differ by less


class Unexplained:
    """What geometry doesn't explain of errors, as a sample of configurations tells.

    Energies: signed, in widths of all of them. Others: log of the error over the expected one. NaN: no label, or
    nothing to compare with.

    Args:
        sample: configurations of a head, each of which is judged by the others.
        settings: of the judgement.
    """

    def __init__(self, sample: Seen, settings: Settings) -> None:
        sample = sample.in_double()
        self._settings, self._geometry = settings, Geometry(sample, settings.components)
        self.unit = 1.0  # eV/atom: width of what is not explained of energies, where it is typical
        self.found: dict[str, Array] = {}  # (N,) by property, of the sample
        self._fits: dict[str, _Energies | _Sizes] = {}
        columns, compared = self._geometry.columns(sample), np.zeros(0, dtype=np.int64)
        for name in sample.errors:
            self.found[name] = np.full(sample.number, np.nan)
            known = np.flatnonzero(judgeable(name, sample, settings))
            if len(known) < settings.least:
                continue
            if not np.array_equal(known, compared):
                own, compared = columns.part(known), known
                near = Neighbours(own.place, settings.neighbours)
            fit = (_Energies if name == ENERGY else _Sizes)(_values(name, sample)[known], own, near)
            self._fits[name], self.found[name][known] = fit, fit.found
            self.unit = fit.unit if isinstance(fit, _Energies) else self.unit

    def of(self, seen: Seen) -> dict[str, Array]:
        """What is not explained of the errors of other configurations (n,), by property; in parts, to save memory."""
        parts = [self._of(seen.part(slice(first, first + PART)).in_double()) for first in range(0, seen.number, PART)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.found}

    def _of(self, seen: Seen) -> dict[str, Array]:
        columns = self._geometry.columns(seen)
        found = {name: np.full(seen.number, np.nan) for name in self.found}
        near: dict[int, Nearest] = {}  # properties of the same configurations have the same neighbours
        for name, fit in self._fits.items():
            known, values = judgeable(name, seen, self._settings), _values(name, seen)
            if id(fit.near) not in near:
                near[id(fit.near)] = fit.near.nearest(columns.place)
            nearest = Nearest(*(own[known] for own in near[id(fit.near)]))
            found[name][known] = fit.of(values[known], columns.part(known), nearest)
        return found


def judgeable(name: str, seen: Seen, settings: Settings) -> np.ndarray:
    """Which configurations (N,) have a label of a property that says something."""
    known = np.isfinite(seen.errors[name])
    if name == FORCES:  # those that vanish by symmetry are predicted exactly by any model
        known &= np.maximum(seen.label_force, seen.errors[name]) > settings.least_force
    return known


class _Energies:
    """Unexplained errors (N,) of energies in widths of all of them, and that width (`unit`), eV/atom."""

    def __init__(self, errors: Array, columns: Covariates, near: Neighbours) -> None:
        difficulty, scale, penalty = Difficulty(columns.design, columns.coarse, near), np.ones(len(errors)), None
        for _ in range(ROUNDS):
            fit = leave_one_out(columns.design, errors, scale, penalty)
            penalty = fit.penalty
            width = densest(fit.studentised)[1]
            zero, middle = densest(fit.studentised / scale)[0], densest(fit.predicted)[0]
            residual = (fit.studentised - zero * scale) / width
            scale, alone = difficulty.expect(residual, (fit.predicted - middle) / width)
        found = residual / (alone * near.uncertainty(NEAR_ENERGY))
        centre, relative = densest(found)
        self._fit, self._difficulty, self.near = fit, difficulty, near
        self._zero, self._width, self._middle, self._centre, self._relative = zero, width, middle, centre, relative
        self.found, self.unit = (found - centre) / relative, width * relative

    def of(self, errors: Array, columns: Covariates, nearest: Nearest) -> Array:
        """Those of other configurations (n,)."""
        predicted = self._fit.of(columns.design)
        explained = (predicted - self._middle) / self._width
        scale = self._difficulty.of(columns.design, columns.coarse, nearest, explained)
        residual = self._fit.studentise(errors - predicted, columns.design, scale) - self._zero * scale
        found = residual / self._width / (scale * self.near.uncertainty(NEAR_ENERGY, nearest.distance))
        return (found - self._centre) / self._relative


def _values(name: str, seen: Seen) -> Array:
    """What is to be explained (N,): energy errors; of others, their logarithms."""
    if name == ENERGY:
        return seen.errors[name]
    return np.log(seen.errors[name] + 1e-9) + (_opposed(seen) if name == FORCES else 0.0)


def _opposed(seen: Seen) -> Array:
    """By how much more, in logarithms, the errors of forces (N,) count that point against their labels.

        -1/2 log((1 + c) / 2),    c = 2 F . F_label / (F^2 + F_label^2) = 1 - error^2 / (F^2 + F_label^2)

    Nearly 0 where prediction and label agree in direction; without bound where they are opposite, as no hard geometry
    makes them. 0 where one of them isn't known.
    """
    known = np.isfinite(seen.predicted_force) & (seen.label_force > 0) & np.isfinite(seen.errors[FORCES])
    squares = seen.predicted_force**2 + seen.label_force**2
    relative = np.divide(seen.errors[FORCES] ** 2, squares, out=np.zeros(seen.number), where=known)
    return np.asarray(-0.5 * np.log1p(-relative.clip(0.0, MOST_OPPOSED) / 2))


class _Sizes:
    """Log errors (N,) over the expected ones."""

    def __init__(self, log: Array, columns: Covariates, near: Neighbours) -> None:
        ones = np.ones(len(log))
        self._others = near.mean(in_widths(leave_one_out(columns.coarse, log, ones).studentised).clip(-4.0, 4.0))
        self._fit, self.near = leave_one_out(self._columns(columns, self._others), log, ones), near
        self._zero = densest(self._fit.studentised)[0]
        self.found = self._fit.studentised - self._zero - np.log(near.uncertainty(NEAR_SIZE))

    def of(self, log: Array, columns: Covariates, nearest: Nearest) -> Array:
        """Those of other configurations (n,)."""
        design = self._columns(columns, self._others[nearest.of])
        residual = self._fit.studentise(log - self._fit.of(design), design, np.ones(len(log)))
        return residual - self._zero - np.log(self.near.uncertainty(NEAR_SIZE, nearest.distance))

    @staticmethod
    def _columns(columns: Covariates, others: Array) -> Array:
        """Coarse columns, and what neighbours suffer."""
        return np.column_stack((columns.coarse, 3 * others))


def in_widths(values: Array) -> Array:
    """Values from where they are densest, in widths of that."""
    zero, width = densest(values)
    return (values - zero) / width
