"""What is prepared of a SPICE file: which molecules, in which split and shard. The same for any number of workers.

A molecule is in one split, with all of its conformations. Groups are one molecule if they have the same SMILES without
atom map, stereo marks and the order of its parts: conformers, enantiomers, cis and trans isomers stay together. Without
SMILES, a group is a molecule. Two SMILES of one molecule that begin at different atoms are not recognised (that would
need a cheminformatics toolkit): SPICE writes canonical ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ase.data import atomic_numbers, chemical_symbols
from spice_reading import Molecule

SPLITS = ("train", "valid", "test")


class Piece(NamedTuple):
    """Consecutive conformations of a molecule."""

    molecule: Molecule
    start: int
    stop: int


class Shard(NamedTuple):
    """What goes into one file."""

    name: str  # without suffix; MACE takes the files of --test_dir whose names end with _test.h5
    split: str
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Number of conformations, before any is left out."""
        return sum(piece.stop - piece.start for piece in self.pieces)


# --- which molecules --------------------------------------------------------------------------------------------------


def choose(molecules: Iterable[Molecule], subsets: Sequence[str], elements: Sequence[str]) -> list[Molecule]:
    """Keep the molecules of subsets with one of these texts in their names, that have none but these elements.

    Raises:
        ValueError: there is no such subset or element, or nothing is left.
    """
    molecules = list(molecules)
    names = sorted({molecule.subset for molecule in molecules})
    for text in subsets:
        if not any(text.lower() in name.lower() for name in names):
            raise ValueError(f"--subsets {text!r}: no subset has this in its name; there are: {', '.join(names)}")
    for symbol in elements:
        if symbol not in atomic_numbers:
            raise ValueError(f"--elements {symbol}: there is no such element; give symbols, as in --elements H C N O")
    allowed = {atomic_numbers[symbol] for symbol in elements}
    kept = [
        molecule
        for molecule in molecules
        if (not subsets or any(text.lower() in molecule.subset.lower() for text in subsets))
        and (not allowed or molecule.elements <= allowed)
    ]
    if not kept:
        present = sorted({number for molecule in molecules for number in molecule.elements})
        raise ValueError(
            "no molecule is left by --subsets and --elements: the file has the elements "
            + " ".join(chemical_symbols[number] for number in present)
        )
    return kept


def limit(molecules: Sequence[Molecule], most: int | None, seed: int) -> list[Molecule]:
    """Take molecules at random until there are `most` conformations; the last one may lose some."""
    if most is None:
        return list(molecules)
    taken: list[Molecule] = []
    left = most
    for molecule in sorted(molecules, key=lambda m: (draw(f"{seed}:limit:{molecule_key(m)}"), m.group)):
        if left > 0:
            taken.append(replace(molecule, conformations=min(left, molecule.conformations)))
            left -= molecule.conformations
    return taken


# --- which split ------------------------------------------------------------------------------------------------------


def molecule_key(molecule: Molecule) -> str:
    """What groups of the same molecule share; see the head of this file."""
    smiles = re.sub(r":\d+\]", "]", molecule.smiles)
    parts = re.sub(r"[@/\\]", "", smiles).split(".")
    return ".".join(sorted(parts)) if molecule.smiles else f"group {molecule.group}"


def draw(text: str) -> float:
    """A number in [0, 1) that depends on the text only, on any machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def split_of(number: float, valid: float, test: float) -> str:
    """The split that a number in [0, 1) falls into."""
    if number < test:
        return "test"
    return "valid" if number < test + valid else "train"


def assign(molecules: Iterable[Molecule], valid: float, test: float, seed: int) -> dict[str, list[Molecule]]:
    """Distribute molecules over splits, each in random order.

    What split a molecule falls into follows from seed and molecule alone: it stays there whatever else is prepared.

    Raises:
        ValueError: a split that was asked for has no molecule.
    """
    drawn = sorted((draw(f"{seed}:{molecule_key(molecule)}"), molecule.group, molecule) for molecule in molecules)
    splits: dict[str, list[Molecule]] = {split: [] for split in SPLITS}
    for number, _, molecule in drawn:
        splits[split_of(number, valid, test)].append(molecule)
    for split, share in (("train", 1.0 - valid - test), ("valid", valid), ("test", test)):
        if share > 0 and not splits[split]:
            raise ValueError(
                f"none of {len(drawn)} molecules falls into the {split} split with --valid {valid} --test {test}: "
                "change these shares, choose another --seed, or prepare more molecules"
            )
    return splits


# --- which shard ------------------------------------------------------------------------------------------------------


def shards_of(split: str, molecules: Sequence[Molecule], size: int) -> Iterator[Shard]:
    """Cut a split into shards of `size` conformations; the last one has what is left."""
    pieces: list[Piece] = []
    number, room = 0, size
    for molecule in molecules:
        start = 0
        while start < molecule.conformations:
            stop = min(molecule.conformations, start + room)
            pieces.append(Piece(molecule, start, stop))
            room -= stop - start
            start = stop
            if room == 0:
                yield Shard(f"{number:05d}_{split}", split, tuple(pieces))
                pieces, number, room = [], number + 1, size
    if pieces:
        yield Shard(f"{number:05d}_{split}", split, tuple(pieces))


def digest(shards: Iterable[Shard]) -> str:
    """A number that changes with the molecules, their order or their shards."""
    total = hashlib.sha256()
    for shard in shards:
        total.update(repr(shard).encode())
    return total.hexdigest()
