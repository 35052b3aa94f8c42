"""What energy is expected of each frame: that of its formula, or of its elements; robust against wrong labels."""

from typing import NamedTuple

import numpy as np

from ..data.shift import MAD_TO_SIGMA, SAMPLE, fit_shifts
from .survey import Survey


class Expected(NamedTuple):
    """Of N frames; nan where nothing is known."""

    energy: np.ndarray  # (N,) eV, of the frame's formula, or else of its elements
    residual: np.ndarray  # (N,) eV/atom, above it
    spread: np.ndarray  # (N,) eV/atom, robust standard deviation of the like


def expected(survey: Survey, fewest: int) -> Expected:
    """The median of each formula with `fewest` frames; for others, a fit of one energy for each element."""
    frames = survey.frames
    atoms, energy = frames["atoms"].astype(float), frames["energy"]
    each = energy / np.maximum(atoms, 1.0)
    of_formula, spread_of_formula, enough = medians(each, frames["formula"], len(survey.formulas), fewest)
    value, spread = of_formula[frames["formula"]], spread_of_formula[frames["formula"]]
    fitted = ~enough[frames["formula"]] & (atoms > 0)
    if fitted.any():
        known = enough[frames["formula"]] | (atoms > 1)
        shifts = fit_elements(survey, np.flatnonzero(known & np.isfinite(energy)))
        fit = of_formulas(survey, shifts)[frames["formula"]]
        value = np.where(fitted, fit, value)
        rest = (each - fit)[known & np.isfinite(each) & np.isfinite(fit)]
        width = MAD_TO_SIGMA * float(np.median(np.abs(rest - np.median(rest)))) if len(rest) else np.nan
        spread = np.where(fitted, width, spread)
    return Expected(value * atoms, each - value, spread)


def medians(
    values: np.ndarray, codes: np.ndarray, count: int, fewest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median and robust standard deviation of each group (G,), and which groups are large enough."""
    middle, spread, enough = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, dtype=bool)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(count + 1))
    for code in np.flatnonzero(np.diff(starts) >= fewest):
        own = values[order[starts[code] : starts[code + 1]]]
        own = own[np.isfinite(own)]
        if len(own) >= fewest:
            middle[code] = np.median(own)
            spread[code] = MAD_TO_SIGMA * np.median(np.abs(own - middle[code]))
            enough[code] = True
    return middle, spread, enough


def fit_elements(survey: Survey, rows: np.ndarray) -> np.ndarray:
    """Energy of each element (Z,), eV, fitted to rows; nan where it isn't known."""
    frames, (numbers, table) = survey.frames, survey.composition
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))
    counts = table[frames["formula"][rows]]
    used = counts.any(axis=0)
    shifts = fit_shifts(frames["energy"][rows], counts[:, used]) if len(rows) else np.zeros(0)
    found = np.full(len(numbers), np.nan)
    if shifts.any():  # else there are too few frames to tell
        found[used] = shifts
    return found


def of_formulas(survey: Survey, elements: np.ndarray) -> np.ndarray:
    """Energy for each atom of each formula (F,), eV: a sum over elements (Z,); nan where one of them isn't known."""
    table = survey.composition[1]
    totals = table @ np.nan_to_num(elements) / table.sum(axis=1)
    return np.where(table[:, np.isnan(elements)].any(axis=1), np.nan, totals)


def free_atoms(survey: Survey) -> np.ndarray:
    """All-electron energy of the free atoms of each formula (F,), hartree, to a percent (Englert and Schwinger, 1984).

    E(Z) = -0.768745 Z^(7/3) + Z^2 / 2 - 0.269900 Z^(5/3)
    """
    numbers, table = survey.composition
    return np.asarray(table @ np.array([_atom(number) for number in numbers]))


def _atom(number: int) -> float:
    return -0.5 if number == 1 else -0.768745 * number ** (7 / 3) + number**2 / 2 - 0.2699 * number ** (5 / 3)
