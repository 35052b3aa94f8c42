"""Part of check `geometry`: forces on atoms that have no neighbour, which no model of local environments can give."""

from .evidence import Evidence
from .finding import LIKELY, LOOK, Finding

DEFAULT_R_MAX = 5.0  # Angstrom; mace/tools/arg_parser.py
COULOMB = 14.4  # eV A: force times distance^2 of two unit charges
FIX = "see whether positions and forces belong together; where they do, a model needs a larger --r_max"


def alone(evidence: Evidence) -> list[Finding]:
    """Find forces on atoms without a neighbour within r_max: MACE gives them none.

    At distances at which charges could be the reason, it is worth a look; a larger force is likely another geometry's.
    """
    survey, found = evidence.survey, []
    frames, r_max = survey.frames, survey.inputs.r_max or DEFAULT_R_MAX
    unseen = frames["alone"] > r_max
    beyond = unseen & (frames["alone_force"] > COULOMB / r_max**2)
    for chosen, certainty in ((beyond, LIKELY), (unseen & ~beyond, LOOK)):
        for rows, path in survey.by_source(chosen):
            largest = float(frames["alone_force"][rows].max())
            what = f"forces, up to {largest:.3g} eV/A, on atoms that have no neighbour within r_max = {r_max:g} A"
            what += ": a model gives them none"
            found.append(Finding("geometry", certainty, what, FIX, rows, path, {"largest_force": largest}))
    return found
