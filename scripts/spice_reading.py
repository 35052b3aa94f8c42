"""SPICE's HDF5 files: one group for each molecule, in atomic units. Versions 1 and 2, and files of the same schema.

A group holds `atomic_numbers` (A,), `conformations` (C, A, 3) in bohr, energies (C,) in hartree and gradients (C, A, 3)
in hartree/bohr under names that you choose, and `smiles` and `subset`: one text each, an array of one, a scalar or an
attribute. A charge (`total_charge` or `charge`: one for the molecule, or one for each conformation) is read where
a file has one; SPICE's own files don't, but in the SMILES.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from ase.units import Bohr, Hartree

UNITS = {"conformations": "bohr", "energy": "hartree", "gradient": "hartree/bohr"}
CHARGES = ("total_charge", "charge")


class Labels(NamedTuple):
    """The names of the datasets that hold the labels."""

    energy: str
    gradient: str


@dataclass(frozen=True)
class Molecule:
    """One group of the file."""

    group: str
    smiles: str  # empty where the file has none
    subset: str
    conformations: int  # how many are used: the first ones
    composition: tuple[tuple[int, int], ...]  # (atomic number, how many atoms), sorted
    labels: tuple[bool, bool]  # has it energies, and gradients?

    @property
    def elements(self) -> set[int]:
        """Atomic numbers."""
        return {number for number, _ in self.composition}


class Block(NamedTuple):
    """Consecutive conformations of one molecule, in eV and Angstrom; None for labels that the file doesn't have."""

    numbers: np.ndarray  # (A,)
    positions: np.ndarray  # (C, A, 3)
    energies: np.ndarray | None  # (C,)
    forces: np.ndarray | None  # (C, A, 3)
    charges: np.ndarray | None  # (C,)


@contextmanager
def open_spice(path: Path) -> Iterator[h5py.File]:
    """Open a file to read it.

    Raises:
        ValueError: it is missing, cut short, or not HDF5.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    with _complete(str(path)):
        file = h5py.File(path, "r")
    with file:
        yield file


@contextmanager
def _complete(what: str) -> Iterator[None]:
    """Name what can't be read of a damaged file."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises both
        raise ValueError(f"{what} can't be read as HDF5 ({error}): is the download complete?") from error


# --- what is there ----------------------------------------------------------------------------------------------------


def scan(file: h5py.File, labels: Labels) -> Iterator[Molecule]:
    """Yield the molecules of a file that have conformations, in the order of their names; reads no label.

    Raises:
        ValueError: it is no file of SPICE's schema, or in other units, or has not one of these labels.
    """
    found, present = np.zeros(2, dtype=int), Counter[str]()
    for name in file:
        with _complete(f"{file.filename}: molecule {name!r}"):
            molecule = _examine(file, name, labels)
            present.update(file[name].keys())
        found += molecule.labels
        if molecule.conformations:
            yield molecule
    if not present:
        raise ValueError(f"{file.filename}: it has no molecules: the file is empty")
    for flag, key, count in zip(labels._fields, labels, found, strict=True):
        if not count:
            known = ", ".join(sorted(present))
            raise ValueError(f"{file.filename}: no molecule has the dataset {key!r} (--{flag}); there are: {known}")


def _examine(file: h5py.File, name: str, labels: Labels) -> Molecule:
    """Read what one group is, and check its shapes and units."""
    group, where = file[name], f"{file.filename}: molecule {name!r}"
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{where} is a {type(group).__name__.lower()}: in SPICE's schema each molecule is a group")
    for key in ("atomic_numbers", "conformations"):
        if key not in group:
            raise ValueError(f"{where} has no {key!r}: this is not SPICE's schema; it has: {', '.join(group) or '-'}")
    numbers = group["atomic_numbers"][()]
    count = group["conformations"].shape[0]
    expected = {"conformations": (count, len(numbers), 3), labels.energy: (count,)}
    expected[labels.gradient] = expected["conformations"]
    for key, unit in zip(expected, UNITS.values(), strict=True):
        if key in group and count:  # SPICE writes (0,) for a molecule that lost all of its conformations
            _check(group[key], f"{where}, {key!r}", expected[key], unit)
    composition = tuple(sorted(Counter(numbers.tolist()).items()))
    has = (labels.energy in group, labels.gradient in group)
    return Molecule(name, _text(group, "smiles", ""), _text(group, "subset", "Default"), count, composition, has)


def _check(dataset: h5py.Dataset, where: str, shape: tuple[int, ...], unit: str) -> None:
    if dataset.shape != shape:
        raise ValueError(f"{where} has the shape {dataset.shape} where {shape} is needed: the file is damaged")
    written = dataset.attrs.get("units", unit)
    written = written.decode() if isinstance(written, bytes) else str(written)
    if written.lower() != unit:
        raise ValueError(f"{where} is in {written}; this script converts from {unit}: convert the file first")


def _text(group: h5py.Group, key: str, default: str) -> str:
    """A text, whether it is an array of one, a scalar or an attribute."""
    if key not in group and key not in group.attrs:
        return default
    value: Any = group[key][()] if key in group else group.attrs[key]
    values = np.atleast_1d(value)
    value = values[0] if len(values) else default
    return value.decode() if isinstance(value, bytes) else str(value)


# --- conformations ----------------------------------------------------------------------------------------------------


def read_block(file: h5py.File, molecule: Molecule, labels: Labels, start: int, stop: int) -> Block:
    """Read conformations `start` to `stop` (without it) of a molecule; forces are minus the gradient."""
    with _complete(f"{file.filename}: molecule {molecule.group!r}"):
        group = file[molecule.group]
        energies, gradients = (_rows(group, key, start, stop) for key in labels)
        return Block(
            numbers=group["atomic_numbers"][()].astype(int),
            positions=group["conformations"][start:stop].astype(float) * Bohr,
            energies=None if energies is None else energies * Hartree,
            forces=None if gradients is None else -gradients * (Hartree / Bohr),
            charges=_charges(group, start, stop),
        )


def _rows(group: h5py.Group, key: str, start: int, stop: int) -> np.ndarray | None:
    return group[key][start:stop].astype(float) if key in group else None


def _charges(group: h5py.Group, start: int, stop: int) -> np.ndarray | None:
    """Charges (C,) of the conformations, in units of the elementary charge."""
    count = len(group["conformations"])
    for key in CHARGES:
        if key not in group and key not in group.attrs:
            continue
        values = np.asarray(group[key][()] if key in group else group.attrs[key], dtype=float).reshape(-1)
        if len(values) not in (1, count):
            raise ValueError(
                f"{group.file.filename}: molecule {group.name[1:]!r} has {len(values)} values of {key!r}: there must "
                f"be one, or one for each of its {count} conformations"
            )
        return np.broadcast_to(values, count)[start:stop]
    return None
