"""Water clusters with converged and unconverged labels: a data set whose wrong labels are known.

Configurations come from GFN2-xTB molecular dynamics of (H2O)n. A seeded share of the training and validation frames
carries the labels of an SCC calculation that was stopped too early; the test frames never do. `info["unconverged"]`
(0 or 1) records which, and nothing that MACE reads does (config_type stays the default).

    python scripts/make_water.py --out build/water

writes train.xyz, valid.xyz, test.xyz, the oracle's train_good.xyz and valid_good.xyz (good frames only),
labelled.xyz (every frame with both labels) and data.json (settings, versions, E0s, how wrong the bad labels are).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from water_clusters import WaterSettings, isolated_atom_energies, labelled_splits

SPLITS = ("train", "valid", "test")
LABELLED_FILE = "labelled.xyz"
DESCRIPTION_FILE = "data.json"


# --- which frames are bad ---------------------------------------------------------------------------------------


def assign_labels(labelled: Iterable[Atoms], unconverged: np.ndarray) -> Iterator[Atoms]:
    """Copies of the frames with REF_energy (eV) and REF_forces (eV/Angstrom): the unconverged ones where told."""
    for atoms, bad in zip(labelled, unconverged, strict=True):
        prefix = "unconverged" if bad else "converged"
        frame = Atoms(atoms.symbols, positions=atoms.positions)
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
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)


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


# --- the data folder --------------------------------------------------------------------------------------------


def severity(frames: list[Atoms]) -> dict[str, float]:
    """How wrong the unconverged labels are: energy shift in meV/atom, force components' RMS in meV/Angstrom."""
    shifts = [(a.info["unconverged_energy"] - a.info["converged_energy"]) / len(a) for a in frames]
    forces = [a.arrays["unconverged_forces"] - a.arrays["converged_forces"] for a in frames]
    return {
        "mean_energy_shift_meV_per_atom": 1e3 * float(np.mean(shifts)),
        "std_energy_shift_meV_per_atom": 1e3 * float(np.std(shifts)),
        "force_rms_meV_per_A": 1e3 * float(np.sqrt(np.mean(np.square(forces)))),
    }


def versions() -> dict[str, str]:
    """Versions that the labels depend on."""
    packages = {name: version(name) for name in ("numpy", "ase", "tblite")}
    return {"python": platform.python_version(), **packages}


def make_labelled(settings: WaterSettings, folder: Path, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames with both labels, from `folder` if it holds those of the same settings, else computed and kept there."""
    description, labelled_path = folder / DESCRIPTION_FILE, folder / LABELLED_FILE
    if description.exists() and json.loads(description.read_text())["settings"] == asdict(settings):
        return split_by_info(read(labelled_path, ":"))
    folder.mkdir(parents=True, exist_ok=True)
    description.unlink(missing_ok=True)
    e0s = isolated_atom_energies()
    splits = labelled_splits(settings, processes)
    for split, frames in splits.items():
        for atoms in frames:
            atoms.info["split"] = split
    frames = [atoms for split in SPLITS for atoms in splits[split]]
    write_atomically(labelled_path, frames)
    # Written last: a folder with this file is complete.
    write_json_atomically(
        description,
        {"settings": asdict(settings), "versions": versions(), "E0s_eV": e0s, "severity": severity(frames)},
    )
    return split_by_info(read(labelled_path, ":"))  # as a later run reads them: the same digits


def split_by_info(frames: list[Atoms]) -> dict[str, list[Atoms]]:
    """Group frames by their info entry `split`, order kept."""
    return {split: [atoms for atoms in frames if atoms.info["split"] == split] for split in SPLITS}


def parse_arguments() -> argparse.Namespace:
    """Command line: every field of WaterSettings is a flag."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--share", type=float, default=0.15, help="share of unconverged training and validation labels")
    parser.add_argument("--bad_seed", type=int, default=1, help="seed that chooses which frames are unconverged")
    parser.add_argument("--processes", type=int, default=2, help="trajectories at a time")
    for name, value in asdict(WaterSettings()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"default {value}")
    return parser.parse_args()


def main() -> None:
    """Make the data folder."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start: each of them is one thread
    options = vars(parse_arguments())
    out, share, bad_seed, processes = (options.pop(name) for name in ("out", "share", "bad_seed", "processes"))
    labelled = make_labelled(WaterSettings(**options), out, processes)
    write_training_files(labelled, out, share, bad_seed)
    print((out / DESCRIPTION_FILE).read_text())


if __name__ == "__main__":
    main()
