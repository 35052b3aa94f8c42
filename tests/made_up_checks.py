"""Frames for the checks: series of a crystal and of molecules with labels of a smooth potential, surveyed in memory."""

from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from mace_outlier.__main__ import main
from mace_outlier.checks import catalogue
from mace_outlier.checks.finding import Finding
from mace_outlier.checks.inputs import KEYS, Inputs, Source
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.survey import Survey
from mace_outlier.checks.survey_files import survey


def label(atoms: Atoms) -> Atoms:
    """Give a frame the labels of effective medium theory."""
    work = atoms.copy()
    work.calc = EMT()
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = work.get_potential_energy(), work.get_forces()
    return atoms


def crystal(rng: np.random.Generator, spread: float = 0.05) -> Atoms:
    """A cell of four copper atoms, with atoms off their sites by `spread` (Angstrom)."""
    atoms = bulk("Cu", "fcc", a=3.7, cubic=True)
    atoms.positions += rng.normal(0, spread, atoms.positions.shape)
    return label(atoms)


def series(count: int, step: float = 0.03, seed: int = 0) -> list[Atoms]:
    """A walk of a crystal around its sites, by some `step` (Angstrom) from frame to frame."""
    return [atoms.copy() for atoms in _series(count, step, seed)]


@cache
def _series(count: int, step: float, seed: int) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    atoms = crystal(rng)
    sites = bulk("Cu", "fcc", a=3.7, cubic=True).positions
    frames = []
    for _ in range(count):
        atoms = atoms.copy()
        atoms.positions += 0.1 * (sites - atoms.positions) + rng.normal(0, step / 2, atoms.positions.shape)
        frames.append(label(atoms))
    return frames


def surveyed(folder: Path, *files: list[Atoms], roles: tuple[str, ...] = (), **inputs) -> Survey:
    """Write files and read them, as the command does."""
    sources = []
    for number, frames in enumerate(files):
        path = folder / f"file{number}.xyz"
        write(path, frames, write_results=False) if frames else path.write_text("")
        sources.append(Source(str(path), roles[number] if roles else "train", keys=dict(KEYS)))
    return survey(Inputs(sources, **inputs), Settings(), workers=1)


def found(folder: Path, check: str, *files: list[Atoms], roles: tuple[str, ...] = (), **inputs) -> list[Finding]:
    """What one check finds in frames."""
    return catalogue.run(surveyed(folder, *files, roles=roles, **inputs), [check])


def sure(findings: list[Finding]) -> list[Finding]:
    """Those that are certain or likely."""
    return [finding for finding in findings if finding.certainty != "look"]


def check(*arguments: object) -> int:
    """The exit code of `mace_outlier check`, in this process."""
    try:
        main(["check", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code)
    return 0
