"""Energies of all suspects together, and how likely they are by hypotheses that speak of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .expected import Expected
from .frames import Frame
from .hypotheses import Hypothesis
from .likelihood import of_right
from .settings import Settings

Array = NDArray[np.float64]


class Column(NamedTuple):
    """A hypothesis for S suspects."""

    hypothesis: Hypothesis
    log_likelihood: Array  # (S,) of the energies per atom
    value: Array  # (S,) factor, or offset of the label, eV/atom


class SuspectedEnergies:
    """Labels and predictions of S suspects.

    Args:
        suspects: with energies.
        expected: errors of right labels.
        settings: of the causes.
    """

    def __init__(self, suspects: Sequence[Frame], expected: Expected, settings: Settings) -> None:
        assert expected.energy is not None
        self.suspects, self.settings = suspects, settings
        self.width, self.spread = expected.energy, expected.spread  # eV/atom; of its logarithm
        self.atoms = np.array([frame.atoms for frame in suspects], dtype=float)
        self.label = np.array([frame.energy for frame in suspects])  # eV
        self.predicted = np.array([frame.predicted_energy for frame in suspects]) + expected.centre * self.atoms
        self.isolated = np.array([frame.isolated for frame in suspects])
        self.error = self.error_of(self.label)  # (S,) label - prediction, eV/atom

    def error_of(self, energies: Array) -> Array:
        """Return the error (S,) of other energies (S,), eV/atom."""
        return (energies - self.predicted) / self.atoms

    def of_right(self, error: Array) -> Array:
        """Return the likelihood (S,) of errors (S,) if they are those of right labels."""
        return of_right(np.square(error), 1.0, np.full(len(error), self.width), self.spread)
