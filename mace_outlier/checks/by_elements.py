"""Part of check `energies`: what the elements of a group cost in other groups, of hundreds of groups in seconds."""

from functools import cached_property

import numpy as np

from ..data.shift import FRAMES_FOR_EACH_ELEMENT, fit_shifts
from .expected import fit_elements, of_formulas
from .survey import Survey


class ByElements:
    """Energies of formulas by their elements, as they follow from the frames that aren't of a group.

    Of few groups, by a fit to the others for each. Such a fit to 100,000 frames of 60 elements takes seconds, so that
    many groups have one in common. It is robust: groups that are a small part of the frames of each of their elements
    hardly move it. For others it is mended where it depends on them: in their elements, by the frames of other groups
    that have these.
    """

    def __init__(self, survey: Survey, finite: np.ndarray, groups: int) -> None:
        self.survey, self.finite, self.are_many = survey, finite, groups > survey.settings.own_fits
        self.formula, self.table = survey.frames["formula"], survey.composition[1]
        self.has = self.table > 0  # (F, Z)
        self.frames_with = self._frames_with(finite)  # (Z,)

    def _frames_with(self, rows: np.ndarray) -> np.ndarray:
        return np.bincount(self.formula[rows], minlength=len(self.has)) @ self.has

    def _having(self, elements: np.ndarray) -> np.ndarray:
        """Tell which formulas have one of these elements (Z,), (F,) boolean."""
        return np.asarray(self.has[:, elements].any(axis=1))

    @cached_property
    def of_all(self) -> np.ndarray:
        """Energies of the elements (Z,), eV, fitted to all groups."""
        return fit_elements(self.survey, np.flatnonzero(self.finite))

    def without(self, own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Energy for each atom of formulas (F,), eV; nan where it can't be known without the group, or isn't wanted.

        Args:
            own: frames of the group, (N,) boolean.
            wanted: formulas, (F,) boolean.
        """
        inside = self._frames_with(own)
        wanted = wanted & ~self._having(inside == self.frames_with)
        if not wanted.any():
            return np.full(len(wanted), np.nan)
        energies = self._energies(own, inside, np.asarray(self.has[wanted].any(axis=0)))
        return np.where(wanted, of_formulas(self.survey, energies), np.nan)

    def _energies(self, own: np.ndarray, inside: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """Energies of the elements (Z,), of which some are asked for; `inside`: frames of the group with each."""
        if not self.are_many:
            return fit_elements(self.survey, np.flatnonzero(self.finite & ~own))
        small = (inside <= self.survey.settings.small * self.frames_with)[elements].all()
        return self.of_all if small else self._mended(own, elements)

    def _mended(self, own: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """The fit to all, with energies of these elements (Z,) by what other groups have; all others move by one."""
        rows = np.flatnonzero(self.finite & ~own & self._having(elements)[self.formula])
        counts = self.table[self.formula[rows]]
        columns = np.column_stack([counts[:, elements], counts[:, ~elements].sum(axis=1)])
        if len(rows) < FRAMES_FOR_EACH_ELEMENT * columns.shape[1]:
            return np.full(len(elements), np.nan)
        changes = fit_shifts(self.survey.frames["energy"][rows] - counts @ self.of_all, columns)
        mended = self.of_all.copy()
        mended[elements] += changes[:-1]
        return mended
