"""Faults that benchmarks/real doesn't train with, and what is to be said of each one."""

from collections.abc import Callable
from functools import partial

import _causes_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms
from faults import BOTH, FAULTS, Fault, Frames, touch
from scipy.spatial.transform import Rotation

from mace_outlier.data.units import ENERGIES, FORCES, HARTREE

Change = Callable[[Atoms, np.random.Generator], dict]
OFFSETS = {1: 0.05, 4: 0.1, 6: 0.15, 8: 0.2, 14: 0.1, 42: 0.1, 74: 0.15}  # eV, by element


def each(change: Change, frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Change the labels of the chosen frames, one by one."""
    for atoms in chosen:
        touch(atoms, **change(atoms, rng))


def in_unit_of_forces(size: float, atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"forces": atoms.arrays["REF_forces"] / size}


def in_unit_of_energies(size: float, atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"energy": atoms.info["REF_energy"] / size}


def atomic_units(atoms: Atoms, rng: np.random.Generator) -> dict:
    return in_unit_of_energies(HARTREE, atoms, rng) | in_unit_of_forces(FORCES["hartree/bohr"], atoms, rng)


def per_atom(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"energy": atoms.info["REF_energy"] / len(atoms)}


def by_element(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"energy": atoms.info["REF_energy"] + sum(OFFSETS.get(z, 0.05) for z in atoms.numbers)}


def energy_noise(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"energy": atoms.info["REF_energy"] + 0.1 * rng.normal() * len(atoms)}


def other_order(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"forces": atoms.arrays["REF_forces"][rng.permutation(len(atoms))]}


def turned(atoms: Atoms, rng: np.random.Generator) -> dict:
    rotation = Rotation.random(random_state=int(rng.integers(1 << 30)))
    return {"forces": atoms.arrays["REF_forces"] @ rotation.as_matrix()}


def drift(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"forces": atoms.arrays["REF_forces"] + 0.5 * rng.normal(size=3)}


def zero(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"forces": 0 * atoms.arrays["REF_forces"]}


def some_atoms(atoms: Atoms, rng: np.random.Generator) -> dict:
    """An eighth of the atoms, by some 3 eV/A."""
    forces, count = atoms.arrays["REF_forces"].copy(), max(1, len(atoms) // 8)
    forces[rng.permutation(len(atoms))[:count]] += 3 * rng.normal(size=(count, 3))
    return {"forces": forces}


def larger(atoms: Atoms, rng: np.random.Generator) -> dict:
    return {"forces": 1.6 * atoms.arrays["REF_forces"]}


def stress_order(atoms: Atoms, rng: np.random.Generator) -> dict:
    """As VASP writes it: xx, yy, zz, xy, yz, xz."""
    return {"stress": np.asarray(atoms.info["REF_stress"])[[0, 1, 2, 5, 3, 4]]}


def fault(change: Change, share: float, *labels: str) -> Fault:
    return Fault(partial(each, change), share, labels)


MORE = {
    "hartree/bohr": fault(partial(in_unit_of_forces, FORCES["hartree/bohr"]), 0.1, "forces"),
    "eV/bohr": fault(partial(in_unit_of_forces, FORCES["eV/bohr"]), 0.1, "forces"),
    "kJ/mol/nm": fault(partial(in_unit_of_forces, FORCES["kJ/mol/nm"]), 0.1, "forces"),
    "Ry": fault(partial(in_unit_of_energies, ENERGIES["Ry"]), 0.05, "energy"),
    "kcal/mol": fault(partial(in_unit_of_energies, ENERGIES["kcal/mol"]), 0.05, "energy"),
    "atomic units": fault(atomic_units, 0.1, *BOTH),
    "per atom": fault(per_atom, 0.05, "energy"),
    "by element": fault(by_element, 0.1, "energy"),
    "energy noise": fault(energy_noise, 0.1, "energy"),
    "order": fault(other_order, 0.1, "forces"),
    "turned": fault(turned, 0.1, "forces"),
    "drift": fault(drift, 0.1, "forces"),
    "zero": fault(zero, 0.1, "forces"),
    "some atoms": fault(some_atoms, 0.1, "forces"),
    "factor": fault(larger, 0.1, "forces"),
    "stress order": fault(stress_order, 0.1, "stress"),
}
LIBRARY = {name: FAULTS[name] for name in FAULTS if name not in ("clean", "block", "p60_30", "p60_43", "scf_43")}
NOISE = ("noise in energy and forces", "noise in energy", "noise in forces")
CONSTANT, UNCONVERGED = "energy off by a constant", "unconverged"
WANTED = {  # the causes that are right
    "flip": ("forces of the wrong sign",),
    "kcal": ("forces in kcal/mol/A",),
    "hartree": ("energy in hartree",),
    "others": ("energy of another frame",),
    "pm60": (CONSTANT,),
    "p60_15": (CONSTANT,),
    "p60_30": (CONSTANT,),
    "p60_43": (CONSTANT,),
    "block": (CONSTANT,),
    "fnoise": ("noise in forces",),
    "mild": NOISE,
    "stress_sign": ("stress of the wrong sign",),
    "stress_kbar": ("stress in kbar",),
    "charge": ("energy of another charge or spin",),
    "scf_15": (UNCONVERGED,),
    "scf_30": (UNCONVERGED,),
    "scf_43": (UNCONVERGED,),
    "hartree/bohr": ("forces in hartree/bohr",),
    "eV/bohr": ("forces in eV/bohr",),
    "kJ/mol/nm": ("forces in kJ/mol/nm",),
    "Ry": ("energy in Ry",),
    "kcal/mol": ("energy in kcal/mol",),
    "atomic units": ("energy in hartree; forces in hartree/bohr",),
    "per atom": ("energy per atom",),
    "by element": ("energy off by a constant for each element", CONSTANT),
    "energy noise": ("noise in energy",),
    "order": ("forces in another order of atoms",),
    "turned": ("forces turned against the positions",),
    "drift": ("forces off by the same vector",),
    "zero": ("forces all zero",),
    "some atoms": ("forces of some atoms",),
    "factor": ("forces off by a factor",),
    "stress order": ("stress in another order of components",),
}
