"""Compare a configuration with its like: those of the same molecule, seen by the model in the same state. No torch.

A model's energies are off by a constant for each molecule, some molecules are harder than others, and a wrong label
stands out among configurations of its own molecule long before it stands out among all.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .densest import FEW, densest_halves
from .trend import Trend

SMALLEST = 5  # configurations with which a group is a measure of its own; smaller ones are taken together
TYPICAL = 10  # configurations that a group's spread has to outweigh: that of few is drawn towards the median group's
NARROWEST = 0.1  # spread of a group's energy errors, relative to the median group
RESOLUTION = 1e-7  # eV/atom: spreads below that are rounding errors

Array = NDArray[np.float64]


class Groups(NamedTuple):
    """Measures of the groups of a head, and last that of all others."""

    codes: NDArray[np.int64]  # (K,) sorted: molecules, and formulas for molecules that are not among them
    place: NDArray[np.int64]  # (K,) group of each
    level: Array  # (G + 1,) typical log loss
    error: Array  # (G + 1,) typical energy error, eV/atom
    spread: Array  # (G + 1,) of the energy errors about it, eV/atom
    trend: Trend = Trend()  # of all groups

    def relative(self, kinds: NDArray[np.int64], x: Array, e: Array) -> tuple[Array, Array]:
        """Log losses and energy errors (N,) of configurations of `kinds` (N, 2), as if all groups were alike.

        x - level_g         (e - error_g) / spread_g
        """
        group = self.group_of(kinds)
        return x - self.level[group], (e - self.error[group]) / self.spread[group]

    def group_of(self, kinds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Group (N,) of configurations of `kinds` (N, 2)."""
        if not len(self.codes):
            return np.zeros(len(kinds), dtype=np.int64)
        formulas, molecules = kinds.T
        place, known = self._look_up(molecules)
        if known.all():
            return place
        of_formula, formula_known = self._look_up(formulas)
        return np.where(known, place, np.where(formula_known, of_formula, len(self.level) - 1))

    def new_in(self, kinds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Configurations (N,) of `kinds` (N, 2) whose molecule isn't among them, and frequent enough for a group."""
        if not len(self.codes):  # all are alike
            return np.zeros(len(kinds), dtype=np.bool_)
        _, molecule, count = np.unique(kinds[:, 1], return_inverse=True, return_counts=True)
        return ~self._look_up(kinds[:, 1])[1] & (count[molecule] >= SMALLEST)

    def _look_up(self, codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        at = np.searchsorted(self.codes, codes).clip(0, len(self.codes) - 1)
        return self.place[at], self.codes[at] == codes

    @property
    def number(self) -> int:
        """How many groups there are, but for the others; 1 if all configurations are one."""
        return max(len(self.level) - 1, 1)

    @property
    def relative_spread(self) -> Array:
        """Spreads (G + 1,) over a typical one."""
        return self.spread / self.typical_spread

    @property
    def typical_level(self) -> float:
        """Median over the groups of the typical log loss."""
        return float(np.median(self.level[:-1] if len(self.codes) else self.level))

    @property
    def typical_spread(self) -> float:
        """Median over the groups of the spread of the energy errors, eV/atom."""
        return float(np.median(self.spread[:-1] if len(self.codes) else self.spread))

    def to_dict(self) -> dict[str, list[Any]]:
        """Lists, for a checkpoint."""
        lists = {name: getattr(self, name).tolist() for name in ("codes", "place", "level", "error", "spread")}
        return lists | {"trend": list(self.trend)}

    @classmethod
    def from_dict(cls, state: dict[str, list[Any]]) -> "Groups":
        """Inverse of `to_dict`."""
        codes, place = (np.asarray(state[name], dtype=np.int64) for name in ("codes", "place"))
        level, error, spread = (np.asarray(state[name], dtype=np.float64) for name in ("level", "error", "spread"))
        return cls(codes, place, level, error, spread, Trend(*state.get("trend", ())))


def measure(kinds: NDArray[np.int64], x: Array, e: Array) -> Groups:
    """Typical log loss and energy error of each group, from where its values are densest: wrong labels aren't there.

    Args:
        kinds: (N, 2) formula and molecule of each configuration.
        x, e: (N,) log loss and energy error (eV/atom); NaN: no energy.
    """
    nobody = np.zeros(0, dtype=np.int64)
    if (kinds == kinds[:1]).all():  # one molecule: no need to look at all of them
        return Groups(nobody, nobody, *_measured(x, e))
    codes, place, number, last = _grouped(kinds)
    others = int((number == last).sum())
    if last <= 1 and others < SMALLEST:  # nothing to compare: all are alike
        return Groups(nobody, nobody, *_measured(x, e))
    level, _ = densest_halves(x, number, last + 1)
    error, spread = densest_halves(e, number, last + 1)
    if others < SMALLEST:  # too few to say what is typical of them, or a group that comes later
        level[-1:], error[-1:], spread[-1:] = _of_all(x, e)
    members = np.bincount(number, minlength=last + 1)
    return Groups(codes, place, level, np.nan_to_num(error), _steadied(spread, members))


def _grouped(kinds: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Codes and their groups (K,), the group of each configuration (N,), and the number of groups but for the others.

    A molecule is a group. What is left of a formula, such as a broken molecule, belongs to the group of its most
    frequent one; where that is not frequent either, the formula is the group; the rest are the others, the last group.
    """
    molecules, first, molecule, count = np.unique(
        kinds[:, 1], return_index=True, return_inverse=True, return_counts=True
    )
    formulas, formula = np.unique(kinds[first, 0], return_inverse=True)
    order = np.lexsort((count, formula))
    main = order[np.searchsorted(formula[order], np.arange(len(formulas)), side="right") - 1]  # of each formula
    total = np.bincount(formula, weights=count)
    large = count >= SMALLEST
    group = np.full(len(molecules), -1)
    group[large] = np.arange(large.sum())
    of_formula = group[main]
    alone = (of_formula < 0) & (total >= SMALLEST)
    of_formula[alone] = large.sum() + np.arange(alone.sum())
    last = int(large.sum() + alone.sum())
    group = np.where(large, group, of_formula[formula])
    found = of_formula >= 0
    codes, at = np.unique(np.concatenate((molecules[large], formulas[found])), return_index=True)
    place = np.concatenate((group[large], of_formula[found]))[at]
    return codes, place, np.where(group < 0, last, group)[molecule], last


def _measured(x: Array, e: Array) -> tuple[Array, Array, Array]:
    """Level, error and spread, each (1,), where all configurations are one group."""
    level, error, spread = _of_all(x, e)
    return level, np.nan_to_num(error), _steadied(spread, np.array([min(len(x), FEW)]))


def _of_all(x: Array, e: Array) -> tuple[Array, Array, Array]:
    """Level, error and spread, each (1,), of all configurations together, by some of them."""
    some = slice(None, None, max(1, len(x) // FEW))
    everyone = np.zeros(len(x[some]), dtype=np.int64)
    (level, _), (error, spread) = (densest_halves(values[some], everyone, 1) for values in (x, e))
    return level, error, spread


def _steadied(spread: Array, members: NDArray[np.int64]) -> Array:
    """Spreads of groups, those of few members drawn towards the median group's; never 0."""
    known = np.isfinite(spread)
    if not known.any():
        return np.ones(len(spread))
    groups = spread[:-1][known[:-1]] if known[:-1].any() else spread[known]  # the last are all others
    typical = max(float(np.median(groups)), RESOLUTION)
    own = np.where(known, spread, typical)
    drawn = np.sqrt((members * own**2 + TYPICAL * typical**2) / (members + TYPICAL))
    return np.asarray(np.maximum(drawn, max(NARROWEST * typical, RESOLUTION)))
