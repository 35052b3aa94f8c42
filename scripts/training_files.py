"""The files of a training with a known share of wrong labels, and how files are written: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

SPLITS = ("train", "valid", "test")


def assign_labels(labelled: Iterable[Atoms], unconverged: np.ndarray) -> Iterator[Atoms]:
    """Copies of the frames with REF_energy (eV) and REF_forces (eV/Angstrom): the unconverged ones where told."""
    for atoms, bad in zip(labelled, unconverged, strict=True):
        prefix = "unconverged" if bad else "converged"
        frame = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        frame.info.update(
            REF_energy=atoms.info[f"{prefix}_energy"], unconverged=int(bad), trajectory=atoms.info["trajectory"]
        )
        frame.arrays["REF_forces"] = atoms.arrays[f"{prefix}_forces"]
        yield frame


def choose_unconverged(n_frames: int, share: float, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask with exactly round(share * n_frames) frames, drawn without replacement."""
    mask = np.zeros(n_frames, dtype=bool)
    mask[rng.choice(n_frames, size=round(share * n_frames), replace=False)] = True
    return mask


def write_atomically(path: Path, frames: list[Atoms]) -> None:
    """Write an extended xyz file that is either whole or absent."""
    temporary = path.with_name(path.name + ".tmp")
    write(temporary, frames, format="extxyz")
    os.replace(temporary, path)


def write_json_atomically(path: Path, content: dict) -> None:
    """Write a JSON file that is either whole or absent."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 of the content of files, in this order: whether a finished result is still that of its sources."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def write_training_files(labelled: dict[str, list[Atoms]], folder: Path, share: float, seed: int) -> None:
    """train.xyz, valid.xyz with bad labels; train_good.xyz, valid_good.xyz: their good frames; test.xyz: all good."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 15])
    for split in SPLITS:
        bad = choose_unconverged(len(labelled[split]), 0.0 if split == "test" else share, rng)
        frames = list(assign_labels(labelled[split], bad))
        write_atomically(folder / f"{split}.xyz", frames)
        if split != "test":
            good = [frame for frame in frames if not frame.info["unconverged"]]
            write_atomically(folder / f"{split}_good.xyz", good)
