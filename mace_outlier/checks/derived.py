"""Check `settings`, what was derived from labels before: E0s and a scale that have taken gross errors in.

MACE's preprocessing writes both into a statistics file, by least squares and means over all labels.
"""

import numpy as np
from ase.data import chemical_symbols

from ..data.shift import average_without
from .evidence import Evidence
from .expected import expected
from .finding import CERTAIN, LIKELY, Finding
from .frame import Flag
from .inputs import TRAIN


def averaged(evidence: Evidence, head: str, given: dict[int, float]) -> list[Finding]:
    """Find E0s that are an average over all energies, gross errors included."""
    survey, s = evidence.survey, evidence.settings
    frames, known = survey.frames, expected(survey, s.fewest)
    rows = _training_rows(evidence, head)
    rows = rows[np.isfinite(frames["energy"][rows]) & np.isfinite(known.residual[rows])]
    numbers, table = survey.composition
    used = table[frames["formula"][rows]].any(axis=0)
    numbers = [number for number, own in zip(numbers, used, strict=True) if own]
    counts, energy = table[frames["formula"][rows]][:, used], frames["energy"][rows]
    gross = np.abs(known.residual[rows]) > np.maximum(s.gross, s.sigmas * known.spread[rows])
    found = average_without(np.array([given[number] for number in numbers]), counts, energy, gross)
    if found is None:
        return []
    right, off = found
    better = ", ".join(f"{z}: {value:.6g}" for z, value in zip(numbers, right, strict=True))
    bad = int(gross.sum())
    what = (
        f"the E0s are an average over all energies, {bad} gross error{'s' * (bad > 1)} of {len(rows)} included, "
        f"which move them by {off:.3g} eV/atom: without these, it is {{{better}}}"
    )
    fix = "give these E0s, or make the statistics file again without the frames that are named"
    elements = [chemical_symbols[number] for number in numbers]
    values = {"E0s": dict(zip(elements, right.tolist(), strict=True)), "unit": "eV"}
    return [Finding("settings", CERTAIN, what, fix, rows[gross], "--E0s", values)]


def scaled(evidence: Evidence, head: str) -> list[Finding]:
    """Find a scale of the model that is far above the forces it is to have."""
    scale, s = evidence.survey.inputs.scale.get(head), evidence.settings
    forces = evidence.survey.frames["rms_force"][_training_rows(evidence, head)]
    forces = forces[forces > 0]  # NaN: none
    if scale is None or not len(forces):
        return []
    typical = float(np.median(forces))
    if scale < s.scale * typical:
        return []
    what = f"--std={scale:.4g}: the root mean square of most forces is near {typical:.3g} eV/A"
    fix = "leave --std out: MACE then takes it from the data, without gross errors where the loss is ema_robust"
    return [Finding("settings", LIKELY, what, fix, where="--std", numbers={"median": typical, "unit": "eV/A"})]


def _training_rows(evidence: Evidence, head: str) -> np.ndarray:
    survey = evidence.survey
    of_head = np.array([source.head == head and source.role == TRAIN for source in survey.sources], dtype=bool)
    return np.flatnonzero(of_head[survey.frames["source"]] & ~survey.has(Flag.ISOLATED_ATOM))
