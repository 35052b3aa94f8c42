"""Hypotheses on the energies of all suspects together: an offset is one only where several agree on it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .expected import MAD, Expected
from .frames import Frame
from .hypotheses import ENERGY, NEVER, NOISE, RIGHT, Hypothesis, Told, noises, scaled
from .likelihood import of_right, of_scattered
from .settings import Settings
from .shares import posterior

Array = NDArray[np.float64]
OFFSET, BY_ELEMENT, ELECTRON = "offset", "offset by element", "electron"
OTHER, PER_ATOM, WITHOUT_ATOMS = "another frame", "per atom", "without E0s"
POOL = 4  # frames of a formula, from which one can be mistaken for another
MOST_POOL = 400  # frames of a formula that are compared
DIGITS = 1e-8  # relative difference of equal energies


class Column(NamedTuple):
    """A hypothesis for all suspects."""

    hypothesis: Hypothesis
    log_likelihood: Array  # (S,)
    value: Array  # (S,)


class EnergyFaults:
    """What may be wrong with the energies of S suspects.

    Args:
        suspects: with energies.
        trusted: configurations whose labels are right.
        expected: errors of right labels.
        settings: of the causes.
    """

    def __init__(
        self, suspects: Sequence[Frame], trusted: Sequence[Frame], expected: Expected, settings: Settings
    ) -> None:
        self.suspects, self.trusted, self.settings = suspects, trusted, settings
        self.expected, self.spread = np.full(len(suspects), expected.energy), expected.spread
        self.atoms = np.array([frame.atoms for frame in suspects], dtype=float)
        self.label = np.array([frame.energy for frame in suspects])
        self.predicted = np.array([frame.predicted_energy for frame in suspects]) + expected.centre * self.atoms
        self.isolated = np.array([frame.isolated for frame in suspects])
        self.error = (self.label - self.predicted) / self.atoms  # eV/atom

    def told(self) -> list[dict[Hypothesis, Told]]:
        """Return all hypotheses for each suspect."""
        columns = [
            Column(Hypothesis(RIGHT), self._right(self.error), self.error),
            self._per_atom(),
            self._without_isolated_atoms(),
            self._of_another_frame(),
        ]
        for one, scale in noises(self.settings).items():
            columns.append(Column(one, of_scattered(self.error, self.expected, scale, self.settings), self.error))
        for one in scaled(ENERGY, signs=False):
            likely = self._right(self.error_of(self.label / one.factor)) - np.log(abs(one.factor))
            columns.append(Column(one, likely, np.full(len(self.suspects), one.factor)))
        columns = self._with_offsets(columns)
        return [
            {c.hypothesis: Told(float(c.log_likelihood[i]), float(c.value[i])) for c in columns}
            for i in range(len(self.suspects))
        ]

    def _per_atom(self) -> Column:
        likely = self._right(self.error_of(self.label * self.atoms)) + np.log(self.atoms)
        return Column(Hypothesis(PER_ATOM), np.where(self.atoms > 1, likely, NEVER), 1 / self.atoms)

    def _without_isolated_atoms(self) -> Column:
        likely = self._right(self.error_of(self.label + self.isolated))
        known = np.abs(self.isolated) > 0
        return Column(Hypothesis(WITHOUT_ATOMS), np.where(known, likely, NEVER), -self.isolated / self.atoms)

    def error_of(self, energies: Array) -> Array:
        """Error of other energies, eV/atom."""
        return (energies - self.predicted) / self.atoms

    def _right(self, error: Array) -> Array:
        return of_right(np.square(error), 1.0, self.expected, self.spread)

    # --- energy of another frame -------------------------------------------------------------------------------------

    def _of_another_frame(self) -> Column:
        """The density of the energies that configurations of the same formula have, and of exactly these."""
        pools = defaultdict(list)
        for frame in [*self.trusted, *self.suspects]:
            if np.isfinite(frame.energy):
                pools[frame.formula].append((frame.energy, frame.predicted_energy))
        likely = np.full(len(self.suspects), NEVER)
        for i, frame in enumerate(self.suspects):
            pool = np.array(pools[frame.formula])[:MOST_POOL]
            if len(pool) >= POOL:
                likely[i] = self._drawn(i, pool)
        return Column(Hypothesis(OTHER), likely, self.error)

    def _drawn(self, i: int, pool: Array) -> float:
        own, atoms = self.label[i], self.atoms[i]
        per_atom = pool[:, 1] / atoms
        width = max(1.06 * float(np.std(per_atom)) * len(pool) ** -0.2, self.expected[i])
        away = (own / atoms - per_atom) / width
        smooth = logsumexp(-0.5 * away**2) - np.log(len(pool) * width * np.sqrt(2 * np.pi))
        near = DIGITS * max(abs(own), 1.0)
        other = np.abs(per_atom - self.predicted[i] / atoms) > self.settings.wrong * self.expected[i]  # geometries
        same = int(np.sum(other & (np.abs(pool[:, 0] - own) <= near)))
        exact = np.log(same / (len(pool) * 2 * near / atoms)) if same > 0 else NEVER
        return float(np.logaddexp(smooth, exact) - np.log(2))

    # --- offsets -----------------------------------------------------------------------------------------------------

    def _with_offsets(self, columns: list[Column]) -> list[Column]:
        """Add offsets, one after the other, as long as they explain much that nothing else does."""
        for _ in range(self.settings.offsets):
            own, before = self._posterior(columns)
            left = own[:, [c.hypothesis.kind == NOISE for c in columns]].sum(axis=1)
            left += own[:, [c.hypothesis.kind == OTHER for c in columns]].sum(axis=1)
            best, gain = None, 0.0
            for column, parameters in self._proposals(left > 0.5):
                own, now = self._posterior([*columns, column])
                if own[:, -1].sum() < self.settings.few:
                    continue
                gained = now - before - parameters * np.log(max(len(own), 2))
                if gained > gain + self.settings.gain:  # the simplest comes first
                    best, gain = column, gained
            if best is None:
                break
            columns = [*columns, best]
        return columns

    def _posterior(self, columns: list[Column]) -> tuple[Array, float]:
        return posterior(
            np.column_stack([c.log_likelihood for c in columns]), [c.hypothesis for c in columns], self.settings
        )

    def _proposals(self, left: NDArray[np.bool_]) -> list[tuple[Column, int]]:
        """Offsets that some suspects agree on, and how many numbers each has."""
        if left.sum() < self.settings.few:
            return []
        return [*self._offset(left), *self._by_element(left), *self._electron(left)]

    def _offset(self, left: NDArray[np.bool_]) -> list[tuple[Column, int]]:
        """The densest error."""
        errors, width = self.error[left], 2 * self.expected[0]
        near = np.abs(errors[:, None] - errors[None]) < width
        centre = float(np.mean(errors[near[np.argmax(near.sum(axis=1))]]))
        if abs(centre) < self.settings.wrong * self.expected[0]:
            return []
        likely = self._right(self.error - centre)
        name = Hypothesis(OFFSET, f"{centre:.6f}")
        return [(Column(name, likely, np.full(len(likely), centre)), 1)]

    def _by_element(self, left: NDArray[np.bool_]) -> list[tuple[Column, int]]:
        """An offset for each element, where the suspects' compositions say more than one number."""
        elements = np.unique(np.concatenate([frame.numbers for frame in self.suspects]))
        shares = np.array([(frame.numbers[:, None] == elements).mean(axis=0) for frame in self.suspects])
        rank = int(np.linalg.matrix_rank(shares[left], tol=0.05 * np.sqrt(left.sum())))
        if rank < 2 or left.sum() < self.settings.few * rank:
            return []
        weight = np.ones(int(left.sum()))
        for _ in range(30):  # least absolute deviations, by reweighting
            fitted = np.linalg.lstsq(shares[left] * weight[:, None], self.error[left] * weight, rcond=0.05)[0]
            off = np.abs(self.error[left] - shares[left] @ fitted)
            weight = 1 / np.sqrt(np.maximum(off, self.expected[0]))
        offsets = shares @ fitted
        return [(Column(Hypothesis(BY_ELEMENT), self._right(self.error - offsets), offsets), rank)]

    def _electron(self, left: NDArray[np.bool_]) -> list[tuple[Column, int]]:
        """As much for each configuration, whatever its size: another number of electrons."""
        total = self.error * self.atoms
        centre = float(np.median(total[left]))
        spread = MAD * float(np.median(np.abs(total[left] - centre)))
        if abs(centre) < self.settings.electron or spread > self.settings.electron_spread * abs(centre):
            return []
        width = max(spread, float(self.expected[0] * self.atoms.mean()))
        likely = -0.5 * ((total - centre) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi)) + np.log(self.atoms)
        return [(Column(Hypothesis(ELECTRON), likely, total), 2)]
