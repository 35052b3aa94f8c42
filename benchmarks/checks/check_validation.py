"""Validation frames out of trajectories and out of independent frames; and single geometries that are changed."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import _checks_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import read
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from check_sets import CLEAN, REAL, Frames

STEPS = 6_000  # of the molecular dynamics
STRIDES = (1, 5, 20, 50)  # steps between frames
CHANGES = (0.8, 0.9, 1.1, 1.3)  # of all lengths of a frame
CHANGED = 10  # frames, one after the other


class Split(NamedTuple):
    """Frames for training and validation."""

    data: str
    taken: str  # how validation frames were taken
    train: Frames
    valid: Frames


@cache
def dynamics(name: str) -> Frames:
    """Molecular dynamics with effective medium theory: 32 copper atoms (5 fs a step), ethanol (0.5 fs), 300 K."""
    atoms = bulk("Cu", cubic=True) * 2 if name == "copper" else molecule("CH3CH2OH")
    step, friction = (5.0, 0.005) if name == "copper" else (0.5, 0.002)
    atoms.rattle(0.02, seed=1)
    atoms.calc = EMT()
    rng = np.random.default_rng(0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=600, rng=rng)
    run = Langevin(atoms, step * units.fs, temperature_K=300, friction=friction / units.fs, fixcm=False, rng=rng)
    run.run(400)
    frames = []
    for _ in range(STEPS):
        run.run(1)
        frames.append(Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc))
        frames[-1].info["REF_energy"], frames[-1].arrays["REF_forces"] = 0.0, np.zeros((len(atoms), 3))
    return frames


def splits() -> Iterator[Split]:
    """Each with validation from in between (every tenth frame), and from the end."""
    for name in ("copper", "ethanol"):
        for stride in STRIDES:
            yield from both(f"{name}, every {stride} steps", dynamics(name)[::stride])
    yield from both("water, PBE0-TS", CLEAN["water, PBE0-TS"][0]())
    for name, path in (("acetylacetone", "acac"), ("silicon", "mlearn_Si"), ("molybdenum", "mlearn_Mo")):
        ends = ("train", "test") if path == "acac" else ("training", "test")
        train, valid = (read(REAL / f"{path}_{end}.xyz", ":") for end in ends)
        yield Split(name, "as published", train, valid)


def both(name: str, frames: Frames) -> Iterator[Split]:
    rest = [atoms for i, atoms in enumerate(frames) if i % 10 != 5]
    yield Split(name, "every tenth", rest, frames[5::10])
    tail = int(0.9 * len(frames))
    yield Split(name, "the last tenth", frames[:tail], frames[tail:])


def scaled(atoms: Atoms, factor: float) -> Atoms:
    """A frame with all lengths multiplied."""
    copy = atoms.copy()
    copy.set_cell(factor * copy.cell)
    copy.positions *= factor
    return copy
