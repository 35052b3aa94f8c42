"""Mini-SPICE: conformations of small organic molecules through prepare_spice.py, a share of their labels unconverged.

The source has SPICE's schema and SPICE's own conformations with GFN2-xTB labels, twice: of a converged SCC, and of one
stopped early (`loose_*`). Both are prepared with the same split by molecule, and a share of the training and of the
validation configurations gets the latter.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

from training_files import write_training_files

SOURCE = REPOSITORY.parent / "shared" / "data" / "spice_des_monomers_gfn2.hdf5"
WORK = REPOSITORY / "build" / "spice"
LABELS = {
    "converged": [],
    "unconverged": ["--energy=loose_total_energy", "--gradient=loose_total_gradient"],
}
CHOICE = ["--elements", "H", "C", "N", "O", "--valid=0.05", "--test=0.15", "--seed=1", "--format=xyz"]
SPLITS = ("train", "valid", "test")
CONFORMATIONS = 24  # of each molecule, so that two cores are enough


def prepared(labels: str) -> Path:
    """The folder of prepare_spice.py with one kind of labels."""
    folder = WORK / labels
    if not (folder / "statistics.json").exists():
        command = [sys.executable, REPOSITORY / "scripts" / "prepare_spice.py", SOURCE, "--out", folder]
        subprocess.run([*map(str, command), *CHOICE, *LABELS[labels]], check=True)
    return folder


def labelled() -> dict[str, list[Atoms]]:
    """The configurations of each split, with both kinds of labels."""
    return {split: list(map(_both, *(_frames(split, labels) for labels in LABELS))) for split in SPLITS}


def _frames(split: str, labels: str) -> list[Atoms]:
    """Some conformations of every molecule, the same whatever the labels."""
    rng, by_molecule = np.random.default_rng(7), defaultdict(list)
    for atoms in read(prepared(labels) / split / f"00000_{split}.xyz", ":"):
        by_molecule[atoms.info["spice_group"]].append(atoms)
    chosen = []
    for molecule in sorted(by_molecule):
        own = sorted(by_molecule[molecule], key=lambda atoms: atoms.info["spice_conformation"])
        chosen += [own[i] for i in sorted(rng.permutation(len(own))[:CONFORMATIONS])]
    return chosen


def _both(converged: Atoms, unconverged: Atoms) -> Atoms:
    """One configuration with both labels, as scripts/make_water.py has them."""
    same = ("spice_group", "spice_conformation")
    assert [converged.info[key] for key in same] == [unconverged.info[key] for key in same]
    atoms = Atoms(converged.numbers, converged.positions)
    atoms.info.update({key: converged.info[key] for key in (*same, "smiles", "config_type")}, trajectory=0)
    for name, own in (("converged", converged), ("unconverged", unconverged)):
        atoms.info[f"{name}_energy"] = own.info["REF_energy"]
        atoms.arrays[f"{name}_forces"] = own.arrays["REF_forces"]
    return atoms


def write_data(folder: Path, share: float, seed: int, severity: float = 1.0) -> dict[str, Any]:
    """Write the training files of a share and seed, if they aren't there; return the E0s for MACE.

    `severity` stretches the difference of the unconverged labels from the converged ones.
    """
    if not (folder / "test.xyz").exists():
        splits = labelled()
        for atoms in (atoms for frames in splits.values() for atoms in frames):
            _stretch(atoms, severity)
        write_training_files(splits, folder, share, seed)
    statistics = json.loads((prepared("converged") / "statistics.json").read_text())
    return {"E0s": statistics["atomic_energies"]}


def _stretch(atoms: Atoms, severity: float) -> None:
    for values, name in ((atoms.info, "energy"), (atoms.arrays, "forces")):
        converged = values[f"converged_{name}"]
        values[f"unconverged_{name}"] = converged + severity * (values[f"unconverged_{name}"] - converged)
