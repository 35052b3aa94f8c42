"""Validation frames that are held while training files are read: how near their nearest training frames are.

The root mean square displacement of atoms, molecules turned onto each other, nearest images of periodic ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .inputs import TRAIN, VALID, Inputs, Source
from .reading import chunks
from .settings import Settings
from .work import Points, nearest_images, turned_back


class Probe(NamedTuple):
    """A frame that training frames of the same atoms are compared with."""

    head: str
    path: str
    atoms: Atoms  # without labels
    itself: bool  # whether it is a training frame, one of which validation frames are to be taken


@dataclass
class Nearness:
    """Distances of P probes from all training frames so far, Angstrom."""

    nearest: np.ndarray  # (P, K) the smallest, in order; inf where there are fewer
    total: np.ndarray  # (P,) sum
    count: np.ndarray  # (P,)

    @classmethod
    def nothing(cls, probes: int, settings: Settings) -> "Nearness":
        """Before any frame."""
        nearest = np.full((probes, settings.probe_nearest + 1), np.inf)  # one may be the frame itself
        return cls(nearest, np.zeros(probes), np.zeros(probes, dtype=np.int64))

    def add(self, probe: int, distances: np.ndarray) -> None:
        """Take in the distances of a probe from some frames."""
        size = self.nearest.shape[1]
        self.nearest[probe] = np.sort(np.concatenate([self.nearest[probe], distances]))[:size]
        self.total[probe] += distances.sum()
        self.count[probe] += len(distances)

    def merge(self, other: "Nearness", probes: Sequence[int]) -> None:
        """Take in what was seen of these probes among other frames."""
        both = np.concatenate([self.nearest[probes], other.nearest], axis=1)
        self.nearest[probes] = np.sort(both, axis=1)[:, : self.nearest.shape[1]]
        self.total[probes] += other.total
        self.count[probes] += other.count


def probes_of(inputs: Inputs, settings: Settings) -> list[Probe]:
    """Take frames from the beginning of the first validation file of each head.

    Of a training without validation file, of its first training file: `--valid_fraction` takes them from there.
    """
    found = []
    for head in dict.fromkeys(source.head for source in inputs.sources):
        own = [source for source in inputs.sources if source.head == head]
        files = [source for source in own if source.role == VALID]
        training = [source for source in own if source.role == TRAIN]
        if training and (files or inputs.training):
            found += _of_file((files or training)[0], not files, settings)
    return found


def _of_file(source: Source, itself: bool, settings: Settings) -> list[Probe]:
    chunk = next(chunks(0, source.path, settings.chunk, 0), None)
    frames = [atoms for atoms in chunk.frames() if usable(atoms, settings)] if chunk else []
    count = min(len(frames), settings.probes)
    places = np.linspace(0, len(frames) - 1, count).astype(int)
    return [Probe(source.head, source.path, bare(frames[i]), itself) for i in places]


def probes_for(source: Source, probes: Sequence[Probe]) -> list[int]:
    """Numbers of the probes that frames of a file are compared with: those of its head, where it is for training."""
    return [i for i, probe in enumerate(probes) if source.role == TRAIN and probe.head == source.head]


def usable(atoms: Atoms, settings: Settings) -> bool:
    """Whether distances from a frame say something: neither very few atoms, nor positions or a cell that are none."""
    if len(atoms) < settings.probe_atoms or not np.isfinite(atoms.positions).all():
        return False
    return not atoms.pbc.any() or abs(np.linalg.det(atoms.cell.complete().array)) > 0


def bare(atoms: Atoms) -> Atoms:
    """A frame without labels."""
    return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def nearness_of(frames: Sequence[Atoms], probes: Sequence[Probe], settings: Settings) -> Nearness:
    """Compare probes with the frames of the same atoms in the same order."""
    result = Nearness.nothing(len(probes), settings)
    wanted = {_kind(probe.atoms) for probe in probes}
    alike: dict[tuple[bytes, bytes], list[Atoms]] = {kind: [] for kind in wanted}
    for atoms in frames:
        if (kind := _kind(atoms)) in wanted and usable(atoms, settings):
            alike[kind].append(atoms)
    for number, probe in enumerate(probes):
        if alike[_kind(probe.atoms)]:
            result.add(number, distances(probe.atoms, alike[_kind(probe.atoms)]))
    return result


def _kind(atoms: Atoms) -> tuple[bytes, bytes]:
    return atoms.numbers.astype(np.int16).tobytes(), atoms.pbc.tobytes()


def distances(first: Atoms, others: Sequence[Atoms]) -> np.ndarray:
    """Root mean square displacement between a frame and others of the same atoms, (M,), in the cell of the first."""
    if first.pbc.any():
        cell = first.cell.complete().array
        inside = [np.linalg.solve(atoms.cell.complete().array.T, atoms.positions.T).T for atoms in others]
        moved = nearest_images(np.array(inside) @ cell - first.positions, cell, first.pbc)
        moved -= moved.mean(axis=1, keepdims=True)
    else:
        positions = np.array([atoms.positions for atoms in others])
        moved, _ = turned_back(first.positions, Points(positions, positions, np.zeros(len(others))))
    return np.asarray(np.sqrt((moved**2).sum(axis=2).mean(axis=1)))
