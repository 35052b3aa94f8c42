"""Check `settings`: E0s that contradict the data, isolated atoms that are missing, validation that says nothing."""

from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula

from .derived import averaged, scaled
from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .frame import Flag
from .inputs import TRAIN
from .trajectory import trajectory


def check(evidence: Evidence) -> list[Finding]:
    """Compare the options of the training with the data."""
    found = _same_file(evidence) + trajectory(evidence)
    for head in dict.fromkeys(source.head for source in evidence.survey.sources):
        option = evidence.survey.inputs.E0s.get(head, evidence.survey.inputs.E0s.get("Default"))
        found += scaled(evidence, head)
        if isinstance(option, dict):
            found += _given(evidence, head, option)
        elif evidence.survey.inputs.training and option in (None, "isolated", "average"):
            found += _found(evidence, head, option)
    return found


def _same_file(evidence: Evidence) -> list[Finding]:
    by_path: dict[tuple[Path, str], set[str]] = {}
    for source in evidence.survey.sources:
        by_path.setdefault((Path(source.path).resolve(), source.head), set()).add(source.role)
    found = []
    for (path, _), roles in by_path.items():
        if TRAIN in roles and len(roles) > 1:
            what = f"one file is {' and '.join(f'--{role}_file' for role in sorted(roles))}: validation says nothing"
            fix = "split it, or leave --valid_file out (--valid_fraction)"
            found.append(Finding("settings", CERTAIN, what, fix, where=str(path)))
    return found


def isolated(evidence: Evidence, head: str) -> dict[int, float]:
    """Energies of the isolated atoms of the training files of a head, eV."""
    survey = evidence.survey
    of_head = np.array([source.head == head and source.role == TRAIN for source in survey.sources])
    rows = np.flatnonzero(survey.has(Flag.ISOLATED_ATOM) & of_head[survey.frames["source"]])
    found = {}
    for row in rows:
        (symbol,) = Formula(survey.formulas[survey.frames["formula"][row]]).count()
        found[atomic_numbers[symbol]] = float(survey.frames["energy"][row])
    return found


def _elements(evidence: Evidence, head: str) -> set[int]:
    pairs = zip(evidence.survey.sources, evidence.survey.elements, strict=True)
    return {number for source, own in pairs if source.head == head for number in own}


def _given(evidence: Evidence, head: str, given: dict[int, float]) -> list[Finding]:
    """E0s as numbers: of all elements, those of the isolated atoms, and such that the rest is a binding energy."""
    where = "--E0s" + ("" if head == "Default" else f" of head {head}")
    found, s = [], evidence.settings
    missing = sorted(_elements(evidence, head) - set(given))
    if missing:
        what = f"no E0 of {_symbols(missing)}, which the data have"
        return [Finding("settings", CERTAIN, what, "give the energy of its isolated atom", where=where)]
    for number, energy in isolated(evidence, head).items():
        if abs(energy - given[number]) > s.free_atom:
            what = (
                f"the E0 of {chemical_symbols[number]} is {given[number]:.6g} eV, its isolated atom has {energy:.6g} eV"
            )
            fix = "take the isolated atom of the same calculations"
            found.append(Finding("settings", LIKELY, what, fix, where=where))
    each = binding(evidence, head, given)
    middle = float(np.median(each)) if len(each) else 0.0
    found += averaged(evidence, head, given)
    if not s.cohesion[0] <= middle <= s.cohesion[1]:
        what = f"energies without these E0s are {middle:.4g} eV/atom in the middle: no binding energy is like that"
        fix = "take E0s of the same code, pseudopotentials and units as the data"
        numbers = {"median": middle, "unit": "eV/atom"}
        found.append(Finding("settings", CERTAIN, what, fix, where=where, numbers=numbers))
    return found


def _symbols(numbers: list[int]) -> str:
    return ", ".join(chemical_symbols[number] for number in numbers)


def binding(evidence: Evidence, head: str, given: dict[int, float]) -> np.ndarray:
    """Energies without E0s, eV/atom, of the training frames of a head with more than one atom."""
    survey, frames = evidence.survey, evidence.survey.frames
    of_head = np.array([source.head == head and source.role == TRAIN for source in survey.sources])
    use = of_head[frames["source"]] & (frames["atoms"] > 1) & np.isfinite(frames["energy"])
    numbers, table = survey.composition
    free = table @ np.array([given.get(number, np.nan) for number in numbers])
    return (frames["energy"][use] - free[frames["formula"][use]]) / frames["atoms"][use]


def _found(evidence: Evidence, head: str, option: Any) -> list[Finding]:
    """E0s out of the data: isolated atoms, or an average that the compositions have to determine."""
    elements, atoms = _elements(evidence, head), isolated(evidence, head)
    missing = sorted(elements - set(atoms))
    if option == "average":
        used = np.unique(evidence.survey.frames["formula"])
        rank = int(np.linalg.matrix_rank(evidence.survey.composition[1][used]))
        if rank >= len(elements):
            return []
        what = f"--E0s=average: the compositions determine {rank} of {len(elements)} energies, the others are arbitrary"
        fix = "give isolated atoms, or E0s by hand, before other compositions are predicted"
        return [Finding("settings", LOOK, what, fix, where="--E0s")]
    if not missing:
        return []
    what = f"no --E0s, and no isolated atom (config_type=IsolatedAtom) of {_symbols(missing)}: MACE stops"
    return [Finding("settings", CERTAIN, what, "add the isolated atoms, or give --E0s", where="--E0s")]
