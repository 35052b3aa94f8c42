"""Periodic boxes of water molecules in random directions, and the dynamics that makes liquid water of them."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry import get_distances
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

MOLECULE = 18.015 / (units.mol * 1e-24)  # mass in g per cm3 / A3


def random_box(n_molecules: int, density: float, rng: np.random.Generator, closest: float = 2.55) -> Atoms:
    """Molecules at random places of a cubic box, oxygens `closest` Angstrom apart, each turned away from the others."""
    length = (n_molecules * MOLECULE / density) ** (1 / 3)
    box = Atoms(cell=[length] * 3, pbc=True)
    places: list[np.ndarray] = []
    while len(places) < n_molecules:
        trial = rng.uniform(0, length, 3)
        if not places or distances(box, trial[None], np.array(places)).min() > closest:
            places.append(trial)
    for place in places:
        turned = [turned_molecule(place, rng) for _ in range(50 if len(box) else 1)]
        if len(box):
            room = [distances(box, water.positions, box.positions).min() for water in turned]
            turned = [turned[int(np.argmax(room))]]
        box += turned[0]
    return box


def distances(box: Atoms, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distances (N, M), Angstrom, to the nearest images."""
    return get_distances(first, second, cell=box.cell, pbc=True)[1]


def turned_molecule(place: np.ndarray, rng: np.random.Generator) -> Atoms:
    """A water molecule, its oxygen at a place, in a random direction."""
    water = molecule("H2O")
    water.rotate(rng.uniform(0, 360), rng.normal(size=3), center=water.positions[0])
    water.rotate(rng.uniform(0, 360), rng.normal(size=3), center=water.positions[0])
    water.translate(place - water.positions[0])
    return water


def dynamics(atoms: Atoms, temperature: float, timestep: float, friction: float, rng: np.random.Generator) -> Langevin:
    """Langevin dynamics; hydrogen is deuterium."""
    atoms.set_masses([2.014 if symbol == "H" else None for symbol in atoms.symbols])
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    return Langevin(
        atoms, timestep * units.fs, temperature_K=temperature, friction=friction / units.fs, fixcm=False, rng=rng
    )
