"""Which near frames agree, directly or through others, and which the largest such set outvotes; see `series`."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .settings import Settings


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


def decide(pairs: np.ndarray, atoms: np.ndarray, scale: np.ndarray, settings: Settings) -> Verdicts:
    """Find the largest set that agrees in each series of near frames, and what contradicts it.

    Args:
        pairs: (P,) of LINK.
        atoms: (P,) in a frame.
        scale: (P,) by which the work has to be multiplied.
        settings: of the checks.
    """
    judged = judge(pairs, atoms, scale, settings)
    rows = np.unique(np.concatenate([pairs["one"], pairs["two"]]))
    one, two = (np.searchsorted(rows, pairs[end]).astype(np.int32) for end in ("one", "two"))
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


def judge(pairs: np.ndarray, atoms: np.ndarray, scale: np.ndarray, settings: Settings) -> Judged:
    """Compare the error of each pair with what the size of the step allows."""
    error = pairs["difference"] - scale * pairs["work"]
    bound = np.abs(scale) * pairs["bound"]
    tolerance = settings.bound * bound + settings.converged * atoms
    clear = settings.bound_clear * bound + settings.converged_clear * atoms
    agrees = np.abs(error) <= tolerance
    says_much = tolerance <= settings.informative * settings.converged * atoms
    return Judged(error, agrees & says_much, ~agrees, np.abs(error) > clear)


def _components(one: np.ndarray, two: np.ndarray, use: np.ndarray, count: int) -> np.ndarray:
    graph = coo_matrix((np.ones(int(use.sum()), dtype=bool), (one[use], two[use])), shape=(count, count))
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
