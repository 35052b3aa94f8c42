"""Check `sizes`: forces and stress that no bond can make, at distances as bonds have them.

Forces are slopes of bonds: N2 pulls with 13 eV/A where it is steepest. The stress times the volume of an atom is an
energy: 6 eV at 100 GPa and 10 A^3, and the strongest bonds are worth 10 eV an atom. So many labels in another unit are
seen one by one, also where no near frame tells: stress in kbar above 2 kbar, forces in kJ/mol/nm or meV/A. Units that
make numbers smaller are not.
"""

from typing import NamedTuple

import numpy as np

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, Finding

FIX = "convert them to {}, or recompute them"


class Size(NamedTuple):
    """How large the labels of a property are, and what they could be at most."""

    labels: str
    unit: str
    wanted: str  # unit of the labels
    size: np.ndarray  # (N,); NaN: no label
    most: float
    certain: float


def check(evidence: Evidence) -> list[Finding]:
    """Find labels that are too large."""
    frames, s = evidence.survey.frames, evidence.settings
    apart = ~(frames["ratio"] < s.short)
    virial = np.abs(frames["stress_marks"]).max(axis=1) * frames["volume"] / frames["atoms"]
    sizes = (
        Size("forces of", "eV/A", "eV/A", frames["rms_force"], s.force, s.force_clear),
        Size("stress times volume of", "eV an atom", "eV/A^3", virial, s.virial, s.virial_clear),
    )
    found = []
    for own in sizes:
        clear = apart & (own.size > own.certain)
        for chosen, certainty in ((clear, CERTAIN), (apart & (own.size > own.most) & ~clear, LIKELY)):
            found += [_finding(own, certainty, *part) for part in evidence.survey.by_source(chosen)]
    return found


def _finding(own: Size, certainty: str, rows: np.ndarray, path: str) -> Finding:
    largest = float(own.size[rows].max())
    what = f"{own.labels} up to {largest:.3g} {own.unit}, where no two atoms are near: no bond can make that"
    return Finding("sizes", certainty, what, FIX.format(own.wanted), rows, path, {"largest": largest, "unit": own.unit})
