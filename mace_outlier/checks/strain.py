"""Energy against the work of the stress: what two frames of the same atoms in strained cells say of each other.

    E2 - E1 = -1/2 (F1 + F2) . dx + 1/2 (V1 s1 + V2 s2) : e + error of third order
    e = sym(h^-1 (h2 - h1)),  h = (h1 + h2) / 2

h are the cells, s the stress (positive: pulled), dx what the atoms move beyond the strain e.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .examine import Sampled
from .settings import Settings


class Strained(NamedTuple):
    """Pairs of frames (P,) whose cells are strained against each other."""

    one: np.ndarray  # (P,) place of the first frame in the sample
    two: np.ndarray
    difference: np.ndarray  # (P,) E2 - E1, eV
    forces: np.ndarray  # (P,) their work, eV
    stretch: np.ndarray  # (P,) work of the stress xx, yy, zz, eV
    shear: np.ndarray  # (P, 3, 3) eV: that of the stress yz, xz, xy (last) for the strain yz, xz, xy
    volume: np.ndarray  # (P,) A^3


SHEARS = ((1, 2), (0, 2), (0, 1))  # yz, xz, xy
FLAT = 0.1  # volume of the cell between two, over that of the larger one: 1 where the strain is small


class _Kind(NamedTuple):
    """Frames (M,) of the same atoms in the same order."""

    cells: np.ndarray  # (M, 3, 3)
    volumes: np.ndarray  # (M,)
    inside: np.ndarray  # (M, A, 3) in units of the cell
    forces: np.ndarray  # (M, A, 3)
    energies: np.ndarray  # (M,)
    stress: np.ndarray  # (M, 3, 3)


def strained_pairs(sample: Sequence[Sampled], groups: np.ndarray, settings: Settings) -> Strained:
    """Compare all frames of a group (code of each, (N,)) with the same atoms whose cells differ, but not by much."""
    kinds: dict[tuple[bytes, int, int], list[int]] = {}
    for place, item in enumerate(sample):
        if item.stress is not None and item.atoms.pbc.all():
            kinds.setdefault((item.atoms.numbers.tobytes(), item.conditions, int(groups[place])), []).append(place)
    found = [pairs for alike in kinds.values() for pairs in _of_kind(sample, np.array(alike), settings)]
    nothing = Strained(*[np.zeros(0, dtype=np.int64)] * 2, *(np.zeros((0, *n)) for n in ((), (), (), (3, 3), ())))
    return Strained(*(np.concatenate(columns) for columns in zip(nothing, *found, strict=True)))


def _of_kind(sample: Sequence[Sampled], alike: np.ndarray, settings: Settings) -> list[Strained]:
    """Each frame of one kind, against those after it."""
    own = [sample[i] for i in alike]
    cells = np.array([item.atoms.cell.array for item in own])
    kind = _Kind(
        cells,
        np.abs(np.linalg.det(cells)),
        np.array([item.atoms.get_scaled_positions(wrap=False) for item in own]),
        np.array([item.forces for item in own]),
        np.array([item.energy for item in own]),
        np.array([item.stress for item in own]),
    )
    return [_near(kind, i, alike, settings) for i in range(len(alike) - 1)]


def _near(kind: _Kind, one: int, places: np.ndarray, settings: Settings) -> Strained:
    """A frame, and those after it that are near: strained by little, and with the atoms where the strain moves them."""
    two, middle, strain = _strains(kind, one)
    size = np.abs(strain).max(axis=(1, 2))
    near = (size >= settings.strain_least) & (size <= settings.strain_most)
    two, middle, strain = two[near], middle[near], strain[near]
    moved = kind.inside[two] - kind.inside[one]
    moved -= np.round(moved)
    moved = (moved - moved.mean(axis=1, keepdims=True)) @ middle
    still = np.linalg.norm(moved, axis=2).max(axis=1, initial=0.0) <= settings.strain_step
    two, strain, moved, volumes = two[still], strain[still], moved[still], kind.volumes
    stress = (volumes[one] * kind.stress[one] + volumes[two, None, None] * kind.stress[two]) / 2
    return Strained(
        np.full(len(two), places[one]),
        places[two],
        kind.energies[two] - kind.energies[one],
        -0.5 * np.einsum("mai,mai->m", kind.forces[one] + kind.forces[two], moved),
        np.einsum("mii,mii->m", strain, stress),
        2 * _shears(strain)[:, :, None] * _shears(stress)[:, None, :],
        (volumes[one] + volumes[two]) / 2,
    )


def _strains(kind: _Kind, one: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames after this one (M,), the cells between (M, 3, 3) and the strains; not of cells with other vectors.

    Where two vectors are exchanged, or one points the other way, the cell between has no volume.
    """
    two = np.arange(one + 1, len(kind.cells))
    middle = (kind.cells[one] + kind.cells[two]) / 2
    larger = np.maximum(kind.volumes[one], kind.volumes[two])
    alike = np.abs(np.linalg.det(middle)) > FLAT * larger
    two, middle = two[alike], middle[alike]
    gradient = np.linalg.solve(middle, kind.cells[two] - kind.cells[one])
    return two, middle, (gradient + gradient.transpose(0, 2, 1)) / 2


def _shears(matrices: np.ndarray) -> np.ndarray:
    return np.stack([matrices[:, a, b] for a, b in SHEARS], axis=1)


def work(pairs: Strained, order: Sequence[int]) -> np.ndarray:
    """Work of the stress (P,), eV, if its components yz, xz, xy are those at the places `order` among these."""
    return np.asarray(pairs.stretch + sum(pairs.shear[:, k, place] for k, place in enumerate(order)))
