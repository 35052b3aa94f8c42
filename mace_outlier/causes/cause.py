"""What is said of a suspect."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .energies import OTHER, PER_ATOM, WITHOUT_ATOMS
from .forces import DRIFT, ORDER, ROTATED, SOME, ZERO
from .hypotheses import FACTOR, NOISE, SIGN, UNIT, Hypothesis, Told
from .offsets import BY_ELEMENT, ELECTRON, OFFSET
from .stress import VOIGT

UNKNOWN, UNCONVERGED, NOT_FINITE = "unknown", "unconverged", "label not finite"
NOT_PREDICTED = "prediction not finite"
RARE = "rare geometry"  # nothing similar has a right label: the model may be wrong, and the label right
WORDS = {
    SIGN: "{} of the wrong sign",
    UNIT: "{} in {}",
    FACTOR: "{} off by a factor",
    OFFSET: "energy off by a constant",
    BY_ELEMENT: "energy off by a constant for each element",
    ELECTRON: "energy of another charge or spin",
    OTHER: "energy of another frame",
    PER_ATOM: "energy per atom",
    WITHOUT_ATOMS: "energy without isolated atoms",
    ORDER: "forces in another order of atoms",
    ROTATED: "forces turned against the positions",
    DRIFT: "forces off by the same vector",
    SOME: "forces of some atoms",
    ZERO: "forces all zero",
    VOIGT: "stress in another order of components",
    NOISE: "noise in {}",
}


class Fault(NamedTuple):
    """What is wrong with one label of a configuration."""

    label: str  # energy, forces or stress
    hypothesis: Hypothesis
    certainty: float  # that it is this
    told: Told
    wrong: float = 1.0  # probability that it is this or anything else

    @property
    def words(self) -> str:
        """Say it; faults of one kind have the same words."""
        unit = self.hypothesis.unit if self.hypothesis.kind == UNIT else ""
        return WORDS[self.hypothesis.kind].format(self.label, unit)

    @property
    def is_vague(self) -> bool:
        """Whether little is known but that the label is off."""
        return self.hypothesis.kind in (NOISE, SOME)


class Cause(NamedTuple):
    """What is wrong with a configuration.

    Args:
        words: causes by label, joined by "; "; UNKNOWN: none is certain.
        certainty: probability that it is this; NaN: unknown.
        value: of the first fault that has one: the factor label / right label, or the offset of the label, eV/atom
            (another charge: eV); NaN: none.
        faults: of its labels.
    """

    words: str = UNKNOWN
    certainty: float = np.nan
    value: float = np.nan
    faults: tuple[Fault, ...] = ()


def cause_of(faults: Sequence[Fault], certain: float, isolated: bool = False) -> Cause:
    """Return the faults that are certain; noise is only said where nothing else is, and of no `isolated` geometry."""
    own = [fault for fault in faults if fault.certainty >= certain]
    clear = [fault for fault in own if not fault.is_vague]
    if isolated and not clear:
        return Cause(RARE)
    own = clear or own
    if not own:
        return Cause()
    values = [fault.told.value for fault in own if np.isfinite(fault.told.value)]
    words = "; ".join(fault.words for fault in own)
    if all(fault.hypothesis.kind == NOISE for fault in own):
        words = "noise in " + " and ".join(fault.label for fault in own)
    return Cause(words, min(fault.certainty for fault in own), values[0] if values else np.nan, tuple(own))
