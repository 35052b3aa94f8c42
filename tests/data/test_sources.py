"""Reading training files again: the frames that MACE saw, under the numbers by which it knows them."""

import shutil
import subprocess
import sys
from pathlib import Path

import ase.db
import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from frames import assert_same_frame, configurations, keys, write_hdf5, write_lmdb
from mace.data import Configuration, HDF5Dataset, LMDBDataset, config_from_atoms, load_from_xyz
from mace.tools import AtomicNumberTable
from mace.tools.fairchem_dataset.lmdb_dataset_tools import LMDBDatabase
from structures import molecules

from mace_outlier.data.extxyz import write_frame
from mace_outlier.data.sources import UNKNOWN_SOURCE, find_source, read_frames


def with_results(frames: list[Atoms]) -> list[Atoms]:
    for atoms in frames:
        energy, forces = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=atoms.info["REF_stress"])
    return frames


# --- files that ASE reads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["train.xyz", "train.extxyz", "train.traj", "train.json", "train.db", "train.xyz.gz"])
def test_frames_of_a_file_that_ase_reads_are_those_that_ase_counts(tmp_path, name):
    ase.io.write(tmp_path / name, with_results(molecules(5)))
    read = list(read_frames(str(tmp_path / name)))
    assert len(read) == 5
    for frame, atoms in enumerate(read):
        assert_same_frame(atoms, ase.io.read(tmp_path / name, frame))


def test_a_selection_is_ignored_as_mace_ignores_it(tmp_path):
    path = str(tmp_path / "train.xyz")
    ase.io.write(path, molecules(4))
    _, seen_by_mace = load_from_xyz(f"{path}@1:3", keys())
    read = list(read_frames(f"{path}@1:3"))
    assert [len(atoms) for atoms in read] == [len(config.positions) for config in seen_by_mace]
    assert len(read) == 4


def test_rows_removed_from_a_database_leave_no_gap(tmp_path):
    path = tmp_path / "train.db"
    with ase.db.connect(path) as database:
        for atoms in with_results(molecules(4)):
            database.write(atoms)
        del database[2]
    energies = [atoms.get_potential_energy() for atoms in read_frames(str(path))]
    assert energies == [atoms.get_potential_energy() for atoms in ase.io.read(path, ":")]
    assert len(energies) == 3


def test_only_the_frames_that_are_asked_for_are_read(tmp_path):
    path = tmp_path / "train.xyz"
    ase.io.write(path, molecules(3))
    path.write_text(path.read_text() + "2\ncut short\nH 0 0 0\n")
    frames = read_frames(str(path))
    assert [len(next(frames)) for _ in range(3)] == [7, 3, 7]
    with pytest.raises(ValueError, match=r"train\.xyz: frame 3 can't be read"):
        next(frames)


# --- where they are --------------------------------------------------------------------------------------------------


def test_a_source_is_looked_for_here_and_then_where_the_training_ran(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, count in ((here, 1), (there, 2)):
        folder.mkdir()
        ase.io.write(folder / "train.xyz", molecules(count))
    monkeypatch.chdir(here)
    assert len(list(read_frames("train.xyz", there))) == 1
    (here / "train.xyz").unlink()
    assert len(list(read_frames("train.xyz", str(there)))) == 2
    assert find_source(str(there / "train.xyz"), here) == there / "train.xyz"
    with pytest.raises(ValueError, match=r"no training file train\.xyz in .*here: put it back"):
        find_source("train.xyz", None)


# --- HDF5 ------------------------------------------------------------------------------------------------------------


def assert_same_configuration(found: Configuration, expected: Configuration) -> None:
    np.testing.assert_array_equal(found.atomic_numbers, expected.atomic_numbers)
    np.testing.assert_array_equal(found.positions, expected.positions)
    np.testing.assert_array_equal(found.cell, expected.cell)
    assert tuple(found.pbc) == tuple(expected.pbc)
    assert (found.weight, found.config_type) == (expected.weight, expected.config_type)
    assert found.property_weights == expected.property_weights
    assert set(found.properties) == set(expected.properties)
    for name, value in expected.properties.items():
        np.testing.assert_array_equal(found.properties[name], value, err_msg=name)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_configurations_of_hdf5_come_back_as_mace_wrote_them(tmp_path, suffix):
    configs = configurations(6)
    path = tmp_path / f"train_0{suffix}"
    write_hdf5(path, configs)
    read = list(read_frames(str(path)))
    for atoms, config in zip(read, configs, strict=True):
        assert_same_configuration(config_from_atoms(atoms, keys()), config)
    assert "config_weight" not in read[0].info
    assert "config_energy_weight" not in read[0].info


def test_a_training_on_exported_hdf5_sees_the_same_configurations(tmp_path):
    configs = configurations(6)
    write_hdf5(tmp_path / "train.h5", configs)
    with (tmp_path / "export.xyz").open("w") as file:
        assert [note for atoms in read_frames(str(tmp_path / "train.h5")) for note in write_frame(file, atoms)] == []
    _, exported = load_from_xyz(str(tmp_path / "export.xyz"), keys(), head_name="")
    for found, config in zip(exported, configs, strict=True):
        assert_same_configuration(found, config)


def test_hdf5_frames_have_the_numbers_of_mace(tmp_path):
    path = tmp_path / "train.h5"
    write_hdf5(path, configurations(24), batch_size=2)  # batch 10 comes before batch 2 in the file
    dataset = HDF5Dataset(str(path), r_max=3.0, z_table=AtomicNumberTable([1, 8]))
    read = list(read_frames(str(path)))
    assert len(read) == len(dataset) == 24
    for frame, atoms in enumerate(read):
        np.testing.assert_allclose(atoms.positions, dataset[frame].positions, rtol=1e-6)


def test_properties_of_three_atoms_are_not_taken_for_properties_of_each_atom(tmp_path):
    extra = {"stress": np.eye(3), "dipole": np.ones(3), "site": np.arange(3.0), "temperature": 300.0}
    config = Configuration(np.array([8, 1, 1]), np.eye(3), extra, {}, cell=np.eye(3), pbc=(False,) * 3)
    write_hdf5(tmp_path / "a.h5", [config])
    (atoms,) = read_frames(str(tmp_path / "a.h5"))
    assert set(atoms.info) == {"REF_stress", "REF_dipole", "temperature", "config_type"}
    assert set(atoms.arrays) == {"numbers", "positions", "site"}


# --- LMDB ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".lmdb", ".aselmdb"])
def test_lmdb_frames_have_the_numbers_and_labels_of_mace(tmp_path, suffix):
    frames = molecules(4, cell=9.0)
    for number, atoms in enumerate(frames):
        labels = [atoms.info.pop("REF_energy"), atoms.arrays.pop("REF_forces"), atoms.info.pop("REF_stress")]
        atoms.info = {"name": f"frame {number}", "flags": [1, 2, 3]}
        atoms.arrays["site"] = np.arange(len(atoms))
        atoms.calc = SinglePointCalculator(atoms, **dict(zip(("energy", "forces", "stress"), labels, strict=True)))
    path = tmp_path / f"train{suffix}"
    write_lmdb(path, frames)
    with LMDBDatabase(str(path)) as database:
        database.delete([2])
    del frames[1]
    dataset = LMDBDataset(str(path), r_max=3.0, z_table=AtomicNumberTable([1, 8]))
    energies = [float(dataset[frame].energy) for frame in range(len(dataset))]
    del dataset  # a process can open a file of LMDB once
    for found, atoms, energy in zip(read_frames(str(path)), frames, energies, strict=True):
        atoms.info |= {"REF_energy": atoms.get_potential_energy(), "REF_stress": atoms.get_stress()}
        atoms.arrays["REF_forces"] = atoms.get_forces()
        assert_same_frame(found, atoms)
        np.testing.assert_allclose(found.info["REF_energy"], energy, rtol=1e-6)


# --- what can go wrong -----------------------------------------------------------------------------------------------


def truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def xyz(path: Path) -> Path:
    ase.io.write(path, molecules(4))
    return path


def hdf5(path: Path) -> Path:
    write_hdf5(path, configurations(4))
    return path


def incomplete_hdf5(path: Path) -> Path:
    with h5py.File(hdf5(path), "a") as file:
        del file["config_batch_0/config_2/positions"]
    return path


def foreign_hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["x"] = 1
    return path


BROKEN = {
    "truncated xyz": ("a.xyz", lambda path: truncated(xyz(path)), "a.xyz: frame 2 can't be read"),
    "truncated HDF5": ("a.h5", lambda path: truncated(hdf5(path)), "a.h5: frame 0 can't be read"),
    "incomplete HDF5": ("a.h5", incomplete_hdf5, "a.h5: frame 2 can't be read"),
    "foreign HDF5": ("a.h5", foreign_hdf5, "no HDF5 file of mace_prepare_data"),
    "xyz as HDF5": ("a.h5", lambda path: shutil.copy(xyz(path.with_suffix(".xyz")), path), "a.h5: frame 0 can't be"),
    "xyz as db": ("a.db", lambda path: shutil.copy(xyz(path.with_suffix(".xyz")), path), "a.db: frame 0 can't be read"),
    "xyz as LMDB": ("a.lmdb", lambda path: shutil.copy(xyz(path.with_suffix(".xyz")), path), "a.lmdb: frame 0 can't"),
    "text": ("a.xyz", lambda path: path.write_text("hello\nworld\n"), "a.xyz: frame 0 can't be read"),
    "empty": ("a.xyz", lambda path: path.touch(), "a.xyz: frame 0 can't be read .*[Ee]mpty"),
    "missing": ("a.xyz", lambda path: None, "there is no training file .*a.xyz"),
    "folder": ("a", lambda path: path.mkdir(), "there is no training file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_errors_name_the_file_and_the_frame(tmp_path, case):
    name, make, message = BROKEN[case]
    make(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        list(read_frames(str(tmp_path / name)))


def test_torch_is_not_loaded():
    program = "import sys, mace_outlier.data.sources, mace_outlier.cli.export; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_an_unknown_kind_of_data_is_said_to_be_that():
    with pytest.raises(ValueError, match="data of a kind that mace-outlier doesn't know"):
        find_source(UNKNOWN_SOURCE, None)
