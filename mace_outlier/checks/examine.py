"""What is kept of each frame: some 100 bytes, and how it agrees with the few frames before it. Runs in workers."""

import zlib
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from ase import Atoms

from .frame import Flag, Labels, elsewhere, labels_of, matrix_of
from .marks import force_marks, stress_marks
from .probes import Nearness, Probe, nearness_of
from .reading import Chunk
from .settings import Settings
from .shape import loneliest, shape_of
from .work import Compared, Points, compare

FRAME = np.dtype(
    [
        ("source", "i4"), ("frame", "i4"), ("atoms", "i4"), ("formula", "i4"), ("group", "i4"), ("flags", "u4"),
        ("conditions", "u4"),  # code of charge and spin
        ("energy", "f8"),  # eV
        ("net_force", "f4"), ("net_torque", "f4"),  # eV/A: the error of each force that would do it
        ("rms_force", "f4"), ("max_force", "f4"),  # eV/A
        ("nearest", "f4"), ("ratio", "f4"), ("volume", "f4"),  # see Shape
        ("alone", "f4"), ("alone_force", "f4"),  # A, eV/A: see `loneliest`
        ("fingerprint", "f4", (5,)),
        ("force_marks", "f4", (4,)), ("stress_marks", "f4", (3,)),  # eV/A, eV/A^3: see `marks`
    ]
)  # fmt: skip
LINK = np.dtype(
    [("one", "i4"), ("two", "i4"), ("step", "f4"), ("difference", "f4"), ("work", "f4"), ("bound", "f4")]
)  # rows of two frames of a file, and what `work.compare` says of them
CONDITIONS = ("total_charge", "total_spin")
UNUSABLE = Flag.BAD_POSITIONS | Flag.NO_CELL


class Sampled(NamedTuple):
    """A frame that is held, to be compared with frames of other places."""

    source: int
    frame: int
    atoms: Atoms  # without labels
    forces: np.ndarray
    energy: float
    formula: str
    group: str
    conditions: int
    stress: np.ndarray | None  # (3, 3) eV/A^3


class Examined(NamedTuple):
    """What a worker sends back of a chunk; formulas and groups are texts by the numbers in the records."""

    frames: np.ndarray
    links: np.ndarray
    formulas: list[str]
    groups: list[str]
    elsewhere: Counter[tuple[str, str]]
    elements: Counter[int]  # frames with each element
    sample: list[Sampled]
    nearness: Nearness | None  # of the probes that it was compared with


class _Recent:
    """A frame that later ones are compared with; frames of the same kind differ in their positions only."""

    def __init__(self, frame: int, atoms: Atoms, labels: Labels, code: int) -> None:
        self.frame, self.settled = frame, False
        self.positions, self.forces, self.energy = atoms.positions, labels.forces, labels.energy
        self.pbc, self.cell = atoms.pbc, atoms.cell.complete().array
        self.kind = (code, atoms.numbers.tobytes(), atoms.pbc.tobytes(), np.round(atoms.cell.array * 1e4).tobytes())


def examine(chunk: Chunk, keys: Mapping[str, str], settings: Settings, probes: Sequence[Probe] = ()) -> Examined:
    """Examine a chunk; raises ValueError for what can't be read."""
    formulas, groups = _Texts(), _Texts()
    found: Counter[tuple[str, str]] = Counter()
    elements: Counter[int] = Counter()
    recent: deque[_Recent] = deque(maxlen=settings.back)
    records, links, sample, compared = [], [], [], []
    for frame, atoms in enumerate(chunk.frames(), start=chunk.start - chunk.before):
        labels = labels_of(atoms, keys)
        code = zlib.crc32(repr([atoms.info.get(keys[name]) for name in CONDITIONS]).encode())
        own = frame >= chunk.start  # the others were examined with the chunk before
        formula = _formula(atoms.numbers.tobytes(), atoms.numbers.dtype.str)
        group = str(atoms.info.get("config_type", "Default"))
        if own:
            texts = formulas.number(formula), groups.number(group)
            records.append((chunk.source, frame, len(atoms), *texts, *_record(atoms, labels, code, settings)))
            found.update(elsewhere(atoms) if labels.flags & (Flag.NO_ENERGY | Flag.NO_FORCES) else ())
            elements.update(set(atoms.numbers.tolist()))
            compared += [atoms] if probes else []
        if labels.forces is None or np.isnan(labels.energy) or labels.flags & UNUSABLE or len(atoms) < 2:
            continue
        now = _Recent(frame, atoms, labels, code)
        links += _links(now, recent, settings) if own else []
        recent.appendleft(now)
        if chunk.sampled and own:
            bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            own_labels = labels.forces, labels.energy, formula, group, code, matrix_of(labels.stress)
            sample.append(Sampled(chunk.source, frame, bare, *own_labels))
    return Examined(
        np.array(records, dtype=FRAME),
        np.array(links, dtype=LINK),
        list(formulas),
        list(groups),
        found,
        elements,
        sample,
        nearness_of(compared, probes, settings) if probes else None,
    )


class _Texts(dict[str, int]):
    """Numbers for texts, in the order in which they come."""

    def number(self, text: str) -> int:
        return self.setdefault(text, len(self))


@lru_cache(maxsize=10_000)
def _formula(numbers: bytes, kind: str) -> str:
    return str(Atoms(np.frombuffer(numbers, kind)).symbols.formula.format("hill"))


def _record(atoms: Atoms, labels: Labels, code: int, settings: Settings) -> tuple:
    """Flags and numbers of a frame, in the order of FRAME."""
    flags, forces = labels.flags, labels.forces
    if flags & UNUSABLE:
        return (int(flags), code, labels.energy, *[np.nan] * 9, *((np.nan,) * count for count in (5, 4, 3)))
    shape = shape_of(atoms, settings, symmetry=bool(flags & (Flag.ZERO_FORCES)))
    if shape.symmetric:
        flags &= ~Flag.ZERO_FORCES
    net = torque = rms = largest = lonely = lonely_force = np.nan
    marks, stress = np.full(4, np.nan), matrix_of(labels.stress)
    if forces is not None and len(atoms) > 1:
        squares = (forces**2).sum(axis=1)
        net = float(np.linalg.norm(forces.sum(axis=0))) / np.sqrt(len(atoms))
        marks = force_marks(atoms.numbers, shape.pairs, forces)
        rms, largest = float(np.sqrt(squares.mean() / 3)), float(np.sqrt(squares.max()))
        lonely, lonely_force = loneliest(atoms, shape.pairs, np.sqrt(squares), settings)
        if not atoms.pbc.any():
            arm = atoms.positions - atoms.positions.mean(axis=0)
            torque = float(np.linalg.norm(np.cross(arm, forces).sum(axis=0))) / np.sqrt(max((arm**2).sum(), 1e-12))
        if flags & Flag.SOME_ZERO and net < settings.drift:
            flags &= ~Flag.SOME_ZERO  # by symmetry
    of_stress = stress_marks(atoms.numbers, shape.pairs, stress) if stress is not None else np.full(3, np.nan)
    numbers = (net, torque, rms, largest, shape.nearest, shape.ratio, shape.volume, lonely, lonely_force)
    return (int(flags), code, labels.energy, *numbers, *map(tuple, (shape.fingerprint, marks, of_stress)))


def _links(now: _Recent, recent: deque[_Recent], settings: Settings) -> list[tuple]:
    """Compare a frame with those before it, until it agrees with one; with those that agree with none in any case."""
    alike = [before for before in recent if before.kind == now.kind]
    if not alike:
        return []
    first = Points(now.positions[None], np.asarray(now.forces)[None], np.array([now.energy]))
    others = Points(
        np.array([before.positions for before in alike]),
        np.array([before.forces for before in alike]),
        np.array([before.energy for before in alike]),
    )
    pair = compare(first, others, now.cell, now.pbc, settings.morse)
    agreed = agree(pair, len(now.positions), settings)
    links = []
    for i, before in enumerate(alike):
        if pair.step[i] > settings.step or (before.settled and now.settled):
            continue
        links.append((before.frame, now.frame, pair.step[i], -pair.difference[i], -pair.work[i], pair.bound[i]))
        if agreed[i]:
            before.settled = now.settled = True
    return links


def agree(pair: Compared, atoms: int, settings: Settings) -> np.ndarray:
    """Tell which energies and works agree so closely that it says something, (M,) boolean."""
    floor = settings.converged * atoms
    tolerance = settings.bound * pair.bound + floor
    return (np.abs(pair.difference - pair.work) <= tolerance) & (tolerance <= settings.informative * floor)
