"""Water with converged and unconverged labels: a data set whose wrong labels are known.

Configurations come from GFN2-xTB molecular dynamics of clusters (H2O)n, or are periodic liquid water (GFN1-xTB). A
seeded share of the training and validation frames carries the labels of an SCC calculation that was stopped too early;
the test frames never do. `info["unconverged"]` (0 or 1) records which, and nothing that MACE reads does (config_type
stays the default).

    python scripts/make_water.py --out build/water                      # clusters, about two minutes on two cores
    python scripts/make_water.py --out build/liquid --system liquid     # about two hours; goes on where it was cut

writes train.xyz, valid.xyz, test.xyz, the oracle's train_good.xyz and valid_good.xyz (good frames only),
labelled.xyz (every frame with all its labels) and data.json (settings, versions, E0s, how wrong the bad labels are).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and tblite are loaded: each process is one thread

import liquid_water
import numpy as np
import water_clusters
from ase import Atoms
from ase.io import read
from liquid_water import MIXED, SEVERITIES, LiquidSettings, choose_severity
from training_files import SPLITS, write_atomically, write_json_atomically, write_training_files
from water_clusters import WaterSettings

LABELLED_FILE = "labelled.xyz"
DESCRIPTION_FILE = "data.json"


class System(NamedTuple):
    """A kind of water that can be made."""

    settings: type[WaterSettings] | type[LiquidSettings]
    splits: Callable[..., dict[str, list[Atoms]]]  # of settings, folder, processes
    isolated_atom_energies: Callable[[], dict[int, float]]
    wrong: tuple[str, ...]  # names of the labels beside the converged ones


SYSTEMS = {
    "clusters": System(
        WaterSettings,
        lambda settings, folder, processes: water_clusters.labelled_splits(settings, processes),
        water_clusters.isolated_atom_energies,
        ("unconverged",),
    ),
    "liquid": System(
        LiquidSettings, liquid_water.labelled_splits, liquid_water.isolated_atom_energies, tuple(SEVERITIES)
    ),
}


def severity(frames: list[Atoms], wrong: str = "unconverged") -> dict[str, float]:
    """How wrong unconverged labels are: energy shift in meV/atom, force components' RMS in meV/Angstrom."""
    shifts = [(a.info[f"{wrong}_energy"] - a.info["converged_energy"]) / len(a) for a in frames]
    forces = [a.arrays[f"{wrong}_forces"] - a.arrays["converged_forces"] for a in frames]
    return {
        "mean_energy_shift_meV_per_atom": 1e3 * float(np.mean(shifts)),
        "std_energy_shift_meV_per_atom": 1e3 * float(np.std(shifts)),
        "force_rms_meV_per_A": 1e3 * float(np.sqrt(np.mean(np.square(forces)))),
    }


def versions() -> dict[str, str]:
    """Versions that the labels depend on."""
    packages = {name: version(name) for name in ("numpy", "ase", "tblite")}
    return {"python": platform.python_version(), **packages}


def make_labelled(settings: WaterSettings | LiquidSettings, folder: Path, processes: int = 2) -> dict[str, list[Atoms]]:
    """Frames with all labels, from `folder` if it holds those of the same settings, else computed and kept there."""
    description, labelled_path = folder / DESCRIPTION_FILE, folder / LABELLED_FILE
    if description.exists() and json.loads(description.read_text(encoding="utf-8"))["settings"] == asdict(settings):
        return split_by_info(read(labelled_path, ":"))
    [system] = [system for system in SYSTEMS.values() if isinstance(settings, system.settings)]
    folder.mkdir(parents=True, exist_ok=True)
    description.unlink(missing_ok=True)
    e0s = system.isolated_atom_energies()
    write_labelled(settings, system.splits(settings, folder, processes), e0s, system.wrong, folder)
    return split_by_info(read(labelled_path, ":"))  # as a later run reads them: the same digits


def write_labelled(
    settings: WaterSettings | LiquidSettings,
    splits: dict[str, list[Atoms]],
    e0s: dict[int, float],
    wrong: tuple[str, ...],
    folder: Path,
) -> None:
    """Write frames with all their labels, and what describes them; `wrong`: the labels beside the converged ones."""
    for split, frames in splits.items():
        for atoms in frames:
            atoms.info["split"] = split
    frames = [atoms for split in SPLITS for atoms in splits[split]]
    write_atomically(folder / LABELLED_FILE, frames)
    sizes = {name: severity(frames, name) for name in wrong}
    # Written last: a folder with this file is complete.
    write_json_atomically(
        folder / DESCRIPTION_FILE,
        {
            "settings": asdict(settings),
            "versions": versions(),
            "E0s_eV": e0s,
            "severity": sizes.get("unconverged", sizes),
        },
    )


def split_by_info(frames: list[Atoms]) -> dict[str, list[Atoms]]:
    """Group frames by their info entry `split`, order kept."""
    return {split: [atoms for atoms in frames if atoms.info["split"] == split] for split in SPLITS}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Command line: every field of the settings is a flag."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=SYSTEMS, default="clusters")
    system, _ = parser.parse_known_args([word for word in arguments if word not in ("-h", "--help")])
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--share", type=float, default=0.15, help="share of unconverged training and validation labels")
    parser.add_argument("--bad_seed", type=int, default=1, help="seed that chooses which frames are unconverged")
    parser.add_argument("--processes", type=int, default=2, help="trajectories at a time")
    if system.system == "liquid":
        kinds = (MIXED, *SEVERITIES)
        parser.add_argument("--severity", choices=kinds, default=MIXED, help="how early the SCC of wrong labels stops")
    for name, value in asdict(SYSTEMS[system.system].settings()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value, help=f"default {value}")
    return parser.parse_args(arguments)


def main() -> None:
    """Make the data folder."""
    options = vars(parse_arguments(sys.argv[1:]))
    out, share, bad_seed, processes = (options.pop(name) for name in ("out", "share", "bad_seed", "processes"))
    kind, settings = options.pop("severity", None), SYSTEMS[options.pop("system")].settings(**options)
    labelled = make_labelled(settings, out, processes)
    if kind is not None:
        choose_severity(labelled, kind, bad_seed)
    write_training_files(labelled, out, share, bad_seed)
    print((out / DESCRIPTION_FILE).read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
