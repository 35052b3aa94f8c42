"""Part of check `geometry`: frames that lie outside of everything that frames of their composition cover.

Fingerprints (`shape`) are compared by their logarithms, in units of the range that nine tenths of the composition
span, by the number that differs most. A frame whose second neighbour is further away than twice that range is alone:
one that has exploded, was compressed, or is of another phase. The second: such a frame often stands there twice.
"""

from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from .evidence import Evidence
from .finding import LOOK, Finding
from .settings import Settings

FIX = "look at these geometries; right, where they are meant"
SMALLEST = 1e-9  # of a sum over pairs, where no atom has a neighbour


def outside(evidence: Evidence) -> list[Finding]:
    """Find frames that are alone in their region."""
    frames, settings = evidence.survey.frames, evidence.settings
    order = np.argsort(frames["formula"], kind="stable")
    ends = np.searchsorted(frames["formula"][order], np.arange(len(evidence.survey.formulas) + 1))
    gaps = np.zeros(len(frames))
    for first, last in pairwise(ends):
        rows = order[first:last]
        rows = rows[np.isfinite(frames["fingerprint"][rows]).all(axis=1)]
        if len(rows) >= settings.outside_frames:
            gaps[rows] = gaps_of(frames["fingerprint"][rows], settings)
    found = []
    for source in np.unique(frames["source"][gaps > settings.outside]):
        rows = np.flatnonzero((gaps > settings.outside) & (frames["source"] == source))
        what = f"{len(rows)} frame{'s lie' if len(rows) > 1 else ' lies'} outside of all others of the composition: as "
        what += f"far from the next ones as {gaps[rows].max():.3g} times the range of nine tenths of them"
        path, numbers = evidence.survey.sources[source].path, {"largest_gap": float(gaps[rows].max())}
        found.append(Finding("geometry", LOOK, what, FIX, rows, path, numbers))
    return found


def gaps_of(prints: np.ndarray, settings: Settings) -> np.ndarray:
    """Distance of each fingerprint (N, 5) from its second neighbour, in ranges of nine tenths; 0 where it is small."""
    columns = [np.log(np.maximum(column, SMALLEST)) for column in prints.T]
    beyond = np.zeros(len(prints))
    for column in columns:
        low, high = np.quantile(column, [settings.outside_tail, 1 - settings.outside_tail])
        scale = max(high - low, settings.outside_least)
        column /= scale
        np.maximum(beyond, np.maximum(low / scale - column, column - high / scale), out=beyond)
    candidates = np.flatnonzero(beyond > settings.outside - 1)  # what lies nearer has all of the middle within reach
    gaps = np.zeros(len(prints))
    for row in _far_from_some(columns, candidates, settings):
        largest = np.max([np.abs(column - column[row]) for column in columns], axis=0)
        gaps[row] = np.partition(largest, 2)[2]
    return gaps


def _far_from_some(columns: list[np.ndarray], candidates: np.ndarray, settings: Settings) -> np.ndarray:
    """Candidates that have no two neighbours among some of the frames."""
    if not len(candidates):
        return candidates
    count = len(columns[0])
    some = np.linspace(0, count - 1, min(count, settings.outside_most)).astype(np.int64)
    tree = cKDTree(np.stack([column[some] for column in columns], axis=1))
    near = tree.query(np.stack([column[candidates] for column in columns], axis=1), k=3, p=np.inf)[0]
    return candidates[near[:, 2] > settings.outside]
