"""Small made-up structures with labels, for the tests: molecules of 3 and 7 atoms from a Lennard-Jones potential."""

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import write

E0S = "{1: -1.0, 8: -2.0}"
SHIFT = {1: -1.0, 8: -2.0}


def molecule(rng: np.random.Generator, size: int, cell: float | None = None) -> Atoms:
    """A molecule of `size` atoms on a jittered grid, with energy, forces, stress, dipole and polarizability."""
    grid = 1.3 * np.array([(i, j, k) for i in range(2) for j in range(2) for k in range(2)][:size], dtype=float)
    atoms = Atoms("O" + "H" * (size - 1), positions=grid + rng.normal(0, 0.04, (size, 3)))
    if cell:
        atoms.set_cell([cell] * 3)
        atoms.pbc = True
    atoms.calc = LennardJones(sigma=1.1, epsilon=0.3, rc=4.0)
    energy = atoms.get_potential_energy() + sum(SHIFT[z] for z in atoms.numbers)
    forces = atoms.get_forces()
    stress = atoms.get_stress() if cell else np.zeros(6)
    atoms.calc = None
    atoms.info.update(REF_energy=energy, REF_stress=stress, REF_virials=-stress * (cell or 1.0) ** 3)
    charges = np.where(atoms.numbers == 8, -0.4, 0.4 / (size - 1))
    atoms.info["REF_dipole"] = charges @ atoms.positions
    atoms.info["REF_polarizability"] = (np.eye(3) * size + 0.1 * atoms.positions.T @ atoms.positions).flatten()
    atoms.arrays["REF_forces"] = forces
    return atoms


def molecules(count: int, seed: int = 0, cell: float | None = None) -> list[Atoms]:
    """Molecules of 3 and 7 atoms in turn."""
    rng = np.random.default_rng(seed)
    return [molecule(rng, 3 if i % 2 else 7, cell) for i in range(count)]


def spoil(frames: list[Atoms], positions: list[int], energy: float = 3.0) -> None:
    """Give the frames at `positions` a wrong energy (eV) and forces with the wrong sign."""
    for i in positions:
        frames[i].info["REF_energy"] += energy
        frames[i].arrays["REF_forces"] *= -1.0


def write_xyz(folder: Path, train: list[Atoms], valid: list[Atoms]) -> None:
    """Write train.xyz and valid.xyz."""
    write(folder / "train.xyz", train)
    write(folder / "valid.xyz", valid)


def write_hdf5(path: Path, frames: list[Atoms]) -> None:
    """Write frames as MACE's own preprocessing does."""
    import h5py
    from mace import data

    path.parent.mkdir(exist_ok=True)
    keys = data.KeySpecification(
        info_keys={name: f"REF_{name}" for name in ("energy", "stress", "virials", "dipole")},
        arrays_keys={"forces": "REF_forces"},
    )
    with h5py.File(path, "w") as file:
        file.attrs["drop_last"] = False
        data.save_configurations_as_HDF5([data.config_from_atoms(frame, keys) for frame in frames], 0, file)
