"""Training files of all kinds and tables about them, and how configurations are compared."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase import Atoms
from mace.data import Configuration, KeySpecification, config_from_atoms
from mace.data.utils import save_configurations_as_HDF5
from mace.tools.fairchem_dataset.lmdb_dataset_tools import LMDBDatabase
from structures import molecules

from mace_outlier.__main__ import main
from mace_outlier.results.writing import write_results

SUSPECTS = {1, 2}  # frames, in the tables that `row` makes


def assert_same_frame(found: Atoms, expected: Atoms, without: set[str] = frozenset()) -> None:
    """Equal to the last bit: atoms, cell, info, arrays, results; arrays for lists, and info entries `without`."""
    assert found.get_chemical_symbols() == expected.get_chemical_symbols()
    assert found.cell.tolist() == expected.cell.tolist()
    assert found.pbc.tolist() == expected.pbc.tolist()
    _assert_same(found.arrays, expected.arrays)
    _assert_same(_without(found.info, without), _without(expected.info, without))
    _assert_same(found.calc.results if found.calc else {}, expected.calc.results if expected.calc else {})


def _without(info: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in info.items() if key not in names}


def _assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for key, value in expected.items():
        if isinstance(value, (str, dict, type(None))):
            assert found[key] == value, key
            assert type(found[key]) is type(value), key
        else:
            read, wanted = np.asarray(found[key]), np.asarray(value)
            np.testing.assert_array_equal(read, wanted, err_msg=key)
            assert read.shape == wanted.shape, key
            assert read.dtype.kind == wanted.dtype.kind or wanted.dtype.kind == "U", key


# --- training files ---


def keys() -> KeySpecification:
    """What a training reads by default, but dipoles: see sources.KEYS."""
    return KeySpecification.from_defaults().update(info_keys={"dipole": "REF_dipole"})


def configurations(count: int) -> list[Configuration]:
    frames = molecules(count, cell=9.0)
    for number, atoms in enumerate(frames):
        atoms.arrays["REF_charges"] = np.linspace(-1, 1, len(atoms))
        atoms.info |= {"total_charge": 1.0, "total_spin": 2.0, "head": "", "config_type": f"kind {number % 2}"}
        if number % 3 == 1:
            atoms.info |= {"config_weight": 0.5, "config_energy_weight": 0.0, "config_forces_weight": 2.5}
            del atoms.info["REF_stress"], atoms.arrays["REF_charges"]
        if number % 3 == 2:
            atoms.cell, atoms.pbc = None, False
            del atoms.arrays["REF_forces"], atoms.info["config_type"]
    return [config_from_atoms(atoms, keys()) for atoms in frames]


def write_hdf5(path: Path, configs: list[Configuration], batch_size: int | None = None) -> None:
    size = batch_size or len(configs)
    with h5py.File(path, "w") as file:
        for batch in reversed(range(len(configs) // size)):
            save_configurations_as_HDF5(configs[batch * size : (batch + 1) * size], 0, file)
            if batch:
                file.move("config_batch_0", f"config_batch_{batch}")


def write_lmdb(path: Path, frames: list[Atoms]) -> None:
    with LMDBDatabase(str(path)) as database:
        for atoms in frames:
            database.write(atoms, data={})  # MACE's class would write into ASE's default, for all frames to come


# --- tables ---


def run_export(*arguments: str | Path) -> None:
    main(["export", *map(str, arguments)])


def row(source: Any, frame: int, atoms: Atoms | None = None, **values: Any) -> dict[str, Any]:
    """A row of the table: a suspect, where SUSPECTS says so."""
    suspect = frame in SUSPECTS
    known = {"config_type": "Default", "formula": "", "n_atoms": 0}
    if atoms is not None:
        known |= {"formula": atoms.get_chemical_formula(), "n_atoms": len(atoms)}
    return {
        "head": "Default", "split": "train", "source": str(source), "frame": frame, **known, "times_seen": 3,
        "last_epoch": 2, "weight": 0.1 if suspect else 0.9, "mean_weight": 0.2 if suspect else 0.8,
        "zscore": 4.0 + frame / 7, "loss": 1.0 + frame, "energy_error_per_atom": 0.5, "force_rmse": np.nan, **values,
    }  # fmt: skip


def save(folder: Path, rows: list[dict[str, Any]], **about: Any) -> Path:
    table = {name: [row[name] for row in rows] for name in rows[0]}
    write_results(folder / "demo_run-1", table, {"directory": str(folder), **about})
    return folder / "demo_run-1"
