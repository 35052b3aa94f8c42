"""Check `net_force`: forces that don't add up to zero, and a torque of molecules: what no energy can do.

A model's forces add up to zero for every geometry, so that the rest is an error of the label. |sum F| / sqrt(A) is how
large the error of each force is, if errors are independent; |sum r x F| / sqrt(sum r^2) the same from the torque.
Plane-wave and grid codes leave 0.01 to 0.03 eV/A, of all frames alike: so a frame is compared with its like.
"""

import numpy as np

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, Finding
from .frame import Flag

COLUMNS = {"net_force": "the forces add up to {}", "net_torque": "the forces turn the molecule, by {}"}


def check(evidence: Evidence) -> list[Finding]:
    """Find frames, or whole groups, whose forces don't add up."""
    survey, settings = evidence.survey, evidence.settings
    codes, names = evidence.kinds
    known = ~survey.has(Flag.FIXED | Flag.SOME_ZERO | Flag.ISOLATED_ATOM)  # these have a finding of their own
    found: list[Finding] = []
    rms = survey.frames["rms_force"].astype(float)
    for column in COLUMNS:
        size = survey.frames[column].astype(float)
        wrong = known & (size > settings.drift) & (size > settings.drift_share * rms)
        for code in np.unique(codes[wrong]):
            own = codes == code
            bad = own & wrong
            typical = float(np.nanmedian(size[own]))
            if bad.sum() < settings.many * own.sum():
                bad &= size > settings.drift_typical * typical
            if column == "net_torque":
                bad &= ~np.isin(np.arange(len(bad)), [row for finding in found for row in finding.rows])
            clear = bad & (size > settings.drift_clear * rms)
            for chosen, certainty in ((clear, CERTAIN), (bad & ~clear, LIKELY)):
                if chosen.any():
                    found.append(
                        _finding(
                            column, certainty, np.flatnonzero(chosen), size, rms, typical, int(own.sum()), names[code]
                        )
                    )
    return found


def _finding(
    column: str,
    certainty: str,
    rows: np.ndarray,
    size: np.ndarray,
    rms: np.ndarray,
    typical: float,
    of: int,
    where: str,
) -> Finding:
    middle = float(np.median(size[rows]))
    what = COLUMNS[column].format(f"an error of {middle:.2g} eV/A on each") + (
        f", {100 * np.median(size[rows] / rms[rows]):.0f} % of their size ({len(rows)} of {of} frames; typical of the "
        f"group: {typical:.2g} eV/A)"
    )
    fix = "look for atoms that are missing, an external field, a drift that was left in, or labels of another frame"
    return Finding("net_force", certainty, what, fix, rows, where, {column: middle, "typical": typical, "unit": "eV/A"})
