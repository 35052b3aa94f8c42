"""`mace_outlier export`: the training set as suspects and trusted configurations, with nothing lost."""

import weakref
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from frames import assert_same_frame, configurations, keys, row, run_export, save, write_hdf5, write_lmdb
from mace.data import load_from_xyz
from structures import molecules

from mace_outlier.cli import exported
from mace_outlier.cli.exported import KEYS
from mace_outlier.data.sources import read_frames


def run_on(folder: Path, rows: list[dict[str, Any]], *flags: str) -> tuple[list[Atoms], list[Atoms]]:
    """Export and read both files."""
    outputs = [folder / "s.xyz", folder / "t.xyz"]
    run_export(save(folder, rows), "--suspects", outputs[0], "--trusted", outputs[1], *flags)
    return tuple(ase.io.read(path, ":", format="extxyz") for path in outputs)


def numbers(frames: list[Atoms]) -> list[int]:
    return [int(atoms.info["outlier_frame"]) for atoms in frames]


def labelled(count: int) -> list[Atoms]:
    """Configurations with results and info of many kinds; some periodic."""
    frames = molecules(count, cell=9.0)
    for number, atoms in enumerate(frames):
        if number % 2:
            atoms.cell, atoms.pbc = None, False
        atoms.arrays["tiny"] = 1e-11 * atoms.positions
        atoms.info |= {"name": f"frame {number}", "config_type": "NA", "flag": True, "virial": np.eye(3) / 3}
        forces = atoms.arrays["REF_forces"] / 3
        atoms.calc = SinglePointCalculator(atoms, energy=number / 3, forces=forces, stress=np.arange(6) / 7)
    return frames


# --- what is written -------------------------------------------------------------------------------------------------


def write_training_file(path: Path) -> None:
    if path.suffix == ".h5":
        write_hdf5(path, configurations(5))
    elif path.suffix == ".aselmdb":
        write_lmdb(path, labelled(5))
    else:
        ase.io.write(path, labelled(5))


@pytest.mark.parametrize("name", ["train.xyz", "train.db", "train.traj", "train.h5", "train.aselmdb"])
def test_both_files_together_are_the_training_set(tmp_path, name):
    path = tmp_path / name
    write_training_file(path)
    originals = list(read_frames(str(path)))
    suspects, trusted = run_on(tmp_path, [row(path, i, atoms) for i, atoms in enumerate(originals)])
    assert numbers(suspects) == [1, 2]
    assert numbers(trusted) == [0, 3, 4]
    for atoms in suspects + trusted:
        assert_same_frame(atoms, originals[atoms.info["outlier_frame"]], without=KEYS)


def test_configurations_carry_what_the_training_found(tmp_path):
    ase.io.write(tmp_path / "train.xyz", molecules(3))
    rows = [row("train.xyz", i, stress_rmse=0.25, dipole_rmse=0.125) for i in range(3)]
    suspects, _ = run_on(tmp_path, rows)
    found = {key: value for key, value in suspects[1].info.items() if key.startswith("outlier_")}
    assert found == {
        "outlier_weight": 0.1, "outlier_mean_weight": 0.2, "outlier_zscore": 4 + 2 / 7, "outlier_loss": 3.0,
        "outlier_energy_error_per_atom": 0.5, "outlier_stress_rmse": 0.25, "outlier_dipole_rmse": 0.125,
        "outlier_split": "train",
        "outlier_source": "train.xyz", "outlier_frame": 2,
    }  # fmt: skip


def test_mace_trains_on_the_same_data_as_before(tmp_path):
    ase.io.write(tmp_path / "train.xyz", labelled(5))
    run_on(tmp_path, [row("train.xyz", i) for i in range(5)])
    _, before = load_from_xyz(str(tmp_path / "train.xyz"), keys())
    after = [load_from_xyz(str(tmp_path / name), keys())[1] for name in ("s.xyz", "t.xyz")]
    for old, new in zip(before, [after[1][0], *after[0], *after[1][1:]], strict=True):
        np.testing.assert_array_equal(new.positions, old.positions)
        np.testing.assert_array_equal(new.properties["forces"], old.properties["forces"])
        assert new.properties["energy"] == old.properties["energy"]
        assert (new.weight, new.config_type) == (old.weight, old.config_type)


def test_sources_follow_each_other_in_the_order_of_the_table(tmp_path):
    (tmp_path / "train").mkdir()
    sources = [f"train/train_{i}.h5" for i in range(3)]
    for source in sources:
        write_hdf5(tmp_path / source, configurations(4))
    _, trusted = run_on(tmp_path, [row(source, i) for source in sources for i in range(4)])
    assert [atoms.info["outlier_source"] for atoms in trusted] == [source for source in sources for _ in (0, 3)]
    assert numbers(trusted) == [0, 3] * 3


def test_a_table_that_was_sorted_by_weight_gives_the_same(tmp_path):
    ase.io.write(tmp_path / "train.xyz", molecules(5))
    suspects, trusted = run_on(tmp_path, [row("train.xyz", i) for i in (3, 0, 4, 2, 1)])
    assert (numbers(suspects), numbers(trusted)) == ([1, 2], [0, 3, 4])


def test_isolated_atoms_stay_and_the_validation_split_goes(tmp_path, capsys):
    atom = Atoms("H", info={"config_type": "IsolatedAtom", "REF_energy": -1 / 3})
    frames = molecules(4)
    frames[1].info["config_type"] = "IsolatedAtom"  # not to MACE: it has three atoms
    ase.io.write(tmp_path / "train.xyz", [*frames[:2], atom, *frames[2:], atom])
    rows = [row("train.xyz", i, weight=0.9) for i in (0, 3, 5)]  # 1 and 4 are the validation split
    suspects, trusted = run_on(tmp_path, rows)
    assert suspects == []
    assert [atoms.info.get("outlier_frame") for atoms in trusted] == [0, None, 3, 5]
    assert_same_frame(trusted[1], ase.io.read(tmp_path / "train.xyz", 2))
    said = capsys.readouterr().out
    assert "t.xyz: 3 configurations, and 1 isolated atoms as they were" in said
    assert "2 frames were not trained on (validation split)" in said


def test_validation_frames_are_written_and_named(tmp_path, capsys):
    """One of them is in the training set as well."""
    for name in ("train.xyz", "valid.xyz"):
        ase.io.write(tmp_path / name, molecules(5))
    rows = [row("train.xyz", i) for i in (0, 1, 3)]
    validation = (("train.xyz", 2), ("train.xyz", 3), ("valid.xyz", 4))
    rows += [row(*place, split="valid", weight=0.3) for place in validation]
    suspects, trusted = (
        [tuple(atoms.info[f"outlier_{name}"] for name in ("source", "frame", "split")) for atoms in part]
        for part in run_on(tmp_path, rows)
    )
    assert suspects == [("train.xyz", 1, "train"), *((*place, "valid") for place in validation)]
    assert trusted == [("train.xyz", 0, "train"), ("train.xyz", 3, "train")]
    said = capsys.readouterr().out
    assert "3 of them are validation configurations (info outlier_split=valid), 3 of these suspects: keep them" in said
    assert "5 frames were not used and are in neither file" in said


def test_each_head_has_its_configurations(tmp_path, capsys):
    ase.io.write(tmp_path / "a.xyz", molecules(3))
    rows = [row("a.xyz", i, head=head) for head in ("dft", "cc") for i in range(3 if head == "dft" else 2)]
    suspects, trusted = run_on(tmp_path, rows)
    assert [atoms.info["outlier_head"] for atoms in suspects + trusted] == ["dft", "dft", "cc", "dft", "cc"]
    said = capsys.readouterr().out
    assert "--head NAME exports one of them; 2 configurations belong to more than one" in said
    suspects, trusted = run_on(tmp_path, rows, "--head", "cc", "--force")
    assert [atoms.info["outlier_head"] for atoms in suspects + trusted] == ["cc", "cc"]
    assert "--head" not in capsys.readouterr().out


def test_who_is_a_suspect(tmp_path, capsys):
    ase.io.write(tmp_path / "train.xyz", molecules(4))
    rows = [
        row("train.xyz", 0, weight=0.59),
        row("train.xyz", 1, weight=0.6),
        row("train.xyz", 2, weight=1.0, loss=np.nan),
        row("train.xyz", 3, weight=1.0, loss=np.nan, times_seen=0),
    ]
    suspects, trusted = run_on(tmp_path, rows, "--below", "0.6")
    assert (numbers(suspects), numbers(trusted)) == ([0, 2], [1, 3])
    said = capsys.readouterr().out
    assert "s.xyz: 2 of 4 configurations have a weight below 0.6" in said
    assert "1 of them were never seen" in said


def test_what_an_earlier_export_wrote_is_replaced(tmp_path):
    stale = {"outlier_weight": 0.5, "outlier_force_rmse": 9.0, "outlier_head": "other", "outlier_of": "mine"}
    (atoms,) = molecules(1)
    atoms.info |= stale
    ase.io.write(tmp_path / "train.xyz", atoms)
    _, (found,) = run_on(tmp_path, [row("train.xyz", 0)])
    assert found.info["outlier_weight"] == 0.9
    assert not {"outlier_force_rmse", "outlier_head"} & found.info.keys()
    assert found.info["outlier_of"] == "mine"


def test_without_suspects_the_file_is_empty(tmp_path, capsys):
    ase.io.write(tmp_path / "train.xyz", molecules(1))
    run_on(tmp_path, [row("train.xyz", 0)])
    assert (tmp_path / "s.xyz").read_text() == ""
    assert "s.xyz: 0 of 1 configurations have a weight below 0.5 or are not finite: the file is empty" in (
        capsys.readouterr().out
    )


def test_what_extended_xyz_cannot_hold_is_said(tmp_path, capsys):
    frames = molecules(2)
    for atoms in frames:
        atoms.info["ragged"] = [[1], [2, 3]]
    ase.io.write(tmp_path / "train.traj", frames)
    run_on(tmp_path, [row("train.traj", i) for i in range(2)])
    assert "note: info entry ragged comes back as JSON text (2 configurations)" in capsys.readouterr().out


def test_configurations_are_not_kept_in_memory(tmp_path, monkeypatch):
    (tmp_path / "train.xyz").touch()
    alive: list[weakref.ref[Atoms]] = []
    most = 0

    def frames(source, directory):
        nonlocal most
        for _ in range(50):
            atoms = Atoms("H")
            alive.append(weakref.ref(atoms))
            most = max(most, sum(reference() is not None for reference in alive))
            yield atoms

    monkeypatch.setattr(exported, "read_frames", frames)
    run_on(tmp_path, [row("train.xyz", i) for i in range(50)])
    assert len(alive) == 50
    assert most <= 3
