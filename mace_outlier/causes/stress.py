"""Hypotheses on the stress of one configuration."""

import itertools
from collections.abc import Sequence

import numpy as np

from .corrected import Compared, Corrected
from .expected import Similar
from .frames import Frame
from .hypotheses import STRESS, UNIT, Hypothesis, Told, scaled
from .settings import Settings

VOIGT = "order of components"
VIRIALS, VIRIALS_WRONG = "eV (virials)", "eV (virials), with the wrong sign"  # virials = -stress x volume
SCALED = scaled(STRESS, signs=True)
NUMBERS = 6  # components that differ
ORDERS = list(itertools.permutations(range(3)))[1:]  # of yz, xz, xy in six numbers: codes disagree


def stress_faults(
    frame: Frame, similar: Similar, settings: Settings, common: Sequence[Hypothesis] = ()
) -> dict[Hypothesis, Told]:
    """Return all hypotheses on the stress of a configuration that has one."""
    own = Compared(frame.stress, frame.predicted_stress, NUMBERS, similar, frame.expected_stress, settings)
    plain = own.plain() if own.off else own.plain()[:1]  # of six numbers, noise is only told where they are far off
    if not frame.stress.any():
        return own.told(plain)
    virials = [Hypothesis(UNIT, VIRIALS, -frame.volume), Hypothesis(UNIT, VIRIALS_WRONG, frame.volume)]
    corrected = [*plain, *own.scaled([*SCALED, *virials, *common])]
    return own.told([*corrected, _reordered(own)] if own.off and not own.vanishes else corrected)


def _reordered(own: Compared) -> Corrected:
    """The components off the diagonal in the order that fits best."""
    shear, errors = np.array([own.label[1, 2], own.label[0, 2], own.label[0, 1]]), []
    for order in ORDERS:
        other = np.diag(np.diag(own.label))
        other[[1, 0, 0], [2, 2, 1]] = other[[2, 2, 1], [1, 0, 0]] = shear[list(order)]
        errors.append(other - own.predicted)
    best = min(errors, key=lambda error: float(np.sum(error**2)))
    return Corrected(Hypothesis(VOIGT), best, log_prior=-float(np.log(len(ORDERS))))
