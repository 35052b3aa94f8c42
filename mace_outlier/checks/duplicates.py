"""Check `duplicates`: the same geometry twice, with other labels, or in training and validation.

Geometries are compared by a fingerprint that knows no order of atoms, no origin and no rotation (`shape`).
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .inputs import TRAIN

NEXT = 4  # frames that follow in the order of the first numbers of the fingerprint, to which each is compared


def check(evidence: Evidence) -> list[Finding]:
    """Find frames of the same geometry."""
    one, two = same_geometry(evidence)
    if not len(one):
        return []
    survey, s = evidence.survey, evidence.settings
    frames = survey.frames
    energy = np.abs(frames["energy"][one] - frames["energy"][two]) / frames["atoms"][one]
    force = np.abs(frames["rms_force"][one] - frames["rms_force"][two])
    larger = np.maximum(frames["rms_force"][one], frames["rms_force"][two])
    other = (energy > s.same_energy) | (force > s.same_force + 0.05 * larger)
    train = np.array([source.role == TRAIN for source in survey.sources])[frames["source"]]
    found = _contradictions(one[other], two[other], energy[other], force[other], _known_wrong(evidence))
    found += _leak(one, two, train, s.leak)
    twice = ~other & (train[one] == train[two])
    if twice.any():
        rows = np.unique([one[twice], two[twice]])
        what = f"{len(rows)} frames stand there more than once, with the same labels: they count double"
        found.append(Finding("duplicates", LOOK, what, "keep one of each", rows))
    return found


def same_geometry(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows (P,) with the same formula, head, charge, spin, and fingerprint."""
    survey = evidence.survey
    frames = survey.frames
    heads = {head: code for code, head in enumerate(dict.fromkeys(source.head for source in survey.sources))}
    head = np.array([heads[source.head] for source in survey.sources], dtype=np.int64)[frames["source"]]
    prints = frames["fingerprint"]
    order = np.lexsort((prints[:, 1], prints[:, 0], head, frames["conditions"], frames["formula"]))
    ones, twos = [], []
    for ahead in range(1, NEXT + 1):
        a, b = order[:-ahead], order[ahead:]
        same = (frames["formula"][a] == frames["formula"][b]) & (head[a] == head[b])
        same &= frames["conditions"][a] == frames["conditions"][b]
        same &= (np.abs(prints[a] - prints[b]) <= evidence.settings.same * np.abs(prints[a]) + 1e-12).all(axis=1)
        ones.append(np.minimum(a, b)[same])
        twos.append(np.maximum(a, b)[same])
    return np.concatenate(ones), np.concatenate(twos)


def _known_wrong(evidence: Evidence) -> np.ndarray:
    """Rows of which near frames say that they are wrong."""
    if not len(evidence.near):
        return np.zeros(0, dtype=np.int64)
    return evidence.verdicts.rows[evidence.verdicts.wrong]


def _contradictions(
    one: np.ndarray, two: np.ndarray, energy: np.ndarray, force: np.ndarray, wrong: np.ndarray
) -> list[Finding]:
    """One geometry with two labels: both frames are named, unless near frames say which of them is wrong."""
    if not len(one):
        return []
    rows, inverse = np.unique([one, two], return_inverse=True)
    one_of, two_of = inverse.reshape(2, -1)
    graph = coo_matrix((np.ones(len(one)), (one_of, two_of)), shape=(len(rows), len(rows)))
    count = connected_components(graph, directed=False)[0]
    first, second = np.isin(one, wrong), np.isin(two, wrong)
    named = np.unique([*one[~second | first], *two[~first | second]])
    what = (
        f"{count} geometr{'ies have' if count > 1 else 'y has'} different labels in {len(rows)} frames: energies "
        f"differ by up to {1000 * np.nanmax(energy):.3g} meV/atom, forces by up to {np.nanmax(force):.2g} eV/A"
    )
    fix = "recompute them: at least one label of each is wrong, or of another method"
    numbers = {"geometries": count, "energy": float(np.nanmax(energy)), "unit": "eV/atom"}
    return [Finding("duplicates", CERTAIN, what, fix, named, numbers=numbers)]


def _leak(one: np.ndarray, two: np.ndarray, train: np.ndarray, share: float) -> list[Finding]:
    across = train[one] != train[two]
    if not across.any():
        return []
    rows = np.unique(np.where(train[one[across]], two[across], one[across]))
    of = int((~train).sum())
    what = f"{len(rows)} of {of} validation or test frames are in the training set as well: their errors are too small"
    certainty = CERTAIN if len(rows) > max(1, share * of) else LIKELY
    return [
        Finding(
            "duplicates", certainty, what, "take them out of one of the two sets", rows, numbers={"frames": len(rows)}
        )
    ]
