"""One shard: conformations of a SPICE file, in a format that MACE trains on, read again and compared before it counts.

    hdf5   MACE's own (mace_prepare_data), one group for each configuration, without the properties that it doesn't have
    lmdb   the ASE database of MACE's LMDBDataset, labels under MACE's default keys
    xyz    extended XYZ, for small sets: MACE holds all of it in memory

A label that is missing has the property weight 0 in MACE, and one that is NaN or infinite stays what it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pyarrow
from ase import Atoms
from mace.data import KeySpecification, config_from_atoms
from mace.data.neighborhood import get_neighborhood
from mace.data.utils import save_configurations_as_HDF5
from mace.tools.fairchem_dataset.lmdb_dataset_tools import LMDBDatabase
from spice_folder import METADATA, Folder
from spice_plan import Shard
from spice_reading import Block, Labels, Molecule, open_spice, read_block

from mace_outlier.data.extxyz import write_frame
from mace_outlier.data.sources import read_frames

WEIGHTED = ("energy", "forces", "stress", "virials", "dipole", "charges", "polarizability")  # 1 in MACE if not written
LABELS = ("energy", "forces")  # that SPICE has; MACE's names
TOLERANCE = 1e-9  # relative, between what was written and what is read again


class Task(NamedTuple):
    """What all shards have in common."""

    source: Path
    labels: Labels
    out: Path
    format: str
    r_max: float  # Angstrom
    max_force: float | None  # eV/A


def write_shard(task: Task, shard: Shard) -> int:
    """Write a shard, read it again, and put it and its part of the index into their places; return its size.

    Raises:
        ValueError: the source can't be read, or what was written is not what the source has.
    """
    folder = Folder(task.out, task.format)
    temporary, rows = folder.unfinished(shard), []
    left_out = {"max_force": 0, "positions": 0}
    with open_spice(task.source) as file:
        WRITERS[task.format](temporary, _frames(file, task, shard, rows, left_out))
        verify(temporary, task.format, _expected(file, task, shard, rows))
    table = pyarrow.Table.from_pylist(rows, schema=SCHEMA)
    size = temporary.stat().st_size if rows else 0
    note = {"count": len(rows), "bytes": size, "left_out": left_out}
    folder.commit(shard, table.replace_schema_metadata({METADATA: json.dumps(note)}))
    return shard.size


# --- configurations ---------------------------------------------------------------------------------------------------

SCHEMA = pyarrow.schema(
    {
        **{"split": "string", "shard": "string", "position": "int32"},
        **{"group": "string", "smiles": "string", "subset": "string", "conformation": "int64"},
        **{"atoms": "int32", "has_energy": "bool", "has_forces": "bool"},
        **{"energy": "double", "largest_force": "double", "mean_square_force": "double"},  # eV, eV/A, (eV/A)^2
        **{"edges": "int64", "receivers": "int64"},  # pairs within r_max; atoms that have a neighbour
    }.items()
)


def _frames(file: h5py.File, task: Task, shard: Shard, rows: list[dict[str, Any]], left_out: dict) -> Iterator[Atoms]:
    """Yield the configurations of a shard, and note a row of the index for each."""
    name = Folder(task.out, task.format).file(shard).name
    for molecule, start, stop in shard.pieces:
        block = read_block(file, molecule, task.labels, start, stop)
        for i, number in enumerate(range(start, stop)):
            norms = None if block.forces is None else np.linalg.norm(block.forces[i], axis=1)
            if not np.isfinite(block.positions[i]).all():
                left_out["positions"] += 1
            elif task.max_force is not None and norms is not None and np.any(norms > task.max_force):
                left_out["max_force"] += 1
            else:
                place = {"split": shard.split, "shard": f"{shard.split}/{name}", "position": len(rows)}
                rows.append(place | _row(molecule, number, block, i, norms, task.r_max))
                yield _atoms(molecule, number, block, i)


def _row(
    molecule: Molecule, number: int, block: Block, i: int, norms: np.ndarray | None, r_max: float
) -> dict[str, Any]:
    """What the index and the statistics need to know of one conformation; see SCHEMA."""
    receivers = get_neighborhood(block.positions[i], r_max, (False,) * 3, np.zeros((3, 3)))[0][1]
    return {
        "group": molecule.group,
        "smiles": molecule.smiles,
        "subset": molecule.subset,
        "conformation": number,
        "atoms": len(block.numbers),
        "has_energy": block.energies is not None,
        "has_forces": norms is not None,
        "energy": np.nan if block.energies is None else block.energies[i],
        "largest_force": np.nan if norms is None else norms.max(),
        "mean_square_force": np.nan if norms is None else np.mean(np.square(norms)) / 3,
        "edges": len(receivers),
        "receivers": len(np.unique(receivers)),
    }


def _atoms(molecule: Molecule, number: int, block: Block, i: int) -> Atoms:
    """One conformation with labels under MACE's default keys, and where it is in SPICE."""
    atoms = Atoms(numbers=block.numbers, positions=block.positions[i])
    atoms.info.update(
        config_type=molecule.subset, smiles=molecule.smiles, spice_group=molecule.group, spice_conformation=number
    )
    if block.charges is not None:
        atoms.info["total_charge"] = float(block.charges[i])
    if block.energies is not None:
        atoms.info["REF_energy"] = float(block.energies[i])
    if block.forces is not None:
        atoms.arrays["REF_forces"] = block.forces[i]
    return atoms


# --- formats ----------------------------------------------------------------------------------------------------------


def write_hdf5(path: Path, frames: Iterable[Atoms]) -> None:
    """Write MACE's HDF5, with a file format of 2016, which is a third smaller than HDF5's default."""
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        save_configurations_as_HDF5(map(_configuration, frames), None, file)


def _configuration(atoms: Atoms) -> Any:
    """What MACE makes of the frame, without what MACE takes for granted when it isn't there."""
    configuration = config_from_atoms(atoms, KeySpecification.from_defaults())
    configuration.properties = {name: value for name, value in configuration.properties.items() if value is not None}
    configuration.property_weights = {name: configuration.property_weights[name] for name in WEIGHTED}
    return configuration


def write_lmdb(path: Path, frames: Iterable[Atoms]) -> None:
    """Write an ASE LMDB. All goes into a row's `data`: its other fields refuse texts such as "103147721"."""
    with LMDBDatabase(path) as database:
        for atoms in frames:
            data = {
                "__info__": {key: _in_json(value) for key, value in atoms.info.items()},
                "__arrays__": {key: _in_json(atoms.arrays[key]) for key in ("REF_forces",) if key in atoms.arrays},
            }
            database.write(Atoms(numbers=atoms.numbers, positions=atoms.positions), data=data)


def _in_json(value: Any) -> Any:
    """JSON has neither NaN nor infinity (they would come back as None); MACE reads arrays of texts as numbers."""
    if isinstance(value, str) or np.isfinite(value).all():
        return value
    flat = [x if np.isfinite(x) else repr(x) for x in np.ravel(value).tolist()]
    return {"__ndarray__": [list(np.shape(value)), "float64", flat]}


def write_xyz(path: Path, frames: Iterable[Atoms]) -> None:
    """Write extended XYZ that keeps every digit."""
    with path.open("w", encoding="utf-8") as file:
        for atoms in frames:
            write_frame(file, atoms)


WRITERS: dict[str, Callable[[Path, Iterable[Atoms]], None]] = {
    "hdf5": write_hdf5,
    "lmdb": write_lmdb,
    "xyz": write_xyz,
}


# --- verification -----------------------------------------------------------------------------------------------------


def fingerprint(energy: float | None, forces: np.ndarray | None, positions: np.ndarray) -> tuple[float, ...]:
    """Sums that change if a configuration isn't what it was."""
    return (
        *((0.0, 0.0) if energy is None else (1.0, float(energy))),
        *((0.0, 0.0) if forces is None else (1.0, float(np.abs(forces).sum()))),
        float(np.abs(positions).sum()),
    )


def verify(path: Path, kind: str, expected: np.ndarray) -> None:
    """Compare a written file with the fingerprints (N, 5) that it should have.

    Raises:
        ValueError: it has another number of configurations, or others.
    """
    found = np.array([fingerprint(*labels) for labels in _written(path, kind)]).reshape(-1, 5)
    if len(found) != len(expected):
        raise ValueError(f"{path}: {len(found)} configurations are read again, {len(expected)} were written")
    wrong = ~np.isclose(found, expected, rtol=TOLERANCE, atol=0, equal_nan=True).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{path}: configuration {np.argmax(wrong)} reads as {found[wrong][0]}, the source has {expected[wrong][0]} "
            "(has energy, eV, has forces, sum of |forces|, sum of |positions|): is the disk full, or failing?"
        )


def _written(path: Path, kind: str) -> Iterator[tuple[Any, Any, np.ndarray]]:
    """Energy, forces and positions as the file has them."""
    if kind != "hdf5":
        for atoms in read_frames(str(path)) if path.stat().st_size else ():
            yield atoms.info.get("REF_energy"), atoms.arrays.get("REF_forces"), atoms.positions
        return
    with h5py.File(path, "r") as file:  # not read_frames, which reads five times as many data sets
        batch = file["config_batch_0"]
        for i in range(len(batch)):
            group = batch[f"config_{i}"]
            labels = (group["properties"][key][()] if key in group["properties"] else None for key in LABELS)
            yield *labels, group["positions"][()]


def _expected(file: h5py.File, task: Task, shard: Shard, rows: list[dict[str, Any]]) -> np.ndarray:
    """Fingerprints (N, 5) of what was written, from the source again."""
    prints, kept = [], {(row["group"], row["conformation"]) for row in rows}
    for molecule, start, stop in shard.pieces:
        block = read_block(file, molecule, task.labels, start, stop)
        for i, number in enumerate(range(start, stop)):
            if (molecule.group, number) in kept:
                energy = None if block.energies is None else block.energies[i]
                forces = None if block.forces is None else block.forces[i]
                prints.append(fingerprint(energy, forces, block.positions[i]))
    return np.array(prints).reshape(-1, 5)
