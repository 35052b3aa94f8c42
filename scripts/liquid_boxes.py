"""Periodic boxes of water molecules in random directions, and the dynamics that makes liquid water of them."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.geometry import get_distances
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution

MOLECULE = 18.015 / (units.mol * 1e-24)  # mass in g per cm3 / A3
# There is no liquid water any more where it is hotter than that (K), where a molecule has an O-H bond longer than that,
# or where the oxygens of two molecules are closer than that (Angstrom).
HOTTEST, LONGEST_BOND, CLOSEST = 1500.0, 1.6, 2.1
DEUTERIUM = 2.014  # mass of hydrogen that allows twice the timestep


class NoLiquidError(RuntimeError):
    """A model has let the liquid blow up, or its molecules break or fuse; the message says which."""


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


def check_liquid(
    atoms: Atoms,
    temperature: float,
    hottest: float = HOTTEST,
    longest_bond: float = LONGEST_BOND,
    closest: float = CLOSEST,
) -> None:
    """Raise NoLiquidError where a cubic box holds no liquid of water molecules, in the order O, H, H."""
    if not temperature < hottest:
        raise NoLiquidError("blew up")
    molecules, length = atoms.positions.reshape(-1, 3, 3), atoms.cell.lengths()[0]
    bonds = to_nearest_image(molecules[:, 1:] - molecules[:, :1], length)
    if not np.linalg.norm(bonds, axis=-1).max() < longest_bond:
        raise NoLiquidError("a molecule broke")
    oxygens = to_nearest_image(molecules[:, None, 0] - molecules[None, :, 0], length)
    apart = np.linalg.norm(oxygens, axis=-1)[np.triu_indices(len(molecules), 1)]
    if len(apart) and apart.min() < closest:
        raise NoLiquidError("two molecules fused")


def to_nearest_image(vectors: np.ndarray, length: float) -> np.ndarray:
    """Vectors (..., 3) between atoms of a cubic box, to the nearest images."""
    return vectors - length * np.round(vectors / length)


def turned_molecule(place: np.ndarray, rng: np.random.Generator) -> Atoms:
    """A water molecule, its oxygen at a place, in a random direction."""
    water = molecule("H2O")
    water.rotate(rng.uniform(0, 360), rng.normal(size=3), center=water.positions[0])
    water.rotate(rng.uniform(0, 360), rng.normal(size=3), center=water.positions[0])
    water.translate(place - water.positions[0])
    return water


def dynamics(atoms: Atoms, temperature: float, timestep: float, friction: float, rng: np.random.Generator) -> Langevin:
    """Langevin dynamics; hydrogen is deuterium."""
    atoms.set_masses([DEUTERIUM if symbol == "H" else None for symbol in atoms.symbols])
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    return Langevin(
        atoms, timestep * units.fs, temperature_K=temperature, friction=friction / units.fs, fixcm=False, rng=rng
    )
