"""A large file in MACE's HDF5, of made-up molecules on springs."""

from pathlib import Path

import h5py
import numpy as np

MOLECULES, ATOMS, BATCH = 200, 12, 1000
DIFFERENT = 20_000  # frames; larger files hold these again and again, which saves most of the writing
STIFF = 20.0  # eV/A^2


def write_hdf5(path: Path, count: int) -> None:
    """Write `count` frames of 12 atoms, each molecule's conformations together; 1,000 frames a batch."""
    rng, different = np.random.default_rng(0), min(count, DIFFERENT)
    with h5py.File(path, "w", libver="latest") as file:
        for batch in range(count // BATCH):
            if batch >= DIFFERENT // BATCH:
                file[f"config_batch_{batch}"] = file[f"config_batch_{batch % (DIFFERENT // BATCH)}"]  # a hard link
                continue
            if batch:
                file.copy("config_batch_0", f"config_batch_{batch}")  # faster than making each data set
            for index in range(BATCH):
                molecule = (batch * BATCH + index) * MOLECULES // different
                name = f"config_batch_{batch}/config_{index}"
                group = file[name] if batch else empty(file.create_group(name))
                for key, value in made_up(molecule, rng).items():
                    group[key][...] = value


def empty(group: h5py.Group) -> h5py.Group:
    """Make what MACE reads of a configuration."""
    shapes = {"atomic_numbers": (ATOMS,), "positions": (ATOMS, 3), "properties/energy": (), "cell": (3, 3)}
    for name, shape in {**shapes, "properties/forces": (ATOMS, 3)}.items():
        group.create_dataset(name, shape, dtype=int if name == "atomic_numbers" else float)
    for name in ("weight", "property_weights/energy", "property_weights/forces"):
        group[name] = 1.0
    group["pbc"] = np.zeros(3, dtype=bool)
    for name in ("config_type", "head"):
        group.create_dataset(name, data="Default", dtype=h5py.string_dtype())
    return group


def made_up(molecule: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One conformation."""
    kind = np.random.default_rng(molecule)
    numbers = kind.choice([1, 6, 7, 8], ATOMS)
    grid = 1.3 * np.array([(i, j, k) for i in range(3) for j in range(2) for k in range(2)], dtype=float)
    rest = grid + kind.normal(0, 0.05, grid.shape)
    positions = rest + rng.normal(0, 0.06, grid.shape)
    energy, forces = springs(positions, rest)
    labels = {"properties/energy": np.array(energy - 20.0 * numbers.sum()), "properties/forces": forces}
    return {"atomic_numbers": numbers, "positions": positions, **labels}


def springs(positions: np.ndarray, rest: np.ndarray) -> tuple[float, np.ndarray]:
    """Energy and forces of springs between all atoms, weaker for distant ones."""
    ones = np.eye(len(positions))
    vector = positions[:, None] - positions
    length = np.linalg.norm(vector, axis=2) + ones
    at_rest = np.linalg.norm(rest[:, None] - rest, axis=2) + ones
    stiff = STIFF / at_rest**4
    stretch = length - at_rest
    pull = stiff * stretch / length
    return float(0.25 * (stiff * stretch**2).sum()), -(pull[:, :, None] * vector).sum(axis=1)
