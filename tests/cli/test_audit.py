"""Scores of a data set by a trained model, without training."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write
from conftest import within
from mace import __version__ as mace_version
from packaging.version import Version
from structures import molecules, spoil, write_hdf5, write_xyz

from mace_outlier.__main__ import main
from mace_outlier.data.shift import fit_shifts
from mace_outlier.results.reading import read_results
from mace_outlier.states import GEOMETRY, JUDGED, LABEL, UNUSED

EMBEDS = Version(mace_version) >= Version("0.3.14")  # conditions


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a model that was trained a little on good molecules."""
    from conftest import Mace

    mace = Mace(tmp_path_factory.mktemp("audit"))
    write_xyz(mace.folder, molecules(60), molecules(5, seed=1))
    mace.train("m", "--loss=weighted", "--max_num_epochs=12", "--energy_weight=10", "--forces_weight=10")
    return mace.folder / "m.model"


def audit(path, model, *flags):
    """Audit data.xyz in a folder; its results."""
    with within(path):
        main(["audit", f"--model={model}", "--data", "data.xyz", *flags])
    return read_results(path / "data_audit")


def write_planted(path, bad, count=40):
    frames = molecules(count, seed=9)
    spoil(frames, bad, energy=30.0)
    write(path / "data.xyz", frames)
    return frames


def top(results, count):
    return sorted(results.table.zscore.nlargest(count).index.tolist())


def test_planted_frames_are_the_suspects_and_the_page_is_there(tmp_path, model, capsys):
    write_planted(tmp_path, [3, 17, 31])
    results = audit(tmp_path, model)
    assert top(results, 3) == [3, 17, 31]
    assert results.table.weight[[3, 17, 31]].max() < 0.01
    assert (results.table.weight < 0.5).sum() <= 3 + 0.1 * 37  # the right ones have a distribution with a tail
    assert results.about["kind"] == "audit"
    assert (tmp_path / "data_audit_outliers.html").exists()
    assert "data.xyz" in capsys.readouterr().out
    sample = read(results.sample, ":")
    assert len(sample) == 40
    assert sorted(frame.info["row"] for frame in sample[:3]) == [3, 17, 31]


def test_many_wrong_labels_are_a_population_of_their_own(tmp_path, model):
    frames = molecules(90, seed=9)
    for frame in frames[::3]:
        frame.info["REF_energy"] += 5.0 * len(frame)
    write(tmp_path / "data.xyz", frames)
    results = audit(tmp_path, model)
    (distribution,) = results.about["distribution"]
    assert (distribution["kind"], distribution["share"]) == ("mixture", pytest.approx(1 / 3, abs=0.03))
    assert (results.table.weight < 0.5).tolist() == [i % 3 == 0 for i in range(90)]
    assert results.table.cause.tolist() == ["energy off by a constant" if i % 3 == 0 else "" for i in range(90)]
    assert results.table.cause_value[::3].tolist() == pytest.approx([5.0] * 30, abs=0.5)


def test_forces_of_the_wrong_sign_are_named_and_repaired_on_demand(tmp_path, model, capsys):
    frames = molecules(90, seed=9)
    right = [frame.arrays["REF_forces"].copy() for frame in frames]
    for frame in frames[::3]:
        frame.arrays["REF_forces"] *= -1
    write(tmp_path / "data.xyz", frames)
    results = audit(tmp_path, model)
    suspects = results.table.weight < 0.5
    assert suspects[::3].sum() > 20
    assert (results.table.cause[suspects] == "forces of the wrong sign").mean() > 0.8
    assert "Multiply by -1" in capsys.readouterr().out
    outputs = [tmp_path / name for name in ("s.xyz", "t.xyz", "r.xyz")]
    flags = zip(("--suspects", "--trusted", "--repaired"), map(str, outputs), strict=True)
    with within(tmp_path):
        main(["export", "data_audit", *(part for flag in flags for part in flag)])
    repaired = read(outputs[2], ":")
    assert len(repaired) == (results.table.cause == "forces of the wrong sign").sum()
    for frame in repaired:
        number = frame.info["outlier_frame"]
        assert np.allclose(frame.arrays["REF_forces"], right[number])
        assert np.allclose(frame.info["REF_forces_unrepaired"], -right[number])
        assert frame.info["outlier_repaired"] == "forces of the wrong sign"
    for frame in read(outputs[0], ":"):
        assert np.allclose(frame.arrays["REF_forces"], frames[frame.info["outlier_frame"]].arrays["REF_forces"])


def write_strained(path, model, wrong):
    """Crystals whose labels are the model's own predictions and a little noise, every third stress `wrong`."""
    from ase.stress import full_3x3_to_voigt_6_stress

    from mace_outlier.mace.models import Predictor

    frames, rng = molecules(120, seed=9, cell=6.0), np.random.default_rng(0)
    write(path / "data.xyz", frames)
    predictor = Predictor(model, "cpu")
    file = predictor.read(path / "data.xyz", {})
    for i, frame in enumerate(frames):
        batch = predictor.batch([predictor.sample(file, i)])
        output = predictor.model(batch.to_dict(), training=False, compute_stress=True)
        frame.info["REF_energy"] = output["energy"].item() + rng.normal(0, 1e-3)
        frame.arrays["REF_forces"] = output["forces"].numpy() + rng.normal(0, 1e-2, (len(frame), 3))
        stress = full_3x3_to_voigt_6_stress(output["stress"][0].numpy())
        stress = stress + rng.normal(0, 0.01 * np.abs(stress).max(), 6)
        frame.info["REF_stress"] = stress if i % 3 else wrong(stress)
        del frame.info["REF_virials"]
    write(path / "data.xyz", frames)


def test_stresses_are_audited_on_demand_and_counted_otherwise(tmp_path, model, capsys):
    write_strained(tmp_path, model, np.negative)
    without = audit(tmp_path, model).table
    assert "120 frames: stress not audited (--stress_weight=1 does)" in capsys.readouterr().out
    assert "stress_rmse" not in without
    assert (without.weight > 0.5).all()
    table = audit(tmp_path, model, "--stress_weight=1").table
    assert "not audited" not in capsys.readouterr().out
    suspects = table.weight < 0.5
    assert suspects[::3].sum() >= 38  # of 40
    assert suspects.sum() <= suspects[::3].sum() + 2
    assert (table.cause[suspects] == "stress of the wrong sign").mean() > 0.9
    added = table.loss - without.loss
    assert added.to_numpy() == pytest.approx(table.stress_rmse.to_numpy() ** 2, rel=1e-4, abs=1e-12)


def test_losses_are_those_of_mace(tmp_path, model):
    """Each frame alone, by MACE's own loss and model."""
    from mace import modules

    from mace_outlier.mace.models import Predictor

    frames = write_planted(tmp_path, [3], count=6)
    frames[1].info["config_weight"] = 0.5
    frames[2].info.update(config_energy_weight=0.25, config_forces_weight=4.0)
    write(tmp_path / "data.xyz", frames)
    table = audit(tmp_path, model, "--energy_weight=3", "--forces_weight=7", "--e0_shift=none", "--batch_size=4").table
    predictor, loss = Predictor(model, "cpu"), modules.WeightedEnergyForcesLoss(3.0, 7.0)
    file = predictor.read(tmp_path / "data.xyz", {})
    for frame, row in zip(frames, table.itertuples(), strict=True):
        batch = predictor.batch([predictor.sample(file, row.frame)])
        output = predictor.model(batch.to_dict(), training=False)
        assert row.loss == pytest.approx(loss(ref=batch, pred=output).item(), rel=1e-6)
        error = (output["energy"] - batch.energy).item() / len(frame)
        assert row.energy_error_per_atom == pytest.approx(error, rel=1e-6)


def test_another_reference_energy_is_no_error(tmp_path, model):
    frames = write_planted(tmp_path, [3, 17, 31])
    before = audit(tmp_path, model)
    for frame in frames:
        frame.info["REF_energy"] += 4.0 * np.sum(frame.numbers == 1) - 700.0
    write(tmp_path / "data.xyz", frames)
    after = audit(tmp_path, model)
    np.testing.assert_allclose(
        after.table.energy_error_per_atom, before.table.energy_error_per_atom, atol=2e-4
    )  # eV/atom
    moved = {name: after.about["options"][name] - before.about["options"][name] for name in shifts_of(after)}
    assert moved["e0_shift_H_eV"] == pytest.approx(-4.0, abs=5e-3)
    assert moved["e0_shift_O_eV"] == pytest.approx(700.0, abs=5e-3)
    stays = audit(tmp_path, model, "--e0_shift=none")
    assert stays.table.energy_error_per_atom.abs().min() > 50
    assert (tmp_path / "data_audit.1_outliers.csv").exists()  # earlier audits are kept


def shifts_of(results):
    return [name for name in results.about["options"] if name.startswith("e0_shift_")]


def test_shifts_are_those_of_the_right_majority():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (400, 3)).astype(float)
    true = np.array([0.3, -2.0, 50.0])
    errors = counts @ true + rng.normal(0, 0.01, 400) * counts.sum(1)
    errors[:120] += 5.0 * counts[:120].sum(1)  # 30 % wrong, all to one side
    np.testing.assert_allclose(fit_shifts(errors, counts), true, atol=0.02)
    water = np.tile([2.0, 1.0], (50, 1))  # the elements can't be told apart: the energy of a molecule can
    np.testing.assert_allclose(water @ fit_shifts(np.full(50, 6.0), water), 6.0, atol=1e-6)
    assert not fit_shifts(errors[:29], counts[:29]).any()


def test_missing_and_nonfinite_labels_and_gross_errors(tmp_path, model):
    frames = molecules(40, seed=9)
    del frames[1].info["REF_energy"], frames[2].arrays["REF_forces"]
    del frames[4].info["REF_energy"], frames[4].arrays["REF_forces"]
    frames[5].info["REF_energy"] = np.nan
    frames[6].arrays["REF_forces"][0, 0] = np.inf
    frames[7].arrays["REF_forces"][0, 0] = 1e7
    frames[8].arrays["REF_forces"] *= -3
    frames[9].info |= {"config_weight": 0, "REF_energy": -999.0}
    frames[10].info |= {"config_energy_weight": 0, "REF_energy": -999.0}
    frames[11].positions[1] = frames[11].positions[0]
    write(tmp_path / "data.xyz", frames)
    table = audit(tmp_path, model).table
    states = {4: UNUSED, 5: LABEL, 6: LABEL, 9: UNUSED, 11: GEOMETRY}
    assert table.state.tolist() == [states.get(i, JUDGED) for i in range(40)]
    assert np.isnan(table.energy_error_per_atom[[1, 4, 5, 9, 10, 11]]).all()
    assert np.isnan(table.force_rmse[[2, 4, 6, 9, 11]]).all()
    assert table.index[table.zscore.isna()].tolist() == [4, 5, 6, 9, 11]
    assert (table.weight[[4, 9, 10]] == 1).all()
    assert (table.weight[[5, 6, 11]] == 0).all()
    assert table.index[table.loss.isna()].tolist() == [5, 6, 11]
    assert table.weight[7] < 1e-6
    assert table.weight[8] < 0.5  # not hidden by the gross error beside it


def test_a_model_that_is_not_finite_judges_nothing(tmp_path, model, capsys):
    broken = torch.load(model, weights_only=False)
    next(broken.parameters()).data.fill_(torch.nan)
    torch.save(broken, tmp_path / "nan.model")
    write(tmp_path / "data.xyz", molecules(3))
    with pytest.raises(SystemExit) as refused:
        audit(tmp_path, tmp_path / "nan.model")
    assert "the model predicts nothing finite for any configuration" in f"{refused.value} {capsys.readouterr().err}"
    assert not list(tmp_path.glob("data_audit*"))


def test_kinds_of_data(tmp_path, model):
    """HDF5 shards, and labels that ASE keeps in a calculator."""
    for name, bad in (("b.h5", [4]), ("a.h5", [])):
        frames = molecules(20, seed=len(bad))
        spoil(frames, bad, energy=30.0)
        write_hdf5(tmp_path / "shards" / name, frames)
    with within(tmp_path):
        main(["audit", f"--model={model}", "--data", "shards", "--out=there/x"])
    table = read_results(tmp_path / "there" / "x").table
    assert (table.source[24], table.frame[24]) == ("shards/b.h5", 4)
    assert table.zscore.idxmax() == 24
    frames = write_planted(tmp_path, [5])
    for frame in frames:
        frame.calc = SinglePointCalculator(
            frame, energy=frame.info.pop("REF_energy"), forces=frame.arrays.pop("REF_forces")
        )
    write(tmp_path / "data.xyz", frames)
    assert top(audit(tmp_path, model, "--energy_key=energy", "--forces_key=forces"), 1) == [5]


@pytest.mark.parametrize("out", [".", "there/", "there"])
def test_results_go_into_a_folder_that_there_is(tmp_path, model, out):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "data_audit").mkdir()  # of something else
    write_planted(tmp_path, [], count=3)
    with within(tmp_path):
        main(["audit", f"--model={model}", "--data", "data.xyz", f"--out={out}"])
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*_outliers*")}
    assert written == {Path(out) / f"data_audit_outliers.{suffix}" for suffix in ("csv", "json", "xyz", "html")}
    assert len(read_results(tmp_path / out / "data_audit").table) == 3


# --- the same file, by a training and by an audit -------------------------------------------------------------------


def as_calculator(frame, *left_out):
    """The frame with its labels as results of a calculator, but for some of them."""
    results = {"energy": frame.info["REF_energy"], "forces": frame.arrays["REF_forces"]}
    for name in left_out:
        del results[name]
    frame.calc = SinglePointCalculator(frame, **results)
    frame.info = {name: value for name, value in frame.info.items() if not name.startswith("REF_")}
    del frame.arrays["REF_forces"]


def odd_frames():
    """20 molecules: isolated atoms, labels that are not there or no numbers, fixed atoms, weights, charges."""
    frames = molecules(20, seed=3)
    for i in (0, 7):
        frames[i] = Atoms("HO"[i // 7], info={"REF_energy": -1.0 - i // 7, "config_type": "IsolatedAtom"})
        frames[i].arrays["REF_forces"] = np.zeros((1, 3))
    frames[3].set_constraint(FixAtoms([0, 1]))
    frames[5].info.update(config_weight=0.0, config_type="unweighted")
    frames[6].info["config_energy_weight"] = 0.0
    frames[9].info["REF_energy"] = np.nan
    for i in range(10, 15):
        frames[i].info.update(charge=i % 2, total_spin=2)
    return frames


READINGS = {
    "own keys": ((), {"isolated atoms, which are no training data": 2}),
    "keys of the calculator": (
        ("--energy_key=energy", "--forces_key=forces"),
        {
            "isolated atoms, which are no training data": 2,
            "forces of fixed atoms replaced by 0": 1,
            "energy replaced by 0": 1,
            "forces replaced by 0": 2,
        },
    ),
}


@pytest.mark.parametrize("how", READINGS)
def test_an_audit_reads_a_file_as_a_training_does(how, mace, capsys):
    """The same rows, labels and counts: a model that does not change has the same errors in both tables."""
    keys, counts = READINGS[how]
    frames = odd_frames()
    for i, frame in enumerate(frames):
        left_out = ["energy"] * (i == 16) + ["forces"] * (i in (16, 17))
        if keys:
            as_calculator(frame, *left_out)
        elif left_out:
            frame.info.pop("REF_energy", None)
            del frame.arrays["REF_forces"]
    write_xyz(mace.folder, frames, molecules(5, seed=1))
    embedding = {"total_charge": {"type": "continuous", "per": "graph", "in_dim": 1, "emb_dim": 4, "key": "charge"}}
    flags = [*keys, "--valid_fraction=0.1", "--lr=0", "--max_num_epochs=1", "--batch_size=1", "--num_channels=4"]
    charged = ["--total_charge_key=charge", f"--embedding_specs={json.dumps(embedding)}"] if EMBEDS else []
    run = mace.train("m", "--loss=ema_robust", *flags, *charged, valid=None)
    trained = read_results(mace.folder).table.set_index("frame").sort_index()
    with within(mace.folder):
        main(["audit", "--model=m.model", "--data", "train.xyz", "--e0_shift=none", *keys, "--total_charge_key=charge"])
    audited = read_results(mace.folder / "train_audit")
    table = audited.table.set_index("frame")
    assert table.index.tolist() == trained.index.tolist() == [i for i in range(20) if i not in (0, 7)]
    for column in ("source", "config_type", "formula", "n_atoms"):
        assert table[column].tolist() == trained[column].tolist()
    for column in ("energy_error_per_atom", "force_rmse"):
        np.testing.assert_allclose(table[column], trained[column], rtol=1e-4, atol=1e-5)
    assert audited.about["reading"] == read_results(mace.folder / "results").about["reading"] == counts
    assert "train.xyz: 2 of 20 frames are isolated atoms, and give E0s only" in run.log
    assert f"2 frames: {next(iter(counts))}" in capsys.readouterr().out
    assert ("train.xyz: 2 of 20 frames have no forces, and MACE trains on 0 in its place" in run.log) == bool(keys)
    assert ("train.xyz: 1 of 20 frames hold atoms fixed, whose forces are 0" in run.log) == bool(keys)
    assert table.index[table.force_rmse.isna()].tolist() == ([5, 9] if keys else [5, 9, 16, 17])


def gold(path):
    write(path / "data.xyz", Atoms("Au2", positions=[[0, 0, 0], [0, 0, 2.5]], info={"REF_energy": 1.0}))


def no_labels(path):
    frames = molecules(3)
    for frame in frames:
        frame.info, frame.arrays = {}, {name: frame.arrays[name] for name in ("numbers", "positions")}
    write(path / "data.xyz", frames)


def scripted(path):
    """What MACE writes beside the model, as NAME_compiled.model."""
    write_planted(path, [0], count=3)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("atomic_numbers", torch.tensor([1, 8]))
            self.register_buffer("r_max", torch.tensor(3.0))

        def forward(self, x):
            return x

    torch.jit.script(Model()).save(path / "scripted.model")


def test_a_file_that_is_named_twice_is_read_once(tmp_path, model):
    for name, bad in (("a", []), ("b", [1])):
        frames = molecules(5, seed=len(bad))
        spoil(frames, bad, energy=30.0)
        write(tmp_path / f"{name}.xyz", frames)
    with within(tmp_path):
        main(["audit", f"--model={model}", "--data", "a.xyz", "b.xyz", "--out=once"])
        main(["audit", f"--model={model}", "--data", "a.xyz", "b.xyz", "a.xyz", "--out=twice"])
    once, twice = (read_results(tmp_path / name).table for name in ("once", "twice"))
    assert once.equals(twice)


@pytest.mark.parametrize(
    ("prepare", "flags", "message"),
    [
        (gold, [], r"data.xyz frame 0 has elements that the model does not know: Z = \[79\]"),
        (
            no_labels,
            [],
            "None of 'REF_energy', .*data.xyz|no configuration has a label under REF_energy or REF_forces: set",
        ),
        (None, ["--head=nobody"], "--head nobody: the model has the heads Default"),
        (None, ["--model=data.xyz"], "--model data.xyz is not a model saved by MACE's training"),
        (None, ["--model=nowhere"], "--model nowhere is not a model saved by MACE's training"),
        (None, ["--batch_size=0"], "--batch_size: '0' is not 1 or more"),
        (None, ["--energy_weight=0", "--forces_weight=0"], "are both 0"),
        (
            None,
            ["--stress_weight=1", "--stress_key=dft_stress"],
            "--stress_weight: no configuration has a label under dft_stress: set --stress_key",
        ),
        (None, ["--energy_weight=nan"], "--energy_weight: 'nan' is not a number"),
        (None, ["--device=foo"], "--device foo: "),
        (None, ["--device=cuda:77"], "--device cuda:77: "),
        (scripted, ["--model=scripted.model"], "--model scripted.model is not a model saved by MACE's training"),
        (None, ["--data", "missing.xyz"], "there is no training file missing.xyz"),
    ],
)
def test_errors(tmp_path, model, capsys, prepare, flags, message):
    (prepare or (lambda path: write_planted(path, [0], count=3)))(tmp_path)
    with pytest.raises(SystemExit) as refused:
        audit(tmp_path, model, *flags)
    output = f"{refused.value} {capsys.readouterr().err}"
    assert re.search(message, output), output
    assert not list(tmp_path.glob("*_outliers*"))


def test_default_dtype_is_put_back(tmp_path, model):
    write_planted(tmp_path, [0], count=4)
    before = torch.get_default_dtype()
    audit(tmp_path, model, "--default_dtype=float32")
    assert torch.get_default_dtype() == before
