"""What can be wrong with a label."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.units import ENERGIES, FORCES, RARE, STRESSES
from .likelihood import scales
from .settings import Settings

ENERGY, FORCE, STRESS = "energy", "forces", "stress"
EV = {ENERGY: "eV", FORCE: "eV/A", STRESS: "eV/A^3"}
UNITS = {ENERGY: ENERGIES, FORCE: FORCES, STRESS: STRESSES}
RIGHT, NOISE = "right", "noise"
NEVER = -1e12  # logarithm of the likelihood of what can't be
SIGN, FACTOR, UNIT = "sign", "factor", "unit"


@dataclass(frozen=True)
class Hypothesis:
    """A kind of fault of a property; `factor`: label / right label, where that is all."""

    kind: str
    unit: str = ""  # of the label
    factor: float = field(default=1.0, compare=False)
    rare: bool = field(default=False, compare=False)

    def prior(self, settings: Settings) -> float:
        """Pseudo-counts of suspects, of which this is the cause."""
        if self.kind in (RIGHT, NOISE):
            return settings.prior_right if self.kind == RIGHT else settings.prior_noise / settings.scales
        if self.kind in (UNIT, FACTOR):
            return settings.prior_unit * (settings.rare if self.rare else 1.0)
        return settings.prior_cause


def scaled(property_name: str, signs: bool) -> list[Hypothesis]:
    """Return the hypotheses that a label is the right one times a known factor: another unit, another sign.

    Labels may be in a unit and all others in eV, or in eV and all others in the unit.
    """
    ev, own = EV[property_name], []
    for unit, size in UNITS[property_name].items():
        own += [Hypothesis(UNIT, unit, 1 / size, unit.endswith(RARE))]
    if signs:
        own += [Hypothesis(UNIT, f"{one.unit}, with the wrong sign", -one.factor, one.rare) for one in own]
        own.append(Hypothesis(SIGN, "", -1.0))
    others = [(unit, size) for unit, size in UNITS[property_name].items() if not unit.endswith(RARE)]
    return own + [Hypothesis(UNIT, f"{ev}, the others in {unit}", size, True) for unit, size in others]


def noises(settings: Settings) -> dict[Hypothesis, float]:
    """Return errors without a pattern, by their scale."""
    return {Hypothesis(NOISE, f"{scale:.0f} x"): scale for scale in scales(settings)}


class Told(NamedTuple):
    """How well a hypothesis explains the label of a configuration."""

    log_likelihood: float
    value: float = np.nan  # what was fitted: a factor, an offset
    atoms: NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # which it is about, where it is not all of them


Hypotheses = dict[Hypothesis, Told]  # on one label of one configuration
