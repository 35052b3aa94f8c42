"""What to do about each cause, in a sentence."""

import re

from .cause import NOT_FINITE, NOT_PREDICTED, RARE, UNCONVERGED, UNKNOWN, WORDS
from .energies import OTHER, PER_ATOM, WITHOUT_ATOMS
from .forces import DRIFT, ORDER, ROTATED, SOME, ZERO
from .hypotheses import FACTOR, NOISE, SIGN, UNIT
from .offsets import BY_ELEMENT, ELECTRON, OFFSET
from .stress import VOIGT

OF_KIND = {
    SIGN: "Multiply by -1: they are the gradient, or codes disagree on the sign.",
    UNIT: "Convert them to the unit of the others.",
    FACTOR: "Find out what the factor stands for, and divide by it.",
    OFFSET: "Another method, cut-off or k-mesh for some: recompute them, or keep one of both.",
    BY_ELEMENT: "Another reference, pseudopotential or E0s for some: refer all to the same isolated atoms.",
    ELECTRON: "Look at total charge and multiplicity in their input.",
    OTHER: "Labels and geometries are out of step: find the geometry that the energy belongs to.",
    PER_ATOM: "Multiply by the number of atoms: the energy of the whole configuration is wanted.",
    WITHOUT_ATOMS: "Add the energies of the isolated atoms, as the others have them.",
    ORDER: "Bring atoms and forces into the same order.",
    ROTATED: "Write positions and forces in the same orientation.",
    DRIFT: "Recompute with a finer grid: a model's forces always add up to zero.",
    SOME: "Look at these atoms: constraints, or a local state that is not converged.",
    ZERO: "Leave the forces out where there are none.",
    VOIGT: "Bring the components into the order xx, yy, zz, yz, xz, xy.",
    NOISE: "Recompute some of them, more tightly converged.",
}
ONE_OF_THESE = "Find out which of these units it is, and convert them to that of the others."
OF_WORDS = {
    UNCONVERGED: "Recompute them: the electronic structure had not converged.",
    RARE: "Don't drop them: recompute one, and add data of this kind. Nothing similar has a label that is trusted.",
    NOT_FINITE: "Recompute them, or leave the label out.",
    NOT_PREDICTED: "Look at their geometries: atoms on the same place, or lengths in another unit. Leave them out.",
    UNKNOWN: "Recompute one or two of them.",
}
PATTERNS = {kind: re.compile(re.escape(words).replace(r"\{\}", ".+")) for kind, words in WORDS.items()}


def advice(cause: str) -> str:
    """Return what to do about a cause, as it stands in the table; each sentence once."""
    if cause in OF_WORDS:
        return OF_WORDS[cause]
    return " ".join(dict.fromkeys(_of_fault(words) for words in cause.split("; ")))


def _of_fault(words: str) -> str:
    kind = kind_of(words)
    return ONE_OF_THESE if kind == UNIT and " or " in words else OF_KIND[kind]


def kind_of(words: str) -> str:
    """Return the kind of fault that these are the words for; raises ValueError where they are none."""
    kinds = [kind for kind, pattern in PATTERNS.items() if pattern.fullmatch(words)]
    if not kinds:
        raise ValueError(f"no cause is called {words!r}")
    return min(kinds, key=lambda kind: kind == UNIT)  # whose words may be those of another kind
