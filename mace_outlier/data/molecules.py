"""Which molecule a configuration is: isomers share a formula, but not their bonds. No torch."""

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

STRETCH = 1.2  # of the sum of two covalent radii, up to which atoms are bonded
SHORTEST = 1.0  # Angstrom; closer atoms are bonded in any case: that of H2 is as long as its radii allow
LARGEST = 200  # atoms; beyond, all pairs are many, and configurations differ in more than their molecules
ROUNDS = 3  # bonds along which the surroundings of an atom are told from those of another

MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15))  # of splitmix64
SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def molecule_name(formula: str, numbers: NDArray[np.integer], positions: NDArray[np.floating], periodic: bool) -> str:
    """Return the formula, with a number that tells isomers apart where there is one; see `bonds_code`."""
    code = bonds_code(numbers, positions, periodic)
    return f"{formula} {code:016x}" if code else formula


def bonds_code(numbers: NDArray[np.integer], positions: NDArray[np.floating], periodic: bool) -> int:
    """A number that isolated configurations with the same elements and bonds share, in any order of their atoms.

    Each atom gets a colour, its element, which takes in the colours of its neighbours so many times (the refinement of
    Weisfeiler and Leman, 1968); the number is a sum over the atoms. 0 for periodic and for very large configurations:
    a liquid's bonds come and go, and its formula says what it is.

    Args:
        numbers: (A,) atomic numbers.
        positions: (A, 3) in Angstrom.
        periodic: whether it is repeated in any direction.
    """
    if periodic or not 1 < len(numbers) <= LARGEST:
        return 0
    radii = covalent_radii[numbers].astype(np.float32)
    positions = np.asarray(positions, dtype=np.float32)
    apart = positions[:, None] - positions
    longest = np.maximum(STRETCH * (radii[:, None] + radii), SHORTEST)
    bonded = (np.einsum("ijk,ijk->ij", apart, apart) < longest**2).astype(np.uint64)  # (A, A); 1 for the atom itself
    colours = _mixed(np.asarray(numbers).astype(np.uint64))
    for _ in range(ROUNDS):
        colours = _mixed(colours * MIX[2] + bonded @ colours)
    return int(colours.sum())


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter numbers over all 64-bit ones; sums of what comes out tell sets apart."""
    values = (values + MIX[2]) * MIX[0]
    values = (values ^ (values >> SHIFTS[0])) * MIX[1]
    return values ^ (values >> SHIFTS[2])
