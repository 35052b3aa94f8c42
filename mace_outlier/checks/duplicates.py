"""Check `duplicates`: the same geometry twice, with other labels, or in training and validation.

Geometries are compared by a fingerprint that knows no order of atoms, no origin and no rotation (`shape`), and labels
by numbers that don't either (`marks`).
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .inputs import TRAIN
from .settings import Settings

NEXT = 4  # frames that follow in the order of the first numbers of the fingerprint, to which each is compared
CHUNK = 65_536  # pairs that are compared at a time


class Differences(NamedTuple):
    """What labels of pairs (P,) differ by; nan where one of them has none."""

    energy: np.ndarray  # eV/atom
    force: np.ndarray  # eV/A, root mean square
    stress: np.ndarray  # eV/A^3
    other: np.ndarray  # one of these is larger than between two right calculations
    uneven: np.ndarray  # one frame has a label that the other hasn't
    known: np.ndarray  # there is a label that both have


def check(evidence: Evidence) -> list[Finding]:
    """Find frames of the same geometry."""
    one, two = same_geometry(evidence)
    if not len(one):
        return []
    survey = evidence.survey
    differences = compared(survey.frames, one, two, evidence.settings)
    train = np.array([source.role == TRAIN for source in survey.sources])[survey.frames["source"]]
    found = _contradictions(one, two, differences, _known_wrong(evidence))
    found += _leak(one, two, train, evidence.settings.leak)
    twice = ~differences.other & (train[one] == train[two])
    for chosen, how, fix in (
        (differences.known & ~differences.uneven, "with the same labels: they count double", "keep one of each"),
        (differences.uneven, "with labels that only one of them has", "keep those that have all labels"),
    ):
        if (chosen & twice).any():
            rows = np.unique([one[chosen & twice], two[chosen & twice]])
            what = f"{len(rows)} frames stand there more than once, {how}"
            found.append(Finding("duplicates", LOOK, what, fix, rows))
    return found


def compared(frames: np.ndarray, one: np.ndarray, two: np.ndarray, settings: Settings) -> Differences:
    """Compare the labels of pairs of rows (P,), so many at a time that copies of the frames take no memory."""
    starts = range(0, max(len(one), 1), CHUNK)
    parts = [_compared(frames[one[at : at + CHUNK]], frames[two[at : at + CHUNK]], settings) for at in starts]
    return Differences(*map(np.concatenate, zip(*parts, strict=True)))


def _compared(first: np.ndarray, second: np.ndarray, settings: Settings) -> Differences:
    """Compare the labels of frames (P,)."""
    energy = np.abs(first["energy"] - second["energy"]) / first["atoms"]
    force = np.abs(first["rms_force"] - second["rms_force"])
    larger = np.maximum(first["rms_force"], second["rms_force"])
    turned = _rms(first["force_marks"] - second["force_marks"])
    marks = np.maximum(_rms(first["force_marks"]), _rms(second["force_marks"]))  # of many atoms, some are far larger
    stress = np.abs(first["stress_marks"] - second["stress_marks"]).max(axis=1)
    size = np.maximum(np.abs(first["stress_marks"]), np.abs(second["stress_marks"])).max(axis=1)
    share = settings.same_share
    other = (energy > settings.same_energy) | (force > settings.same_force + share * larger)
    other |= turned > settings.same_blur * (settings.same_force + share * np.maximum(larger, marks))
    other |= stress > settings.same_stress + share * size
    one_has, two_has = _labels_there(first), _labels_there(second)
    uneven, known = (one_has != two_has).any(axis=0), (one_has & two_has).any(axis=0)
    return Differences(energy, np.maximum(force, turned), stress, other, uneven, known)


def _labels_there(frames: np.ndarray) -> np.ndarray:
    """Tell which frames (P,) have a usable energy, forces and stress, (3, P)."""
    return np.isfinite([frames["energy"], frames["rms_force"], frames["stress_marks"][:, 0]])


def _rms(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt((values**2).mean(axis=1)))


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


def _contradictions(one: np.ndarray, two: np.ndarray, differences: Differences, wrong: np.ndarray) -> list[Finding]:
    """One geometry with two labels: both frames are named, unless near frames say which of them is wrong."""
    one, two = one[differences.other], two[differences.other]
    if not len(one):
        return []
    rows, inverse = np.unique([one, two], return_inverse=True)
    one_of, two_of = inverse.reshape(2, -1)
    graph = coo_matrix((np.ones(len(one)), (one_of, two_of)), shape=(len(rows), len(rows)))
    count = connected_components(graph, directed=False)[0]
    first, second = np.isin(one, wrong), np.isin(two, wrong)
    named = np.unique(np.concatenate((one[~second | first], two[~first | second])))
    numbers, sizes = _largest(differences)
    what = f"{count} geometr{'ies have' if count > 1 else 'y has'} different labels in {len(rows)} frames: {sizes}"
    fix = "recompute them: at least one label of each is wrong, or of another method"
    return [Finding("duplicates", CERTAIN, what, fix, named, numbers={"geometries": count} | numbers)]


def _largest(differences: Differences) -> tuple[dict[str, float | str], str]:
    """The largest difference of each label that two frames have, as numbers and in words."""
    numbers, words = dict[str, float | str](), list[str]()
    for name, differ, also, scale, unit in (
        ("energy", "energies differ", "energies", 1000, "meV/atom"),
        ("force", "forces differ", "forces", 1, "eV/A"),
        ("stress", "stress differs", "stress", 1, "eV/A^3"),
    ):
        values = getattr(differences, name)[differences.other]
        if np.isfinite(values).any():
            largest = round(float(np.nanmax(values)), 6)  # records have seven digits
            numbers |= {name: largest} | ({"unit": "eV/atom"} if name == "energy" else {})
            words.append(f"{also if words else differ} by up to {scale * largest:.3g} {unit}")
    return numbers, ", ".join(words)


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
