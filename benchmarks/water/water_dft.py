"""The second source: liquid water with PBE0-TS labels, and real SCC noise on them.

Unconverged label = PBE0-TS label + (GFN1-xTB of an SCC stopped early - converged GFN1-xTB) of the same geometry, at a
severity that is drawn for each frame. Only frames that may get one are labelled: those of the test set keep their own.
"""

from pathlib import Path
from typing import NamedTuple

import _water_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms
from ase.io import read
from demo_arms import REPOSITORY
from liquid_water import SEVERITIES, label, run_missing
from training_files import write_atomically

SOURCE = REPOSITORY.parent / "shared" / "data" / "water_pbe0ts.xyz"
SIZES = {"train": 160, "valid": 30, "test": 40}
PART = 10  # frames that are labelled, and kept, at a time


class Part(NamedTuple):
    """Some frames of the source, and the file of their labels."""

    frames: tuple[int, ...]
    path: Path


def label_part(part: Part) -> None:
    """Give some frames both labels."""
    source = read(SOURCE, ":")
    frames = [source[i] for i in part.frames]
    for number, atoms in zip(part.frames, frames, strict=True):
        severity = str(np.random.default_rng([number, 17]).choice(list(SEVERITIES)))
        label(atoms, (severity,))
        put_on_dft_labels(atoms, severity)
    write_atomically(part.path, frames)


def put_on_dft_labels(atoms: Atoms, severity: str) -> None:
    """Make the DFT label the converged one, and put the difference of the two GFN1-xTB calculations on it."""
    energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    atoms.info["unconverged_energy"] = energy + atoms.info.pop(f"{severity}_energy") - atoms.info["converged_energy"]
    atoms.arrays["unconverged_forces"] = (
        forces + atoms.arrays.pop(f"{severity}_forces") - atoms.arrays["converged_forces"]
    )
    keep_dft_labels(atoms)
    atoms.info["severity"] = severity


def keep_dft_labels(atoms: Atoms) -> None:
    """Make the DFT label the converged one."""
    atoms.info.update(converged_energy=atoms.info["REF_energy"], trajectory=0)
    atoms.arrays["converged_forces"] = atoms.arrays["REF_forces"]


def dft_with_scc_noise(folder: Path, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames of each split with the DFT labels as the converged ones; those that may be bad with both."""
    folder.mkdir(parents=True, exist_ok=True)
    source = read(SOURCE, ":")
    order = iter(np.random.default_rng(1).permutation(len(source)).tolist())
    chosen = {split: [next(order) for _ in range(count)] for split, count in SIZES.items()}
    splits = {"test": [source[i] for i in chosen.pop("test")]}
    for atoms in splits["test"]:
        keep_dft_labels(atoms)
    for split, numbers in chosen.items():
        parts = [
            Part(tuple(numbers[first : first + PART]), folder / f"{split}_{first:03d}.xyz")
            for first in range(0, len(numbers), PART)
        ]
        run_missing(label_part, parts, processes, f"SCC noise for the DFT frames, {split}")
        splits[split] = [atoms for part in parts for atoms in read(part.path, ":")]
    return {split: splits[split] for split in SIZES}
