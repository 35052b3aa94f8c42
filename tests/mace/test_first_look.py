"""What a robust training says of its labels before the first step, and that it changes nothing by that."""

import random

import numpy as np
import pytest
import torch
from ase.io import write
from conftest import load_checkpoint
from mace import __version__ as mace_version
from made_up_checks import series
from packaging.version import Version
from structures import molecules, write_hdf5, write_xyz

from mace_outlier.mace import first_look

ROBUST = ["--loss=ema_robust", "--max_num_epochs=1"]


def said(log):
    return [line.split("Labels", 1)[1] for line in log.splitlines() if "Labels" in line]


@pytest.fixture
def drifting(mace):
    """20 molecules; forces of two don't add up, and an energy is no number."""
    train = molecules(20)
    for i in (4, 9):
        train[i].arrays["REF_forces"] += [0.0, 0.0, 3.0]
    train[7].info["REF_energy"] = np.nan
    write_xyz(mace.folder, train, molecules(5, seed=1))
    return mace


def test_what_is_wrong_is_said_before_the_first_epoch(drifting):
    log = drifting.train("wrong", *ROBUST).log
    summary, *findings = said(log)
    assert "of 20 of 20 training configurations checked" in summary
    assert "2 findings" in summary
    assert summary.endswith("mace_outlier check train.xyz")
    assert "likely wrong: the energy is NaN" not in log
    assert any("certainly wrong: the energy is NaN" in line and "train.xyz: frame 7 (1)" in line for line in findings)
    assert any("the forces add up to" in line and "train.xyz: frames 4, 9 (2)" in line for line in findings)
    assert log.index("Labels of 20") < log.index("Epoch 0")


def test_right_labels_are_one_line(mace):
    write_xyz(mace.folder, molecules(20), molecules(5, seed=1))
    (summary,) = said(mace.train("right", *ROBUST).log)
    assert "no findings" in summary


def test_the_training_is_the_same_without_it(drifting, monkeypatch):
    looked = drifting.train("looked", *ROBUST)
    monkeypatch.setattr(first_look, "look", lambda *_: None)
    blind = drifting.train("blind", *ROBUST)
    assert said(looked.log)
    assert not said(blind.log)
    one, other = (load_checkpoint(run.checkpoints[-1]) for run in (looked, blind))
    for key, value in one["model"].items():
        assert torch.equal(value, other["model"][key])


def test_no_random_number_is_drawn_and_no_sample_changed(drifting, monkeypatch):
    before_and_after = []
    original = first_look.look

    def state(dataset):
        content = [value.clone() for sample in dataset for _, value in sample if torch.is_tensor(value)]
        return [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(int)), *content], random.getstate()

    def look(run, *rest):
        before_and_after.append(state(run.dataset))
        original(run, *rest)
        before_and_after.append(state(run.dataset))

    monkeypatch.setattr(first_look, "look", look)
    drifting.train("state", *ROBUST)
    (before, python), (after, python_after) = before_and_after
    assert python == python_after
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_fault_is_logged_and_the_training_goes_on(mace, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(first_look, "loaded", broken)
    log = mace.train("fault", *ROBUST).log
    assert "The labels could not be checked (RuntimeError: no such thing)" in log
    assert "Epoch 0: head: Default, ema_robust" in log


def test_it_ends_when_the_time_is_up(mace, monkeypatch):
    monkeypatch.setattr("mace_outlier.checks.loaded.budget", lambda *_: 0.0)
    assert "of 1 of 20 training configurations" in said(mace.train("short", *ROBUST).log)[0]


def test_samples_of_a_file_on_disk(mace):
    train = molecules(20)
    train[6].arrays["REF_forces"] += [0.0, 0.0, 3.0]
    write_hdf5(mace.folder / "train" / "train_0.h5", train)
    write_hdf5(mace.folder / "valid" / "valid_0.h5", molecules(5, seed=1))
    log = mace.train("disk", *ROBUST, "--atomic_numbers=[1, 8]", train="train", valid="valid").log
    assert any("the forces add up to" in line and "train_0.h5: frame 6 (1)" in line for line in said(log))


def test_periodic_frames_and_stress_come_as_they_are(mace):
    train = series(24)
    for atoms in train:
        atoms.info["REF_stress"] = np.full(6, 0.01)
    train[5].info["REF_stress"] = np.zeros(6)
    train[8].positions[1] = train[8].positions[0] + train[8].cell[2] + [0.2, 0, 0]
    write(mace.folder / "train.xyz", train)
    write(mace.folder / "valid.xyz", series(4, seed=1))
    cells = [*ROBUST, "--E0s={29: 0.0}"]
    findings = "\n".join(said(mace.train("cells", *cells, "--ema_robust_base_loss=stress").log))
    assert "the stress of a periodic cell is exactly 0" in findings
    assert "train.xyz: frame 5 (1)" in findings
    assert "atoms within each other's cores: 0.2 A apart" in findings
    assert "train.xyz: frame 8 (1)" in findings
    assert not any("stress" in line for line in said(mace.train("no_stress", *cells).log))  # the loss has none


def test_a_training_of_dipoles_needs_no_energies(mace):
    train = molecules(20)
    for atoms in train:
        del atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    write_xyz(mace.folder, train, train[:5])
    dipoles = ["--model=AtomicDipolesMACE", "--ema_robust_base_loss=dipole", "--error_table=DipoleRMSE"]
    vectors = ["--hidden_irreps=4x0e+4x1o", "--MLP_irreps=4x0e"]
    (summary,) = said(mace.train("dipoles", *ROBUST, *dipoles, *vectors).log)
    assert "(net_force, sizes, energies, geometry, settings): no findings" in summary


def test_energies_of_isolated_atoms_of_another_code(mace):
    write_xyz(mace.folder, molecules(20), molecules(5, seed=1))
    log = mace.train("E0s", *ROBUST, "--E0s={1: -13.6, 8: -2041.0}").log
    assert any("no binding energy is like that" in line for line in said(log))


HEADS = "heads:\n" + "".join(
    f"  {name}: {{train_file: {name}.{kind}, valid_file: valid.{kind}, E0s: '{{1: 0.0, 8: 0.0}}'}}\n"
    for name, kind in (("one", "h5"), ("two", "xyz"))
)


@pytest.mark.skipif(Version(mace_version) < Version("0.3.14"), reason="0.3.13 doesn't read this")
def test_a_head_that_mace_trains_as_another_one_is_named(mace):
    train = molecules(20)
    write_hdf5(mace.folder / "one.h5", train[:10])
    write(mace.folder / "two.xyz", train[10:])
    valid = molecules(5, seed=1)
    write_hdf5(mace.folder / "valid.h5", valid), write(mace.folder / "valid.xyz", valid)
    (mace.folder / "heads.yaml").write_text(HEADS)
    log = mace.train("heads", *ROBUST, "--config=heads.yaml", "--atomic_numbers=[1,8]").log
    named = [line for line in log.splitlines() if "MACE trains the configurations of" in line]
    assert len(named) == 1
    assert "head one: MACE trains the configurations of one.h5 as those of head two" in named[0]
