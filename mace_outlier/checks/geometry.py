"""Check `geometry`: atoms that overlap or are alone, cells that contradict the flags, rare elements, lone frames."""

from collections.abc import Callable

import numpy as np
from ase.data import chemical_symbols

from .alone import alone
from .evidence import Evidence
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .frame import Flag
from .inputs import TRAIN
from .outside import outside

Row = tuple[np.ndarray, str, Callable[[np.ndarray], str], str]


def check(evidence: Evidence) -> list[Finding]:
    """Find geometries that can't be meant."""
    survey, found = evidence.survey, []
    for chosen, certainty, what, fix in _table(evidence):
        for rows, path in survey.by_source(chosen):
            found.append(Finding("geometry", certainty, what(rows), fix, rows, path))
    return found + alone(evidence) + outside(evidence) + _elements(evidence) + _cutoff(evidence)


def _table(evidence: Evidence) -> list[Row]:
    """Which frames, how sure, what to say of some rows, what to do."""
    survey, s = evidence.survey, evidence.settings
    frames = survey.frames
    nearest, ratio, periodic = frames["nearest"], frames["ratio"], survey.has(Flag.PERIODIC)
    on_top = nearest < s.same_place
    overlap = ~on_top & (ratio < s.overlapping)
    close = ~on_top & ~overlap & (ratio < s.closer)
    dense = ~on_top & ~overlap & periodic & (frames["volume"] < s.thin * frames["atoms"])
    mixed = survey.has(Flag.CELL_UNUSED) & np.isin(frames["source"], np.unique(frames["source"][periodic]))

    def apart(rows: np.ndarray) -> str:
        return f"{nearest[rows].min():.3g} A apart, {100 * ratio[rows].min():.0f} % of the sum of their covalent radii"

    def density(rows: np.ndarray) -> str:
        return f"{(frames['volume'][rows] / frames['atoms'][rows]).min():.3g} A^3 for each atom: no matter is so dense"

    return [
        (frames["atoms"] == 0, CERTAIN, _says("no atom in the frame"), "leave it out"),
        (survey.has(Flag.BAD_POSITIONS), CERTAIN, _says("positions or cell hold NaN or infinity"), "leave them out"),
        (survey.has(Flag.NO_CELL), CERTAIN, _says("periodic in a direction without a cell"), "give it, or pbc='F F F'"),
        (on_top, CERTAIN, lambda rows: f"two atoms on the same place: {apart(rows)}", "leave out one of the atoms"),
        (overlap, LIKELY, lambda rows: f"atoms within each other's cores: {apart(rows)}", "look for a length in bohr"),
        (close, LOOK, lambda rows: f"atoms closer than any bond: {apart(rows)}", "right in compression and collisions"),
        (dense, LIKELY, density, "look for a cell in another unit"),
        (mixed, LOOK, _says("a cell, but not periodic, among periodic frames"), "pbc='T T T', where it was periodic"),
    ]


def _says(text: str) -> Callable[[np.ndarray], str]:
    return lambda rows: text


def _elements(evidence: Evidence) -> list[Finding]:
    """Elements that only the validation has, or hardly any frame."""
    survey = evidence.survey
    counts: dict[str, dict[int, int]] = {"train": {}, "other": {}}
    for source, elements in zip(survey.sources, survey.elements, strict=True):
        own = counts["train" if source.role == TRAIN else "other"]
        for number, frames in elements.items():
            own[number] = own.get(number, 0) + frames
    names = {number: chemical_symbols[number] for own in counts.values() for number in own}
    found = []
    unknown = sorted(set(counts["other"]) - set(counts["train"])) if counts["train"] else []
    if unknown:
        what = f"{', '.join(names[z] for z in unknown)}: in the validation or test set, and never in training"
        found.append(Finding("geometry", LIKELY, what, "add training frames with these elements"))
    rare = {z: n for z, n in counts["train"].items() if n <= evidence.settings.rare}
    if rare and len(survey.frames) > 10 * evidence.settings.rare:
        what = ", ".join(
            f"{names[z]} is in {n} training frame{'s' if n > 1 else ''} only" for z, n in sorted(rare.items())
        )
        found.append(
            Finding("geometry", LOOK, what, "right for isolated atoms; a model can't learn an element from so few")
        )
    return found


def _cutoff(evidence: Evidence) -> list[Finding]:
    """MACE takes images into account, so that this is only worth knowing."""
    r_max, frames = evidence.survey.inputs.r_max, evidence.survey.frames
    if not r_max:
        return []
    with np.errstate(invalid="ignore"):
        small = np.cbrt(frames["volume"]) < 2 * r_max
    if not small.any():
        return []
    what = f"{int(small.sum())} frames have a cell smaller than 2 r_max = {2 * r_max:g} A: atoms see their own images"
    return [Finding("geometry", LOOK, what, "right in MACE: nothing to do", np.flatnonzero(small), "--r_max")]
