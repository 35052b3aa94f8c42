"""Part of check `energies`: multiplicities that the number of electrons doesn't allow."""

import numpy as np

from .evidence import Evidence
from .finding import LIKELY, LOOK, Finding
from .frame import Flag


def spins(evidence: Evidence) -> list[Finding]:
    """Multiplicities that the number of electrons doesn't allow."""
    survey = evidence.survey
    both = survey.has(Flag.HAS_CHARGE) & survey.has(Flag.HAS_SPIN)
    wrong = survey.has(Flag.PARITY)
    if not wrong.any():
        return []
    all_of_them = wrong.sum() >= evidence.settings.many * both.sum()
    rows = np.flatnonzero(wrong)
    what = f"the spin multiplicity contradicts the number of electrons in {wrong.sum()} of {both.sum()} frames"
    if all_of_them:
        return [Finding("energies", LOOK, what, "total_spin is the multiplicity 2 S + 1: 1 for a singlet", rows)]
    return [Finding("energies", LIKELY, what, "mend total_charge or total_spin, or recompute these frames", rows)]
