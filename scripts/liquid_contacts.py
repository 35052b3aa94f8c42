"""Molecules of liquid water closer to one another than they come by themselves: what a model must not let happen.

The liquid itself has no oxygens closer than 2.4 Angstrom. A model that learned from it alone may have no barrier there,
and let molecules fuse.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from liquid_boxes import distances, to_nearest_image

CONTACTS = 3  # pairs of molecules of each frame
NEIGHBOURS = 3.6  # oxygens of a pair, before
PUSHED = (2.0, 2.45)  # ... and after, Angstrom
ROOM = {(1, 1): 1.1, (1, 8): 1.2}  # of all other atoms of two molecules, at least


def push_together(box: Atoms, rng: np.random.Generator, contacts: int = CONTACTS) -> Atoms:
    """Return the molecules (in the order O, H, H) of a cubic box, some neighbours moved towards each other as they are.

    Both oxygens of a pair move by half the way along the line between them. Pairs are drawn, and kept where no other
    atoms get too close; no molecule is in two of them.
    """
    length, places = box.cell.lengths()[0], box.positions.reshape(-1, 3, 3).copy()
    first, second = np.triu_indices(len(places), 1)
    way = to_nearest_image(places[second, 0] - places[first, 0], length)
    apart = np.linalg.norm(way, axis=1)
    moved: set[int] = set()
    for pair in rng.permutation(np.flatnonzero((apart < NEIGHBOURS) & (apart > PUSHED[1]))):
        one, other = int(first[pair]), int(second[pair])
        if len(moved) == 2 * contacts:
            break
        if moved & {one, other}:
            continue
        by = 0.5 * (1 - rng.uniform(*PUSHED) / apart[pair]) * way[pair]
        trial = places.copy()
        trial[one] += by
        trial[other] -= by
        if _has_room(box, trial, one) and _has_room(box, trial, other):
            places, moved = trial, moved | {one, other}
    return Atoms(box.symbols, positions=places.reshape(-1, 3), cell=box.cell, pbc=True)


def _has_room(box: Atoms, places: np.ndarray, own: int) -> bool:
    """Whether a molecule of those at places (M, 3, 3) is far enough from all others, their oxygens as far as PUSHED."""
    others = np.delete(places, own, axis=0)
    apart = distances(box, places[own], others.reshape(-1, 3)).reshape(3, -1, 3)  # its atoms, molecules, their atoms
    mixed = min(apart[1:, :, 0].min(), apart[0, :, 1:].min())
    hydrogens, oxygens = apart[1:, :, 1:].min(), apart[0, :, 0].min()
    return bool(hydrogens > ROOM[1, 1] and mixed > ROOM[1, 8] and oxygens > PUSHED[0] - 1e-6)
