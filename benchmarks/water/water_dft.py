"""The second source: liquid water with PBE0-TS labels, and real SCC noise on them.

Unconverged label = PBE0-TS label + (GFN1-xTB of an SCC stopped early - converged GFN1-xTB) of the same geometry.
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
SIZES = {"train": 240, "valid": 40, "test": 40}
PART = 16  # frames that are labelled, and kept, at a time


class Part(NamedTuple):
    """Some frames of the source, and the file of their labels."""

    first: int
    path: Path


def label_part(part: Part) -> None:
    """Label some frames in every way, as liquid_water.py does."""
    frames = read(SOURCE, f"{part.first}:{part.first + PART}")
    for atoms in frames:
        label(atoms, tuple(SEVERITIES))
    write_atomically(part.path, frames)


def dft_with_scc_noise(folder: Path, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames of each split with the DFT labels as the converged ones, and those of every severity."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [Part(first, folder / f"{first:03d}.xyz") for first in range(0, sum(SIZES.values()), PART)]
    run_missing(label_part, parts, processes, "SCC noise for the DFT frames")
    frames = [with_dft_labels(atoms) for part in parts for atoms in read(part.path, ":")]
    order = np.random.default_rng(1).permutation(len(frames))
    splits, start = {}, 0
    for split, count in SIZES.items():
        splits[split] = [frames[i] for i in order[start : start + count]]
        start += count
    return splits


def with_dft_labels(atoms: Atoms) -> Atoms:
    """The frame, its differences between GFN1-xTB calculations put on its DFT labels."""
    energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    for name in SEVERITIES:
        atoms.info[f"{name}_energy"] += energy - atoms.info["converged_energy"]
        atoms.arrays[f"{name}_forces"] += forces - atoms.arrays["converged_forces"]
    atoms.info.update(converged_energy=energy, trajectory=0)
    atoms.arrays["converged_forces"] = forces
    return atoms
