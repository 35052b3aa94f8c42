"""Energy against work: what two frames that lie close together say of each other's labels.

    E2 - E1 = -1/2 (F1 + F2) . dx + error
    |error| <= a/2 sum_i |F2_i - F1_i| |dx_i|^2 + 2 a^2/3 sum_i min(|F1_i|, |F2_i|) |dx_i|^3

The trapezoid rule leaves s^3 / 12 times the third derivative of the energy, for a bond that is stretched by s. For a
Morse bond of width a this derivative is 3 a times the second one in the minimum, where the second one times s is the
difference of the forces, and 2 a^2 F where the bond breaks, the second one vanishes and both forces are alike. The two
atoms of a bond move by s/2 each, which makes the prefactors. With many atoms the terms partly cancel: on right data the
largest error is a quarter of the bound.
"""

from typing import NamedTuple

import numpy as np
from ase import Atoms


class Points(NamedTuple):
    """Frames with the same atoms in the same order, and the same cell."""

    positions: np.ndarray  # (M, A, 3)
    forces: np.ndarray  # (M, A, 3)
    energies: np.ndarray  # (M,)


class Compared(NamedTuple):
    """A frame and M others."""

    step: np.ndarray  # (M,) largest displacement of an atom, Angstrom
    difference: np.ndarray  # (M,) E2 - E1, eV
    work: np.ndarray  # (M,) -1/2 (F1 + F2) . dx, eV
    bound: np.ndarray  # (M,) of the error, eV


def compare(first: Points, others: Points, cell: np.ndarray, pbc: np.ndarray, morse: float) -> Compared:
    """Compare the one frame of `first` with each of `others`: nearest images, molecules turned onto each other.

    Args:
        first: frame 1.
        others: frames 2.
        cell: of all of them, (3, 3) Angstrom, no row of zeros.
        pbc: of all of them, (3,).
        morse: a, 1/Angstrom.
    """
    displacement = others.positions - first.positions
    forces = others.forces
    if pbc.any():
        displacement = nearest_images(displacement, cell, pbc)
        displacement -= displacement.mean(axis=1, keepdims=True)  # no energy depends on where the cell begins
    else:
        displacement, forces = turned_back(first.positions[0], others)
    step = np.linalg.norm(displacement, axis=2)
    change = np.linalg.norm(forces - first.forces, axis=2)
    least = np.minimum(np.linalg.norm(forces, axis=2), np.linalg.norm(first.forces, axis=2))
    return Compared(
        step.max(axis=1),
        others.energies - first.energies,
        -0.5 * np.einsum("mai,mai->m", forces + first.forces, displacement),
        (morse / 2 * change * step**2 + 2 * morse**2 / 3 * least * step**3).sum(axis=1),
    )


def may_be_near(first: np.ndarray, others: np.ndarray, cell: np.ndarray, pbc: np.ndarray, step: float) -> np.ndarray:
    """Tell which positions (M, A, 3) are within a step of the first (A); all of molecules, which would have to turn."""
    if not pbc.any():
        return np.ones(len(others), dtype=bool)
    moved = nearest_images(others - first, cell, pbc)
    moved -= moved.mean(axis=1, keepdims=True)
    return np.asarray(np.einsum("mai,mai->ma", moved, moved).max(axis=1, initial=0.0) <= step**2)


def nearest_images(displacement: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Displacements (..., 3) without whole vectors of the cell."""
    fractional = displacement @ np.linalg.inv(cell)
    return displacement - (np.round(fractional) * pbc) @ cell


def turned_back(reference: np.ndarray, others: Points) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and forces of molecules after the rotation that takes each onto the reference (Kabsch, 1976)."""
    centred = reference - reference.mean(axis=0)
    moved = others.positions - others.positions.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("mai,aj->mij", moved, centred))
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    rotation = left @ right
    return moved @ rotation - centred, others.forces @ rotation


def comparable(first: Atoms, second: Atoms) -> bool:
    """Whether two frames differ in the positions only: same atoms in the same order, and the same cell."""
    return (
        np.array_equal(first.numbers, second.numbers)
        and np.array_equal(first.pbc, second.pbc)
        and (not first.pbc.any() or np.allclose(first.cell.array, second.cell.array, rtol=0, atol=1e-4))
    )
