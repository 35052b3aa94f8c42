"""The configurations of the liquid, kept: a trajectory is another one on another machine, and so would all results be.

    python benchmarks/water/water_frames.py     # frames.npz, of those that run.py has made here

Labels are not kept. They are calculated anew, some minutes on two cores, and come out the same but for rounding.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import _water_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms
from ase.io import read
from liquid_water import SEVERITIES, LiquidSettings, isolated_atom_energies, label, run_missing
from make_water import DESCRIPTION_FILE, LABELLED_FILE, split_by_info, write_labelled
from training_files import write_atomically

FRAMES = Path(__file__).with_name("frames.npz")
PART = 10  # frames that are labelled, and kept, at a time


class Part(NamedTuple):
    """Some frames, and the file of their labels."""

    frames: list[Atoms]
    path: Path


def keep(frames: list[Atoms], settings: LiquidSettings, path: Path) -> None:
    """Write configurations, their splits and trajectories; coordinates in single precision (10^-6 A)."""
    np.savez_compressed(
        path,
        settings=json.dumps(asdict(settings)),
        positions=np.array([atoms.positions for atoms in frames], dtype=np.float32),
        edge=np.array([atoms.cell.lengths()[0] for atoms in frames]),
        split=np.array([atoms.info["split"] for atoms in frames]),
        trajectory=np.array([atoms.info["trajectory"] for atoms in frames]),
    )


def kept(settings: LiquidSettings, path: Path) -> list[Atoms]:
    """The configurations of these settings; none where those that are kept are of others."""
    if not path.exists():
        return []
    with np.load(path) as file:
        if json.loads(str(file["settings"])) != asdict(settings):
            return []
        columns = [file[name].tolist() for name in ("positions", "edge", "split", "trajectory")]
    frames = []
    for positions, edge, split, trajectory in zip(*columns, strict=True):
        atoms = Atoms("OHH" * (len(positions) // 3), positions=positions, cell=[edge] * 3, pbc=True)
        atoms.info.update(split=split, trajectory=trajectory)
        frames.append(atoms)
    return frames


def label_part(part: Part) -> None:
    """Give some frames all their labels."""
    for atoms in part.frames:
        label(atoms, tuple(SEVERITIES))
    write_atomically(part.path, part.frames)


def label_kept(settings: LiquidSettings, folder: Path, processes: int, path: Path = FRAMES) -> None:
    """Label the configurations that are kept, where make_labelled looks for them, unless that has been done.

    Does nothing where none of these settings are kept: make_labelled makes its own.
    """
    if (folder / DESCRIPTION_FILE).exists() or not (frames := kept(settings, path)):
        return
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        Part(frames[first : first + PART], folder / f"kept_{first:03d}.xyz") for first in range(0, len(frames), PART)
    ]
    run_missing(label_part, parts, processes, "labels of the frames that are kept", f"{PART} frames")
    labelled = [atoms for part in parts for atoms in read(part.path, ":")]
    write_labelled(settings, split_by_info(labelled), isolated_atom_energies(), tuple(SEVERITIES), folder)


def main() -> None:
    from water_cells import FULL  # which needs this module

    keep(read(FULL.work / "liquid" / LABELLED_FILE, ":"), FULL.liquid, FRAMES)


if __name__ == "__main__":
    main()
