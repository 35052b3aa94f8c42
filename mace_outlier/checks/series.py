"""Check `work`: frames whose energy and forces contradict those of near frames.

Near frames of right labels obey E2 - E1 = -1/2 (F1 + F2) . dx, to an error that is known (`work`). Frames that agree,
directly or through others, are a set; in each series of near frames the largest set is taken for right, and a frame
outside of it that contradicts one of its members is wrong. Where two sets are of similar size nobody can tell.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .settings import Settings

FIX = "recompute them, with a converged calculation of the same settings, or leave them out"


class Judged(NamedTuple):
    """Pairs of near frames (P,)."""

    error: np.ndarray  # E2 - E1 - work, eV
    agrees: np.ndarray  # closely enough to say something
    contradicts: np.ndarray
    clearly: np.ndarray  # contradicts, by far


class Verdicts(NamedTuple):
    """Frames that have a near one, rows in order (R,); the others of the pairs are places in `rows`."""

    rows: np.ndarray
    one: np.ndarray  # (P,) place of the first frame of a pair
    two: np.ndarray
    judged: Judged
    unclear: np.ndarray  # (R,) neither in the largest set of a series, nor outvoted by it
    wrong: np.ndarray  # (R,)
    certain: np.ndarray  # (R,) wrong: at least two right frames say so clearly
    error: np.ndarray  # (R,) eV, of the wrong ones: what a right frame says


def check(evidence: Evidence) -> list[Finding]:
    """Find frames that contradict the set of near frames that agree."""
    if not len(evidence.near):
        return []
    verdicts = decide(evidence)
    found = []
    for chosen, certainty in ((verdicts.certain, CERTAIN), (verdicts.wrong & ~verdicts.certain, LIKELY)):
        found += _findings(evidence, verdicts, chosen, certainty)
    return found + _undecided(evidence, verdicts)


@lru_cache(maxsize=1)  # asked for by two checks
def decide(evidence: Evidence) -> Verdicts:
    """Find the largest set that agrees in each series of near frames, and what contradicts it."""
    pairs, settings = evidence.near, evidence.settings
    judged = judge(evidence, pairs, settings)
    rows = np.unique([pairs["one"], pairs["two"]])
    one, two = np.searchsorted(rows, pairs["one"]), np.searchsorted(rows, pairs["two"])
    series = _components(one, two, judged.agrees | judged.contradicts, len(rows))
    sets = _components(one, two, judged.agrees, len(rows))
    right, unclear = _largest(series, sets, settings)
    wrong = ~right & ~unclear & (_against(one, two, judged.contradicts, right) > 0)
    certain = wrong & (_against(one, two, judged.clearly, right) > 1)
    error = np.zeros(len(rows))
    for this, other, sign in ((one, two, -1.0), (two, one, 1.0)):
        use = judged.contradicts & right[other] & wrong[this]
        error[this[use]] = sign * judged.error[use]
    return Verdicts(rows, one, two, judged, unclear, wrong, certain, error)


def judge(evidence: Evidence, pairs: np.ndarray, settings: Settings) -> Judged:
    """Compare the error of each pair with what the size of the step allows."""
    atoms = evidence.survey.frames["atoms"][pairs["one"]]
    scale = evidence.scale(pairs["one"])
    error = pairs["difference"] - scale * pairs["work"]
    bound = np.abs(scale) * pairs["bound"]
    tolerance = settings.bound * bound + settings.converged * atoms
    clear = settings.bound_clear * bound + settings.converged_clear * atoms
    agrees = np.abs(error) <= tolerance
    says_much = tolerance <= settings.informative * settings.converged * atoms
    return Judged(error, agrees & says_much, ~agrees, np.abs(error) > clear)


def _components(one: np.ndarray, two: np.ndarray, use: np.ndarray, count: int) -> np.ndarray:
    graph = coo_matrix((np.ones(int(use.sum())), (one[use], two[use])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _largest(series: np.ndarray, sets: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Tell which frames are of the largest set of their series, and which of sets that are too large to be outvoted."""
    sizes = np.bincount(sets)[sets]
    order = np.lexsort((sets, -sizes, series))  # in each series, its largest set first
    first = np.r_[True, series[order][1:] != series[order][:-1]]
    winner = np.zeros(series.max() + 1, dtype=sets.dtype)
    winner[series[order][first]] = sets[order][first]
    right = sets == winner[series]
    largest = np.bincount(sets)[winner][series]
    enough = largest >= np.maximum(settings.set_size, settings.outvoted * sizes)
    unclear = ~right & ~enough
    return right & (largest >= settings.set_size), unclear


def _against(one: np.ndarray, two: np.ndarray, use: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Count for each frame the frames of right sets that it contradicts."""
    count = len(right)
    return np.bincount(one[use & right[two]], minlength=count) + np.bincount(two[use & right[one]], minlength=count)


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
