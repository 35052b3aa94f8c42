"""The data sets of the ablation: what kind of labels is wrong, how many, and in which frames.

All of them are files as `scripts/make_water.py` writes them: train.xyz and valid.xyz with a share of wrong labels,
train_good.xyz and valid_good.xyz without those frames, test.xyz with right labels only.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase import Atoms, units
from ase.io import read
from make_water import DESCRIPTION_FILE, LABELLED_FILE, make_labelled
from training_files import write_atomically, write_training_files
from water_clusters import WaterSettings, single_point, xtb_calculator

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WATER = REPOSITORY / "build" / "demo" / "data"
ORGANIC_SOURCE = REPOSITORY.parent / "shared" / "data" / "spice_des_monomers_gfn2.hdf5"
HYDROCARBONS = ("C", "C#C", "CC", "C=C", "CC#C", "CC=C", "CC#CC")
WITH_OXYGEN = ("C=O", "CC=O", "OC=O", "COC=O", "CCO", "COC", "CC(=O)O")
# a model whose own error is about half of the noise: see the README
ORGANIC_FLAGS = ("--hidden_irreps=32x0e + 32x1o", "--lr=0.02")
ORGANIC_SPLIT = {"train": 32, "valid": 8, "test": 10}  # conformations of each molecule
MILD = {"energy": 0.007, "forces": 0.080}  # eV/atom, eV/A
RARE_FRAMES = {"train": 8, "valid": 2, "test": 40}  # of each rare kind

Labelled = dict[str, list[Atoms]]
Wrong = tuple[float, np.ndarray]  # energy (eV), forces (eV/A)


def e0s_of_water() -> dict[int, float]:
    """Energies of the free atoms in eV, by atomic number."""
    return {int(z): e for z, e in json.loads((WATER / DESCRIPTION_FILE).read_text())["E0s_eV"].items()}


# --- kinds of wrong labels -------------------------------------------------------------------------------------------


def unconverged(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """An SCF stopped early: all energies too high, forces wrong in a way that repeats (coherent)."""
    return atoms.info["unconverged_energy"], atoms.arrays["unconverged_forces"]


def random_sign(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """The same errors, with a sign drawn for each frame: they don't agree with one another (incoherent)."""
    return _with_error(atoms, *(2 * rng.integers(2, size=1) - 1).repeat(2))


def energy_only(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """Wrong energies, right forces."""
    return _with_error(atoms, 1.0, 0.0)


def forces_only(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """Right energies, wrong forces."""
    return _with_error(atoms, 0.0, 1.0)


def swapped(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """The right labels of another frame."""
    other = others[rng.integers(len(others))]
    return other.info["converged_energy"], other.arrays["converged_forces"]


def gross(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """Energies in hartree, forces a thousand times too large."""
    return atoms.info["converged_energy"] / units.Hartree, 1e3 * atoms.arrays["converged_forces"]


def mild(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """The errors of an unconverged SCF, scaled to 7 meV/atom and 80 meV/A (root mean square of this frame)."""
    energy = abs(atoms.info["unconverged_energy"] - atoms.info["converged_energy"]) / len(atoms)
    forces = np.sqrt(np.mean((atoms.arrays["unconverged_forces"] - atoms.arrays["converged_forces"]) ** 2))
    return _with_error(atoms, MILD["energy"] / energy, MILD["forces"] / forces)


def other_method(atoms: Atoms, rng: np.random.Generator, others: list[Atoms]) -> Wrong:
    """GFN1-xTB instead of GFN2-xTB, its energy moved to the same free atoms: an inconsistent reference."""
    single = atoms.copy()
    single.calc = xtb_calculator(method="GFN1-xTB")
    shift = sum(_method_shift(symbol) for symbol in atoms.symbols)
    return float(single.get_potential_energy()) + shift, single.get_forces()


def _method_shift(symbol: str, known: dict[str, float] = {}) -> float:  # noqa: B006 (a cache)
    if symbol not in known:
        atom = Atoms(symbol)
        atom.calc = xtb_calculator(method="GFN1-xTB", multiplicity={"H": 2, "O": 3}[symbol])
        known[symbol] = e0s_of_water()[int(atom.numbers[0])] - float(atom.get_potential_energy())
    return known[symbol]


def _with_error(atoms: Atoms, energy: float, forces: float) -> Wrong:
    """Converged labels and so many times the error of the unconverged ones."""
    right, wrong = atoms.info["converged_energy"], atoms.info["unconverged_energy"]
    right_forces, wrong_forces = atoms.arrays["converged_forces"], atoms.arrays["unconverged_forces"]
    return right + energy * (wrong - right), right_forces + forces * (wrong_forces - right_forces)


KINDS: dict[str, Callable[[Atoms, np.random.Generator, list[Atoms]], Wrong]] = {
    function.__name__: function
    for function in (
        unconverged, random_sign, energy_only, forces_only, swapped, gross, mild, other_method,
    )
}  # fmt: skip


def with_wrong_labels(labelled: Labelled, kind: str, seed: int) -> Labelled:
    """Frames whose entry `unconverged_*` is the wrong label of that kind."""
    rng = np.random.default_rng([seed, 16])
    changed: Labelled = {}
    for split, frames in labelled.items():
        changed[split] = []
        for atoms in frames:
            copy = atoms.copy()
            energy, forces = KINDS[kind](atoms, rng, frames)
            copy.info["unconverged_energy"], copy.arrays["unconverged_forces"] = float(energy), np.array(forces)
            changed[split].append(copy)
    return changed


# --- data sets -------------------------------------------------------------------------------------------------------


def write_water(folder: Path, kind: str, share: float, seed: int) -> dict[str, Any]:
    """Water clusters of the demo with a share of wrong labels; returns the E0s."""
    labelled = make_labelled(WaterSettings(), WATER)
    write_training_files(with_wrong_labels(labelled, kind, seed), folder, share, seed)
    return {"E0s": str(e0s_of_water())}


def write_organic(folder: Path, kind: str, share: float, seed: int) -> dict[str, Any]:
    """Conformations of 14 small molecules from SPICE, GFN2-xTB, with labels of an SCF stopped early."""
    rng = np.random.default_rng(7)
    labelled: Labelled = {split: [] for split in ORGANIC_SPLIT}
    with h5py.File(ORGANIC_SOURCE) as source:
        for name in HYDROCARBONS + WITH_OXYGEN:
            frames = [_conformation(source[name], i) for i in rng.permutation(len(source[name]["conformations"]))]
            for split, count in ORGANIC_SPLIT.items():
                labelled[split] += frames[:count]
                frames = frames[count:]
    write_training_files(labelled, folder, share, seed)
    return {"E0s": "average", "flags": ORGANIC_FLAGS}


def _conformation(group: Any, index: int) -> Atoms:
    atoms = Atoms(group["atomic_numbers"][()], positions=group["conformations"][index] * units.Bohr)
    atoms.info["trajectory"] = 0
    for ours, theirs in (("converged", "dft_total"), ("unconverged", "loose_total")):
        atoms.info[f"{ours}_energy"] = float(group[f"{theirs}_energy"][index]) * units.Hartree
        atoms.arrays[f"{ours}_forces"] = -group[f"{theirs}_gradient"][index] * units.Hartree / units.Bohr
    return atoms


def write_rare(folder: Path, kind: str, share: float, seed: int) -> dict[str, Any]:
    """Water with 2 % strained clusters and 2 % clusters that hold hydrogen peroxide, all of these right.

    Their test frames are test_strained.xyz and test_peroxide.xyz.
    """
    e0s = write_water(folder, kind, share, seed)
    rare = _rare_frames()
    for name, frames in rare.items():
        write_atomically(folder / f"test_{name}.xyz", frames["test"])
    for split in ("train", "valid"):
        extra = [atoms for frames in rare.values() for atoms in frames[split]]
        for file in (folder / f"{split}.xyz", folder / f"{split}_good.xyz"):
            write_atomically(file, read(file, ":") + extra)
    return e0s


def _rare_frames() -> dict[str, Labelled]:
    """By kind and split; kept beside the water frames, as the labels take a while."""
    kept, rare = WATER.parent / "rare.xyz", {}
    if not kept.exists():
        frames = _make_rare(read(WATER / LABELLED_FILE, ":"))
        write_atomically(kept, frames)
    for atoms in read(kept, ":"):
        rare.setdefault(atoms.info["rare"], {}).setdefault(atoms.info["split"], []).append(atoms)
    return rare


def _make_rare(frames: list[Atoms]) -> list[Atoms]:
    rng = np.random.default_rng(17)
    made = []
    for split, count in RARE_FRAMES.items():
        candidates = [atoms for atoms in frames if atoms.info["split"] == split]
        for kind, change in (("strained", _strain), ("peroxide", _oxidise)):
            for i in rng.choice(len(candidates), count, replace=len(candidates) < count):
                atoms = change(candidates[i], rng)
                energy, forces = single_point(atoms, WaterSettings().accuracy)
                atoms.info.update(REF_energy=energy, unconverged=0, trajectory=-1, rare=kind, split=split)
                atoms.arrays["REF_forces"] = forces
                made.append(atoms)
    return made


def _strain(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """All atoms displaced by 0.07 A in each direction: bonds as at some thousand kelvin."""
    return Atoms(atoms.symbols, positions=atoms.positions + rng.normal(0.0, 0.07, (len(atoms), 3)))


def _oxidise(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """One O-H of a molecule becomes O-O-H, where there is room."""
    best, most_room = atoms, 0.0
    for _ in range(30):
        made, room = _oxidised(atoms, rng)
        if room > most_room:
            best, most_room = made, room
    return best


def _oxidised(atoms: Atoms, rng: np.random.Generator) -> tuple[Atoms, float]:
    """At a random hydrogen, in a random direction; and how far its new atoms are from those of other molecules (A)."""
    positions, symbols = atoms.positions.copy(), list(atoms.symbols)
    oxygen = int(rng.choice([i for i, symbol in enumerate(symbols) if symbol == "O"]))
    hydrogen = oxygen + int(rng.integers(1, 3))
    bond = positions[hydrogen] - positions[oxygen]
    bond /= np.linalg.norm(bond)
    aside = np.cross(bond, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    second = positions[oxygen] + (1.45 + rng.normal(0, 0.03)) * bond
    positions[hydrogen] = second + (0.97 + rng.normal(0, 0.02)) * (0.17 * bond + 0.985 * aside)
    others = np.delete(positions, [oxygen, oxygen + 1, oxygen + 2], axis=0)
    room = min(np.linalg.norm(others - new, axis=1).min() for new in (second, positions[hydrogen]))
    return Atoms([*symbols, "O"], positions=np.vstack((positions, second))), float(room)


WRITERS = {"organic": write_organic, "rare": write_rare} | dict.fromkeys(KINDS, write_water)


def write_data(folder: Path, kind: str, share: float, seed: int) -> dict[str, Any]:
    """Write the data set, unless it is there; returns settings of MACE that belong to it."""
    settings_file = folder / "settings.json"
    if not settings_file.exists():
        noise = "unconverged" if kind in ("organic", "rare") else kind
        settings = WRITERS[kind](folder, noise, share, seed)
        settings_file.write_text(json.dumps(settings))
    return json.loads(settings_file.read_text())
