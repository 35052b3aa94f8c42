"""Numbers by which labels of one geometry are compared, in whatever order, place and direction its atoms are written.

The sizes of forces don't say on which atoms they act, and in which direction. Projections do, on directions that follow
from the surroundings of each atom: they change with the sign and the order of the forces, and by as much as the forces
do (root mean square), where there are many atoms.
"""

import numpy as np

from .shape import Pairs

PHASES = (0.0, 19.0, 38.0, 57.0)  # radians, by the density around an atom over the mean: it varies by a few per cent
FLAT = 1e-3  # of the density: an atom with neighbours as even as this has no direction
FEW = 0.01  # share of the atoms with a direction, below which projections are small


def force_marks(numbers: np.ndarray, pairs: Pairs, forces: np.ndarray) -> np.ndarray:
    """Four projections of the forces, eV/A, each as large as one of their components is.

        sum_i cos(p rho_i / <rho>) d_i . F_i / sqrt(sum_i cos^2(p rho_i / <rho>) |d_i|^2)
        rho_i = sum_j w_ij      d_i = sum_j w_ij r_ij / |sum_j w_ij r_ij|      w_ij = sqrt(Z_j) (1 - r_ij^2 / r_c^2)^2

    Args:
        numbers: of the atoms (A,).
        pairs: neighbours within a cutoff.
        forces: (A, 3) eV/A.
    """
    weights = _weights(numbers, pairs)
    density = np.bincount(pairs.one, weights, len(numbers))
    sums = np.stack([np.bincount(pairs.one, weights * along, len(numbers)) for along in pairs.vector.T], axis=1)
    directions = sums / (np.linalg.norm(sums, axis=1) + FLAT * density + 1e-12)[:, None]
    signs = np.cos(np.outer(PHASES, density / max(density.mean(), 1e-12)))  # (4, A)
    size = signs**2 @ (directions**2).sum(axis=1)
    return np.asarray(signs @ (directions * forces).sum(axis=1) / np.sqrt(size + FEW**2 * len(numbers)))


def stress_marks(numbers: np.ndarray, pairs: Pairs, stress: np.ndarray) -> np.ndarray:
    """A third of the trace of the stress, and its projections on two tensors of the geometry without trace, eV/A^3.

    sum_ij w_ij g(r_ij) r_ij r_ij      g = 1, cos(3 r)
    """
    weights = _weights(numbers, pairs) * np.sqrt(numbers)[pairs.one]
    marks = [np.trace(stress) / 3]
    for each in (weights, weights * np.cos(3 * pairs.distance)):
        tensor = (pairs.vector.T * each) @ pairs.vector
        tensor -= np.eye(3) * np.trace(tensor) / 3
        flat = FLAT * np.abs(each) @ pairs.distance**2
        marks.append((tensor * stress).sum() / (np.linalg.norm(tensor) + flat + 1e-12))
    return np.array(marks)


def _weights(numbers: np.ndarray, pairs: Pairs) -> np.ndarray:
    return np.sqrt(numbers)[pairs.other] * (1 - (pairs.distance / max(pairs.cutoff, 1e-12)) ** 2) ** 2
