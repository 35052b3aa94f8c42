"""Errors that geometry does not explain, in units of what is expected of such a configuration. Numpy only."""

import numpy as np

from .covariates import Covariates, covariates
from .densest import densest, densest_halves
from .difficulty import Difficulty, Neighbours
from .readout import leave_one_out
from .seen import ENERGY, FORCES, Array, Seen
from .settings import Settings

MOST_OPPOSED = 2.0 - 1e-3  # of the squared error over those of prediction and label; 2: opposite forces
ROUNDS = 3  # of scale and readout in turn
NEAR_ENERGY, NEAR_SIZE = 1.0, 3.0  # see Neighbours: a readout extrapolates energies; sizes of errors differ by less


def unexplained(seen: Seen, settings: Settings) -> tuple[dict[str, Array], float]:
    """What is not explained of each property's errors, (N,) by property; NaN: no label, or nothing to compare with.

    Energies: signed, in widths of all of them; the second result is that width where it is typical, eV/atom. Others:
    log of the error over the expected one.
    """
    columns, unit = covariates(seen, settings.components), 1.0
    found, compared = {}, np.zeros(0, dtype=np.int64)
    for name, errors in seen.errors.items():
        found[name] = np.full(len(errors), np.nan)
        known = np.flatnonzero(judgeable(name, seen, settings))
        if len(known) < settings.least:
            continue
        if not np.array_equal(known, compared):
            own, compared = columns.part(known), known
            near = Neighbours(own.place, settings.neighbours)
        if name == ENERGY:
            energies, unit = _energies(errors[known], own, near)
            found[name][known] = _by_molecule(energies, seen.molecules[known], settings.smallest_molecule)
        else:
            opposed = _opposed(seen)[known] if name == FORCES else 0.0
            found[name][known] = _sizes(np.log(errors[known] + 1e-9) + opposed, own.coarse, near)
    return found, unit


def judgeable(name: str, seen: Seen, settings: Settings) -> np.ndarray:
    """Which configurations (N,) have a label of a property that says something."""
    known = np.isfinite(seen.errors[name])
    if name == FORCES:  # those that vanish by symmetry are predicted exactly by any model
        known &= np.maximum(seen.label_force, seen.errors[name]) > settings.least_force
    return known


def _energies(errors: Array, columns: Covariates, near: Neighbours) -> tuple[Array, float]:
    """Unexplained errors (N,) in widths of all of them, and that width, eV/atom."""
    difficulty, scale, penalty = Difficulty(columns.design, columns.coarse, near), np.ones(len(errors)), None
    for _ in range(ROUNDS):
        fit = leave_one_out(columns.design, errors, scale, penalty)
        penalty = fit.penalty
        width = densest(fit.studentised)[1]
        zero = densest(fit.studentised / scale)[0]
        residual = (fit.studentised - zero * scale) / width
        scale, alone = difficulty.expect(residual, (fit.predicted - densest(fit.predicted)[0]) / width)
    found = residual / (alone * near.uncertainty(NEAR_ENERGY))
    zero, relative = densest(found)
    return (found - zero) / relative, width * relative


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


def _sizes(log: Array, coarse: Array, near: Neighbours) -> Array:
    """Log errors (N,) over the expected ones."""
    ones = np.ones(len(log))
    others = near.mean(in_widths(leave_one_out(coarse, log, ones).studentised).clip(-4.0, 4.0))
    residual = leave_one_out(np.column_stack((coarse, 3 * others)), log, ones).studentised
    return np.asarray(residual - densest(residual)[0] - np.log(near.uncertainty(NEAR_SIZE)))


def in_widths(values: Array) -> Array:
    """Values from where they are densest, in widths of that."""
    zero, width = densest(values)
    return (values - zero) / width


def _by_molecule(values: Array, molecules: np.ndarray, smallest: int) -> Array:
    """Unexplained errors (N,), measured from the typical one of each molecule, where there are several molecules."""
    names, number = np.unique(molecules, return_inverse=True)
    enough = np.bincount(number) >= smallest
    if len(names) < 2 or not enough.any():
        return values
    middle, _ = densest_halves(values, number, len(names))
    return in_widths(values - np.where(enough, middle, 0.0)[number])
