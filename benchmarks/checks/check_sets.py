"""Data with right labels, faults of a whole file that are planted into them, and what a check should say of each."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import _checks_paths  # noqa: F401 (first)
import h5py
import numpy as np
from alloys import alloys
from ase import Atoms, units
from ase.io import read
from mlearn import in_order_of_ase

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SHARED = REPOSITORY.parent / "shared" / "data"
REAL = SHARED / "real"
DEMO = REPOSITORY / "build" / "demo" / "data" / "labelled.xyz"

Frames = list[Atoms]


def spice() -> Frames:
    """Conformations of small organic molecules with converged GFN2-xTB labels."""
    frames = []
    with h5py.File(SHARED / "spice_des_monomers_gfn2.hdf5") as file:
        for group in file.values():
            numbers = group["atomic_numbers"][()]
            energies = group["dft_total_energy"][()] * units.Hartree
            forces = -group["dft_total_gradient"][()] * units.Hartree / units.Bohr
            for k, positions in enumerate(group["conformations"][()] * units.Bohr):
                atoms = Atoms(numbers, positions)
                atoms.info["REF_energy"], atoms.arrays["REF_forces"] = float(energies[k]), forces[k]
                frames.append(atoms)
    return frames


def demo() -> Frames:
    """(H2O)5 of the demo, converged labels."""
    frames = read(DEMO, ":")
    for atoms in frames:
        atoms.info["REF_energy"] = atoms.info.pop("converged_energy")
        atoms.arrays["REF_forces"] = atoms.arrays.pop("converged_forces")
    return frames


def files(*names: str) -> Callable[[], Frames]:
    return lambda: [atoms for name in names for atoms in read(REAL / name, ":")]


def mlearn(element: str) -> Callable[[], Frames]:
    """Training and test files, the components of the stress in one order."""
    as_it_comes = files(f"mlearn_{element}_training.xyz", f"mlearn_{element}_test.xyz")
    return lambda: list(map(in_order_of_ase, as_it_comes()))


# name -> (frames, a file that has to be there)
CLEAN: dict[str, tuple[Callable[[], Frames], Path]] = {
    "silicon": (mlearn("Si"), REAL),
    "molybdenum": (mlearn("Mo"), REAL),
    "molybdenum, as it comes": (files("mlearn_Mo_training.xyz", "mlearn_Mo_test.xyz"), REAL),
    "acetylacetone": (files("acac_train.xyz", "acac_test.xyz"), REAL),
    "water, PBE0-TS": (lambda: read(SHARED / "water_pbe0ts.xyz", ":"), SHARED / "water_pbe0ts.xyz"),
    "SPICE monomers, GFN2-xTB": (spice, SHARED / "spice_des_monomers_gfn2.hdf5"),
    "water clusters of the demo": (demo, DEMO),
    "alloys, EMT": (alloys, REPOSITORY),
}
PLANTED = ("silicon", "molybdenum", "acetylacetone", "water, PBE0-TS", "alloys, EMT")


# --- faults ----------------------------------------------------------------------------------------------------------


def scaled(energy: float = 1.0, force: float = 1.0) -> Callable[[Frames], list[int]]:
    """All energies and forces times a factor."""

    def spoil(frames: Frames) -> list[int]:
        for atoms in frames:
            atoms.info["REF_energy"] *= energy
            atoms.arrays["REF_forces"] = force * atoms.arrays["REF_forces"]
        return list(range(len(frames)))

    return spoil


def offset(frames: Frames) -> list[int]:
    """A third of the frames, anywhere, lies 0.1 eV/atom too high and has a config_type of its own."""
    chosen = np.random.default_rng(0).permutation(len(frames))[: len(frames) // 3].tolist()
    for i, atoms in enumerate(frames):
        atoms.info["config_type"] = "first"
        if i in set(chosen):
            atoms.info["config_type"] = "second"
            atoms.info["REF_energy"] += 0.1 * len(atoms)
    return sorted(chosen)


def duplicates(frames: Frames) -> list[int]:
    """Three frames once more, atoms in another order, moved (molecules: turned), energies 10 meV/atom off."""
    rng, own = np.random.default_rng(1), [3, 17, 21]
    for i in own:
        copy = frames[i][rng.permutation(len(frames[i]))]
        copy.info["REF_energy"] += 0.01 * len(copy)
        if copy.pbc.any():
            copy.positions += [1.0, 0.4, 0.3]
            copy.wrap()
        else:
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            copy.positions, copy.arrays["REF_forces"] = copy.positions @ turn, copy.arrays["REF_forces"] @ turn
        frames.append(copy)
    return own + list(range(len(frames) - 3, len(frames)))


def not_a_number(frames: Frames) -> list[int]:
    frames[5].info["REF_energy"] = np.nan
    frames[6].arrays["REF_forces"][0, 0] = np.inf
    return [5, 6]


def other_key(frames: Frames) -> list[int]:
    for atoms in frames:
        atoms.info["dft_energy"] = atoms.info.pop("REF_energy")
    return list(range(len(frames)))


def stress(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Frames], list[int]]:
    """All stresses changed."""

    def spoil(frames: Frames) -> list[int]:
        for atoms in frames:
            atoms.info["REF_stress"] = change(np.asarray(atoms.info["REF_stress"]))
        return list(range(len(frames)))

    return spoil


def some(spoil: Callable[[Frames], list[int]], seed: int) -> Callable[[Frames], list[int]]:
    """5 % of the frames."""

    def spoil_some(frames: Frames) -> list[int]:
        chosen = np.random.default_rng(seed).permutation(len(frames))[: len(frames) // 20].tolist()
        spoil([frames[i] for i in chosen])
        return sorted(chosen)

    return spoil_some


IN_HARTREE = scaled(energy=1 / units.Hartree)
IN_KBAR = stress(lambda s: s * 10 / units.GPa)


class Fault(NamedTuple):
    """What is planted, and the check and the words that should name it."""

    spoil: Callable[[Frames], list[int]]
    check: str
    words: str


FAULTS = {
    "energies in hartree": Fault(IN_HARTREE, "units", "the energies are in hartree"),
    "energies in kcal/mol": Fault(scaled(energy=units.mol / units.kcal), "units", "the energies are in kcal/mol"),
    "forces in kcal/mol/A": Fault(scaled(force=units.mol / units.kcal), "units", "the forces are in kcal/mol/A"),
    "forces in hartree/bohr": Fault(scaled(force=units.Bohr / units.Hartree), "units", "the forces are in hartree/b"),
    "forces with the wrong sign": Fault(scaled(force=-1.0), "units", "the forces have the wrong sign"),
    "a config_type 0.1 eV/atom too high": Fault(offset, "energies", "a constant that no geometry explains"),
    "three geometries twice": Fault(duplicates, "duplicates", "different labels"),
    "NaN and infinity": Fault(not_a_number, "labels", "NaN"),
    "energies under another key": Fault(other_key, "labels", "dft_energy"),
    "stress in kbar": Fault(IN_KBAR, "stress", "in kbar"),
    "stress with the wrong sign": Fault(stress(lambda s: -s), "stress", "the stress has the wrong sign"),
    "stress in the order of VASP": Fault(
        stress(lambda s: s[[0, 1, 2, 5, 3, 4]]), "stress", "components are xy, yz, xz"
    ),
    "5 % of the energies in hartree": Fault(some(IN_HARTREE, 2), "energies", "they are in hartree"),
    "5 % of the stresses in kbar": Fault(some(IN_KBAR, 3), "sizes", "no bond can make"),
}
