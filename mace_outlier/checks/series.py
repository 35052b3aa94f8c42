"""Check `work`: frames whose energy and forces contradict those of near frames.

Near frames of right labels obey E2 - E1 = -1/2 (F1 + F2) . dx, to an error that is known (`work`). Frames that agree,
directly or through others, are a set; in each series of near frames the largest set is taken for right, and a frame
outside of it that contradicts one of its members is wrong. Where two sets are of similar size nobody can tell.
"""

import numpy as np

from .agreement import Verdicts
from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding

FIX = "recompute them, with a converged calculation of the same settings, or leave them out"


def check(evidence: Evidence) -> list[Finding]:
    """Find frames that contradict the set of near frames that agree."""
    if not len(evidence.near):
        return []
    verdicts = evidence.verdicts
    found = []
    for chosen, certainty in ((verdicts.certain, CERTAIN), (verdicts.wrong & ~verdicts.certain, LIKELY)):
        found += _findings(evidence, verdicts, chosen, certainty)
    return found + _undecided(evidence, verdicts)


def _findings(evidence: Evidence, verdicts: Verdicts, chosen: np.ndarray, certainty: str) -> list[Finding]:
    found, frames = [], evidence.survey.frames
    sources = frames["source"][verdicts.rows]
    for number in np.unique(sources[chosen]):
        own = chosen & (sources == number)
        rows, sizes = verdicts.rows[own], np.abs(verdicts.error[own])
        each = 1000 * sizes / frames["atoms"][rows]
        if len(rows) > 1:
            what = (
                f"energy and forces of {len(rows)} frames contradict near frames that agree with one another: off by "
            )
            what += f"{sizes.min():.3g} to {sizes.max():.3g} eV ({np.median(each):.3g} meV/atom in the middle)"
        else:
            what = "energy and forces of a frame contradict near frames that agree with one another: off by "
            what += f"{sizes[0]:.3g} eV ({each[0]:.3g} meV/atom)"
        numbers = {"median_error": float(np.median(sizes)), "largest_error": float(sizes.max()), "unit": "eV"}
        found.append(Finding("work", certainty, what, FIX, rows, evidence.survey.sources[number].path, numbers))
    return found


def _undecided(evidence: Evidence, verdicts: Verdicts) -> list[Finding]:
    """Two sets that are about as large, or a pair without a third frame."""
    one, two, judged, unclear = verdicts.one, verdicts.two, verdicts.judged, verdicts.unclear
    use = judged.clearly & (unclear[one] | unclear[two])
    chosen = verdicts.rows[np.unique([one[use], two[use]])]
    sources = evidence.survey.frames["source"][chosen]
    found = []
    for number in np.unique(sources):
        own = chosen[sources == number]
        what = (
            f"{len(own)} frames contradict near frames by up to {np.abs(judged.error[use]).max():.3g} eV, and no set "
        )
        what += "is so much larger that it says which of them are right"
        path = evidence.survey.sources[number].path
        found.append(Finding("work", LOOK, what, "recompute one frame of either side", own, path))
    return found
