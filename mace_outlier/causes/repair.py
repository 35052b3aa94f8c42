"""Labels with what was wrong taken back: units, signs and the order of atoms."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cause import Fault
from .energies import PER_ATOM
from .forces import ORDER, order_of
from .forces import SCALED as FORCE_SCALED
from .hypotheses import ENERGY, FORCE, STRESS, UNIT, Hypothesis, Told, scaled
from .stress import SCALED as STRESS_SCALED
from .stress import VIRIALS, VIRIALS_WRONG

Array = NDArray[np.float64]


class Repair(NamedTuple):
    """What takes a fault back: the label is divided by a factor, and by the number of atoms or volumes to a power."""

    label: str  # energy, forces or stress
    factor: float = 1.0
    atoms: int = 0  # power
    volume: int = 0  # power
    order: bool = False  # instead: its rows are brought into the order of the atoms


def _all() -> dict[str, Repair]:
    known = {ENERGY: scaled(ENERGY, signs=False), FORCE: FORCE_SCALED, STRESS: STRESS_SCALED}
    found = {_words(label, one): Repair(label, one.factor) for label, own in known.items() for one in own}
    return found | {
        _words(ENERGY, Hypothesis(PER_ATOM)): Repair(ENERGY, atoms=-1),
        _words(STRESS, Hypothesis(UNIT, VIRIALS)): Repair(STRESS, -1.0, volume=1),
        _words(STRESS, Hypothesis(UNIT, VIRIALS_WRONG)): Repair(STRESS, volume=1),
        _words(FORCE, Hypothesis(ORDER)): Repair(FORCE, order=True),
    }


def _words(label: str, hypothesis: Hypothesis) -> str:
    return Fault(label, hypothesis, 1.0, Told(0.0)).words


REPAIRS = _all()  # by the words of a fault


def repairs_of(cause: str) -> list[Repair]:
    """Return what takes back a cause, as it stands in the table; nothing, unless all of it can be."""
    found = [REPAIRS.get(words) for words in cause.split("; ")]
    return [] if None in found else [repair for repair in found if repair is not None]


def repaired(label: Array, repair: Repair, atoms: int, volume: float, predicted_forces: Array | None) -> Array | None:
    """Return the label as it ought to be; None: that takes predicted forces (n, 3), and they aren't known."""
    if not repair.order:
        return np.asarray(label) / (repair.factor * float(atoms) ** repair.atoms * volume**repair.volume)
    if predicted_forces is None:
        return None
    right = np.empty_like(label)
    right[order_of(label, predicted_forces)] = label
    return right
