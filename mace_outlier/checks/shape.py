"""Distances within a frame, and numbers that frames of the same geometry share however they are written down."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial import cKDTree

from .settings import Settings


class Pairs(NamedTuple):
    """Neighbours of the atoms of a frame within a cutoff: each pair from both sides."""

    one: np.ndarray  # (P,) index of an atom
    other: np.ndarray  # (P,) index of its neighbour, or of the atom whose image that is
    distance: np.ndarray  # (P,) Angstrom
    vector: np.ndarray  # (P, 3) Angstrom, from the atom to its neighbour
    cutoff: float  # Angstrom


NO_PAIRS = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)), 0.0)


class Shape(NamedTuple):
    """What is measured of a geometry."""

    nearest: float  # Angstrom, smallest distance; inf for one atom
    ratio: float  # smallest distance over the sum of covalent radii
    volume: float  # A^3; nan where no cell holds it
    fingerprint: np.ndarray  # (5,) see below
    symmetric: bool  # whether forces vanish by symmetry
    pairs: Pairs  # neighbours within a cutoff; not kept


def shape_of(atoms: Atoms, settings: Settings, symmetry: bool = False) -> Shape:
    """Measure a frame; `symmetry`: whether the answer to that is needed."""
    numbers = atoms.numbers
    if not len(atoms):
        return Shape(np.inf, np.inf, np.nan, np.full(5, np.nan), True, NO_PAIRS)
    volume = abs(np.linalg.det(atoms.cell.array)) if atoms.pbc.all() else np.nan
    pairs = pairs_within(atoms, settings)
    own = fingerprint(atoms, pairs)
    if not len(pairs.one):
        return Shape(np.inf, np.inf, volume, own, True, pairs)
    ratios = pairs.distance / (covalent_radii[numbers[pairs.one]] + covalent_radii[numbers[pairs.other]])
    nearest, ratio = float(pairs.distance.min()), float(ratios.min())
    return Shape(nearest, ratio, volume, own, symmetry and is_symmetric(atoms, settings), pairs)


def pairs_within(atoms: Atoms, settings: Settings) -> Pairs:
    """Find the neighbours of all atoms, images of the cell included."""
    cutoff = settings.cutoff if len(atoms) <= settings.most_pairs else settings.cutoff_bonds
    positions, image_of = with_images(atoms, cutoff)
    here = cKDTree(positions[: len(atoms)])
    found = here.sparse_distance_matrix(cKDTree(positions), cutoff, output_type="ndarray")
    found = found[found["i"] != found["j"]]  # an atom is no neighbour of itself, its image is
    vector = positions[found["j"]] - positions[found["i"]]
    return Pairs(found["i"], image_of[found["j"]], found["v"], vector, cutoff)


def with_images(atoms: Atoms, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the atoms, then those of periodic images within the cutoff of the cell; whose image each is."""
    cell, pbc = atoms.cell.complete().array, atoms.pbc
    everyone = np.arange(len(atoms))
    if not pbc.any():
        return atoms.positions, everyone
    fractional = np.linalg.solve(cell.T, atoms.positions.T).T
    fractional -= np.floor(fractional) * pbc
    margin = cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)  # cutoff in units of the height of the cell
    positions, image_of = fractional, everyone
    for axis in np.flatnonzero(pbc):
        moved, owners = [positions], [image_of]
        for turn in range(1, int(np.ceil(margin[axis])) + 1):
            for sign in (-turn, turn):
                image = positions.copy()
                image[:, axis] += sign
                inside = (image[:, axis] > -margin[axis]) & (image[:, axis] < 1 + margin[axis])
                moved.append(image[inside])
                owners.append(image_of[inside])
        positions, image_of = np.concatenate(moved), np.concatenate(owners)
    return positions @ cell, image_of


def fingerprint(atoms: Atoms, pairs: Pairs) -> np.ndarray:
    """Five numbers that neither rotation, translation, the order of atoms nor the choice of the cell's origin changes.

        rho_i = q_i sum_j q_j f(r_ij) g(r_ij)      f(r) = (1 - r^2 / r_c^2)^2      q = sqrt(Z)

    The sum over the atoms of rho for g = exp(-r), and those of rho^2, which know angles, for exp(-r), exp(-2 r) and
    cos(3 r). The fifth sees what lies further apart than the cutoff.
    """
    charge = np.sqrt(atoms.numbers.astype(float))
    smooth = (1 - (pairs.distance / pairs.cutoff) ** 2) ** 2 * charge[pairs.one] * charge[pairs.other]
    decay = np.exp(-pairs.distance)
    radial = (decay, decay**2, np.cos(3 * pairs.distance))
    rho = [np.bincount(pairs.one, smooth * values, len(charge)) for values in radial]
    return np.array([rho[0].sum(), *((own**2).sum() for own in rho), _overall(atoms, charge)])


def _overall(atoms: Atoms, charge: np.ndarray) -> float:
    """Mean square distance from the centre, A^2; of periodic frames, volume and longest waves of the density in it."""
    if not atoms.pbc.any():
        centre = charge @ atoms.positions / charge.sum()
        return 1.0 + float(charge @ ((atoms.positions - centre) ** 2).sum(axis=1) / charge.sum())
    cell = atoms.cell.complete().array
    phases = np.exp(2j * np.pi * np.linalg.solve(cell.T, atoms.positions.T))  # (3, A)
    waves = np.abs(phases @ charge / charge.sum()) ** 2
    return float(abs(np.linalg.det(cell)) * (1.0 + waves @ np.array([1.0, 1.4, 1.7])))


def loneliest(atoms: Atoms, pairs: Pairs, sizes: np.ndarray, settings: Settings) -> tuple[float, float]:
    """Of the atoms on which a force acts, take the one that is furthest from all others.

    Args:
        atoms: a frame of several atoms.
        pairs: neighbours within a cutoff.
        sizes: of the forces, (A,) eV/A.
        settings: of the checks.

    Returns:
        The distance to its nearest neighbour, Angstrom, at most `alone_most`, and the size of its force, eV/A.
    """
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, pairs.one, pairs.distance)
    felt = np.flatnonzero(sizes > settings.felt)
    far = felt[np.isinf(nearest[felt])]
    if len(far):
        positions, _ = with_images(atoms, settings.alone_most)
        gaps = cKDTree(positions).query(positions[far], k=2)[0][:, 1]  # the first is the atom itself
        nearest[far] = np.minimum(gaps, settings.alone_most)
    if not len(felt):
        return 0.0, 0.0
    one = felt[nearest[felt].argmax()]
    return float(nearest[one]), float(sizes[one])


def is_symmetric(atoms: Atoms, settings: Settings) -> bool:
    """Whether the directions to the neighbours of every atom add up to nothing, so that its force vanishes."""
    cutoff = settings.cutoff_bonds
    positions, image_of = with_images(atoms, cutoff)
    found = cKDTree(positions[: len(atoms)]).sparse_distance_matrix(cKDTree(positions), cutoff, output_type="ndarray")
    found = found[(found["i"] != found["j"]) & (found["v"] > 0)]
    smooth = (
        (1 - (found["v"] / cutoff) ** 2) ** 2 * np.sqrt(atoms.numbers.astype(float))[image_of[found["j"]]] / found["v"]
    )
    total = np.zeros((len(atoms), 3))
    np.add.at(total, found["i"], (positions[found["j"]] - positions[found["i"]]) * smooth[:, None])
    return bool(np.abs(total).max() < settings.asymmetry)
