"""scripts/prepare_spice.py: made-up SPICE files of both schemas, through the command, back by MACE's own readers."""

import errno
import fcntl
import json
import re
import subprocess
import sys
import time
from ast import literal_eval
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
from mace.data import HDF5Dataset, KeySpecification, LMDBDataset, compute_average_E0s, config_from_atoms, load_from_xyz
from mace.modules import compute_statistics
from mace.tools import AtomicNumberTable, torch_geometric
from mace.tools.run_train_utils import load_dataset_for_path
from made_up_spice import ELEMENTS, SUBSETS, write_spice

from mace_outlier.data.sources import read_frames

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import prepare_spice  # noqa: E402
import spice_folder  # noqa: E402
import spice_statistics  # noqa: E402
import spice_writing  # noqa: E402
from spice_folder import Origin, origin  # noqa: E402

REAL = ROOT.parent / "shared" / "data" / "spice_des_monomers_gfn2.hdf5"
HARTREE, BOHR = 27.211386, 0.52917721  # eV and Angstrom, to eight digits (CODATA)
SPLIT = ("--valid", "0.25", "--test", "0.25", "--seed", "36")  # gives each split some of the 12 molecules


@pytest.fixture
def spice(tmp_path):
    return write_spice(tmp_path / "spice.hdf5")


def prepare(source, out, *flags):
    """Run the command in this process; return the folder."""
    prepare_spice.main([str(source), "--out", str(out), *SPLIT, *map(str, flags)])
    return out


def refusal(source, out, *flags):
    """The message with which the command ends."""
    with pytest.raises(SystemExit) as stopped:
        prepare(source, out, *flags)
    return str(stopped.value)


def everything(folder):
    """All of a data set: the index, and every configuration in its order."""
    index = pandas.read_parquet(folder / "index.parquet")
    frames = [
        (str(path.relative_to(folder)), atoms.info.get("REF_energy"), atoms.arrays["REF_forces"].sum(axis=1).tolist())
        for path in sorted(folder.glob("*/0*"))
        for atoms in read_frames(str(path))
    ]
    return index, frames, json.loads((folder / "statistics.json").read_text())


def same(one, other):
    return one[0].equals(other[0]) and one[1:] == other[1:]


def samples_of(path):
    """What MACE makes of a shard; its data sets have a length, and no end."""
    reader = HDF5Dataset if path.suffix == ".h5" else LMDBDataset
    dataset = reader(str(path), r_max=5.0, z_table=AtomicNumberTable([1, 6, 8]))
    return [dataset[i] for i in range(len(dataset))]


def edit(path, molecule, key, value):
    """Replace a dataset, or remove it."""
    with h5py.File(path, "r+") as file:
        group = file[str(103147721 + molecule)]
        units = dict(group[key].attrs)
        del group[key]
        if value is not None:
            group[key] = value
            group[key].attrs.update(units)


# --- conversion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_units_signs_and_texts_reach_mace_as_computed_by_hand(tmp_path, double_precision, version):
    source = write_spice(tmp_path / "s.hdf5", version=version)
    for molecule in range(12):
        edit(source, molecule, "dft_total_energy", np.full(5, -2.0))
        edit(source, molecule, "dft_total_gradient", np.full((5, 2 + molecule % 4, 3), 0.5))
        edit(source, molecule, "conformations", np.arange(2 + molecule % 4)[:, None] * np.full((5, 1, 3), 3.0))
    out = prepare(source, tmp_path / "out", "--shard_size", 1000)
    for sample in samples_of(out / "train" / "00000_train.h5"):
        assert sample.energy.item() == pytest.approx(-54.422772)
        assert sample.forces.flatten().tolist() == pytest.approx([-25.711034] * sample.forces.numel())
        assert sample.positions[1].tolist() == pytest.approx([1.58753163] * 3)
        assert (sample.energy_weight, sample.forces_weight, sample.stress_weight) == (1, 1, 0)
    types = {atoms.info["config_type"] for atoms in read_frames(str(out / "train" / "00000_train.h5"))}
    assert types == set(SUBSETS)


@pytest.mark.parametrize("kind", ["hdf5", "lmdb", "xyz"])
def test_wrong_and_missing_labels_are_kept_and_counted_in_every_format(spice, tmp_path, kind, double_precision, capsys):
    edit(spice, 0, "dft_total_gradient", None)
    energies, gradients = np.array([-40.0, np.nan, np.inf, -40.0, -40.0]), np.full((5, 5, 3), 0.5)
    gradients[3, 1, 2], gradients[4, 1, 2] = np.nan, -np.inf
    edit(spice, 3, "dft_total_energy", energies)
    edit(spice, 3, "dft_total_gradient", gradients)
    with h5py.File(spice, "r+") as file:
        file["103147724"]["total_charge"] = [-1.0]
    out = prepare(spice, tmp_path / "out", "--format", kind)
    text = capsys.readouterr().out
    assert "energy missing: 0, energy not finite: 2, forces missing: 5, forces not finite: 2" in text
    index = pandas.read_parquet(out / "index.parquet")
    assert len(index) == 60
    for shard, rows in index.groupby("shard"):
        if kind == "xyz":
            samples = load_from_xyz(str(out / shard), KeySpecification.from_defaults())[1]
            energy = [sample.properties["energy"] for sample in samples]
            forces = [sample.properties["forces"] for sample in samples]
            weights = [sample.property_weights["forces"] for sample in samples]
            charges = [sample.properties["total_charge"] or 0.0 for sample in samples]
        else:
            samples = samples_of(out / shard)
            energy, forces = [s.energy.item() for s in samples], [s.forces.numpy() for s in samples]
            weights, charges = [s.forces_weight.item() for s in samples], [s.total_charge.item() for s in samples]
        assert len(samples) == len(rows)
        for i, row in enumerate(rows.itertuples()):
            if row.group == "103147724":
                assert energy[i] == pytest.approx(energies[row.conformation] * HARTREE, nan_ok=True)
                expected = -gradients[row.conformation] * HARTREE / BOHR
                np.testing.assert_allclose(forces[i], expected, rtol=1e-7)
            assert weights[i] == (row.group != "103147721")
            assert charges[i] == -(row.group == "103147724")


def test_the_index_points_back_into_spice(spice, tmp_path):
    out = prepare(spice, tmp_path / "out", "--format", "lmdb", "--shard_size", 7)
    seen = set()
    with h5py.File(spice) as file:
        for path in sorted(out.glob("*/0*")):
            for position, atoms in enumerate(read_frames(str(path))):
                found = origin(out / "index.parquet", str(path), position)
                group = file[found.group]
                np.testing.assert_allclose(
                    atoms.positions, group["conformations"][found.conformation] * BOHR, rtol=1e-6
                )
                assert found == Origin(
                    atoms.info["spice_group"], atoms.info["smiles"], atoms.info["config_type"], found.conformation
                )
                seen.add((found.group, found.conformation))
    assert len(seen) == 60
    with pytest.raises(ValueError, match=r"knows no configuration 7 of 00000_train.aselmdb"):
        origin(out / "index.parquet", "00000_train.aselmdb", 7)


def test_filters_take_subsets_elements_small_forces_and_so_many(spice, tmp_path, capsys):
    def index(name, *flags):
        return pandas.read_parquet(prepare(spice, tmp_path / name, *flags) / "index.parquet")

    assert set(index("subset", "--subsets", "dipeptides")["subset"]) == {SUBSETS[1]}
    assert set(index("elements", "--elements", "H", "C")["group"].astype(int) % 103147721) == {0, 2, 3, 5, 6, 8, 9, 11}
    assert len(index("limit", "--limit", 38)) == 38
    edit(spice, 6, "dft_total_gradient", np.full((5, 4, 3), [[[0.01]]] * 4 + [[[3.0]]]))
    edit(spice, 7, "conformations", np.full((5, 5, 3), np.nan))
    capsys.readouterr()
    cut = index("force", "--max_force", 200)
    assert "over --max_force: 1, positions not finite: 5" in capsys.readouterr().out
    assert len(cut) == 54
    assert set(cut[cut["group"] == "103147727"]["conformation"]) == {0, 1, 2, 3}


def test_other_labels_can_be_chosen(spice, tmp_path):
    for molecule in range(12):
        with h5py.File(spice, "r+") as file:
            group = file[str(103147721 + molecule)]
            group["loose_energy"], group["loose_gradient"] = np.full(5, -1.0), 0 * group["dft_total_gradient"][()]
    out = prepare(spice, tmp_path / "out", "--energy", "loose_energy", "--gradient", "loose_gradient")
    index = pandas.read_parquet(out / "index.parquet")
    assert index["energy"].tolist() == pytest.approx([-HARTREE] * 60)
    assert index["largest_force"].tolist() == [0.0] * 60


# --- split, workers, resumption ---------------------------------------------------------------------------------------


def test_molecules_are_in_one_split_each_and_the_number_of_workers_changes_nothing(spice, tmp_path):
    one = everything(prepare(spice, tmp_path / "one", "--shard_size", 4))
    two = everything(prepare(spice, tmp_path / "two", "--shard_size", 4, "--workers", 2))
    assert same(one, two)
    other = everything(prepare(spice, tmp_path / "other", "--seed", 7))
    found = []
    for index in (one[0], other[0]):
        splits = {name: set(rows["group"].astype(int) - 103147721) for name, rows in index.groupby("split")}
        assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 12
        for together in ({2, 3}, {4, 5}):
            assert any(together <= split for split in splits.values())
        found.append(splits)
    assert found[0] != found[1]


def test_a_killed_run_goes_on_where_it_was_and_ends_as_if_it_had_not_been(spice, tmp_path, monkeypatch):
    flags = ("--shard_size", 4)
    whole = everything(prepare(spice, tmp_path / "whole", *flags))
    out, write, written = tmp_path / "out", prepare_spice.write_shard, []

    def killed_at_the_fourth(task, shard):
        if len(written) == 3:
            monkeypatch.setattr(spice_writing, "verify", lambda *_: sys.exit("killed"))  # its file is written
        written.append(shard.name)
        return write(task, shard)

    verify = spice_writing.verify
    monkeypatch.setattr(prepare_spice, "write_shard", killed_at_the_fourth)
    assert refusal(spice, out, *flags) == "killed"
    assert len(list(out.glob("train/*.h5"))) == 3
    (out / "train" / "00000_train.h5").unlink()  # lost
    (out / "train" / "00001_train.h5").write_bytes(b"cut short")

    again = []
    monkeypatch.setattr(spice_writing, "verify", verify)
    monkeypatch.setattr(
        prepare_spice, "write_shard", lambda task, shard: again.append(shard.name) or write(task, shard)
    )
    kept = (out / "train" / "00002_train.h5").stat().st_mtime_ns
    message = refusal(spice, out, *flags, "--seed", 7)
    assert f"--out {out}: it was begun with other settings: --seed was 36 and is 7; take" in message
    other = write_spice(tmp_path / "other.hdf5", n_molecules=13)
    assert f"{other} is not the same" in refusal(other, out, *flags)
    assert same(everything(prepare(spice, out, *flags)), whole)
    assert again[:2] == written[:2]
    assert "00002_train" not in again
    assert (out / "train" / "00002_train.h5").stat().st_mtime_ns == kept
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}


def test_after_sigkill_no_worker_is_left_that_writes_and_the_next_run_finishes(tmp_path):
    source, out = write_spice(tmp_path / "s.hdf5", conformations=60), tmp_path / "out"
    command = [sys.executable, ROOT / "scripts" / "prepare_spice.py", source, "--out", out, *SPLIT]
    run = subprocess.Popen([*command, "--shard_size", "20", "--workers", "2"], stderr=subprocess.DEVNULL)
    await_that(lambda: len(list(out.glob("train/*"))) > 2)
    run.kill()
    run.wait()
    with (out / ".lock").open("a") as lock:
        await_that(lambda: not locked(lock))
        fcntl.flock(lock, fcntl.LOCK_UN)
    index, frames, _ = everything(prepare(source, out, "--shard_size", 20))
    assert len(index) == len(frames) == 720


def await_that(condition):
    """Wait until something is so; for a minute at most."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


def locked(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def test_nothing_is_overwritten(spice, tmp_path):
    out = prepare(spice, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert "holds a finished data set; delete it, or name another folder" in refusal(spice, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("...")
    assert "it holds something else" in refusal(spice, tmp_path / "mine")
    (tmp_path / "busy").mkdir()
    with (tmp_path / "busy" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another run is writing to it" in refusal(spice, tmp_path / "busy")


def test_a_file_system_without_locks_is_warned_of(spice, tmp_path, monkeypatch, caplog):
    def not_implemented(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(spice_folder.fcntl, "flock", not_implemented)
    assert (prepare(spice, tmp_path / "out") / "statistics.json").exists()
    assert "its file system has no locks" in caplog.text


def test_a_mace_that_cannot_read_the_format(spice, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prepare_spice, "version", lambda name: "0.3.13+site")
    refusal(spice, tmp_path / "out", "--format", "lmdb")
    assert "--format lmdb: mace-torch 0.3.13+site can't read it; needs 0.3.14" in capsys.readouterr().err
    assert prepare_spice.parse_arguments([str(spice), "--out=x", "--format=xyz"]).format == "xyz"


@pytest.mark.parametrize("kind", ["hdf5", "lmdb", "xyz"])
def test_what_was_written_is_read_again_and_compared(spice, tmp_path, monkeypatch, kind):
    write = spice_writing.WRITERS[kind]

    def shifted(path, frames):
        frames = list(frames)
        frames[2].info["REF_energy"] += 1e-3
        write(path, frames)

    monkeypatch.setitem(spice_writing.WRITERS, kind, shifted)
    assert "configuration 2 reads as" in refusal(spice, tmp_path / "out", "--format", kind)
    monkeypatch.setitem(spice_writing.WRITERS, kind, lambda path, frames: write(path, list(frames)[:-1]))
    assert "configurations are read again" in refusal(spice, tmp_path / "out", "--format", kind)
    assert not list((tmp_path / "out").glob("train/*"))


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_mace_and_gross_errors_do_not_change_them(tmp_path, double_precision):
    source = write_spice(tmp_path / "s.hdf5", n_molecules=30)
    out = prepare(source, tmp_path / "out", "--shard_size", 30, "--r_max", 3.0)
    statistics = json.loads((out / "statistics.json").read_text())
    table = AtomicNumberTable([1, 6, 8])
    frames = [atoms for path in sorted(out.glob("train/*")) for atoms in read_frames(str(path))]
    e0s = compute_average_E0s([config_from_atoms(a, KeySpecification.from_defaults()) for a in frames], table)
    found = literal_eval(statistics["atomic_energies"])
    assert found == pytest.approx(e0s)
    data = load_dataset_for_path(
        str(out / "train"), 3.0, table, ["Default"], type("Head", (), {"head_name": "Default"})
    )
    loader = torch_geometric.dataloader.DataLoader(data, batch_size=10)
    neighbours, mean, scale = compute_statistics(loader, np.array(list(e0s.values())))
    assert statistics["avg_num_neighbors"] == pytest.approx(neighbours)
    assert statistics["mean"] == pytest.approx(mean.item(), abs=1e-7)
    assert statistics["std"] == pytest.approx(scale.item())
    assert (statistics["atomic_numbers"], statistics["r_max"]) == ("[1, 6, 8]", 3.0)

    index = pandas.read_parquet(out / "index.parquet")
    row = index[index["split"] == "train"].iloc[0]
    for key, wrong in (("dft_total_energy", 1e4), ("dft_total_gradient", np.nan)):
        with h5py.File(source, "r+") as file:
            file[row.group][key][row.conformation] = wrong
    spoilt = prepare(source, tmp_path / "spoilt", "--shard_size", 30, "--r_max", 3.0)
    robust = json.loads((spoilt / "statistics.json").read_text())
    assert literal_eval(robust["atomic_energies"]) == pytest.approx(e0s, abs=0.5)
    assert abs(robust["mean"]) < 0.1
    assert robust["std"] == pytest.approx(scale.item(), rel=0.05)


def test_an_element_that_the_sample_missed_is_no_gross_error(monkeypatch):
    monkeypatch.setattr(spice_statistics, "SAMPLE", 100)  # of 200: every second one
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (200, 3)) * np.array([1, 1, 0])
    counts[1, 2] = 1
    truth = np.array([-13.0, -1000.0, -70000.0])
    energies = counts @ truth + rng.normal(0, 0.1, 200)
    energies[7] += 1e4
    part = spice_statistics.Training(energies, counts.astype(float), np.ones(200), 0, 0)
    usable = spice_statistics.plausible(iter([part]), 200)
    assert np.flatnonzero(~usable.energies(part)).tolist() == [7]
    assert spice_statistics.fit_e0s(iter([part]), usable) == pytest.approx(truth, abs=1)


def test_e0s_are_taken_from_a_file_in_its_unit(spice, tmp_path):
    (tmp_path / "e0s.json").write_text(
        '{"H": {"-1": -0.6, "0": -0.5, "1": 0.0}, "C": -38.0, "8": -75.0, "Na": {"1": 9}}'
    )
    out = prepare(spice, tmp_path / "out", "--E0s", tmp_path / "e0s.json", "--E0s_unit", "hartree")
    statistics = json.loads((out / "statistics.json").read_text())
    expected = {z: energy * HARTREE for z, energy in ELEMENTS.items()}
    assert literal_eval(statistics["atomic_energies"]) == pytest.approx(expected)
    assert abs(statistics["mean"]) < 0.1


# --- errors -----------------------------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


ERRORS = [
    (lambda path: path.unlink(), [], "there is no such file"),
    (truncate, [], "can't be read as HDF5 .*truncated file.* is the download complete"),
    (lambda path: path.write_text("<html>"), [], "can't be read as HDF5"),
    (lambda path: edit(path, 4, "conformations", None), [], "103147725.* has no 'conformations': this is not SPICE's"),
    (
        lambda path: h5py.File(path, "r+").create_dataset("x", data=1),
        [],
        "molecule 'x' is a dataset: in SPICE's schema",
    ),
    (lambda path: h5py.File(path, "w").close(), [], "it has no molecules"),
    (lambda path: edit(path, 4, "dft_total_energy", np.zeros(4)), [], r"'dft_total_energy' has the shape \(4,\) where"),
    (
        lambda path: h5py.File(path, "r+")["103147721/conformations"].attrs.modify("units", "angstrom"),
        [],
        "'conformations' is in angstrom; this script converts from bohr",
    ),
    (None, ["--energy", "b3lyp"], r"no molecule has the dataset 'b3lyp' \(--energy\); there are: .*dft_total_energy"),
    (None, ["--subsets", "water"], "--subsets 'water': no subset .* SPICE Dipeptides"),
    (None, ["--elements", "Xy"], "--elements Xy: there is no such element"),
    (None, ["--elements", "N"], "no molecule is left .* the file has the elements H C O"),
    (None, ["--limit", "1"], "none of 1 molecules falls into the .* split"),
    (None, ["--E0s", "isolated"], "has no attribute 'isolated_atom_energy_hartree'"),
    (None, ["--E0s", "e0s.json"], "say in which unit"),
    (None, ["--E0s", "none.json", "--E0s_unit", "eV"], r"neither average, isolated nor a JSON file .*No such file"),
    (None, ["--E0s_unit", "eV"], "it is for a file of --E0s"),
]


@pytest.mark.parametrize(("damage", "flags", "message"), ERRORS)
def test_errors_name_the_file_the_flag_and_what_is_wrong(spice, tmp_path, damage, flags, message):
    if damage:
        damage(spice)
    said = refusal(spice, tmp_path / "out", *flags)
    assert re.search(message, said), said
    assert not damage or str(spice) in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flags", [["--workers", "0"], ["--valid", "0.9"], ["--format", "xyz", "--shard_size", "3"]])
def test_flags_are_checked(spice, tmp_path, flags, capsys):
    refusal(spice, tmp_path / "out", *flags)
    assert flags[-2] in capsys.readouterr().err


# --- a training on it -------------------------------------------------------------------------------------------------


def test_the_printed_line_trains_and_its_suspects_point_into_spice(mace, spice, capsys):
    out = prepare(spice, mace.folder / "out", "--shard_size", 12, "--r_max", 3.0)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("mace_run_train --name=spice --loss=ema_robust --train_file=")
    flags = [
        flag for flag in line.split()[2:] if not flag.startswith(("--train_file", "--valid_file", "--num_workers"))
    ]
    run = mace.train("spice", *flags, "--max_num_epochs=1", train=str(out / "train"), valid=str(out / "valid"))
    assert "Using statistics json file" in run.log
    index = pandas.read_parquet(out / "index.parquet")
    table = pandas.read_csv(next(mace.folder.glob("results/*_outliers.csv")))
    assert len(table) == (index["split"] != "test").sum()
    for row in table.itertuples():
        assert origin(out / "index.parquet", row.source, row.frame).subset == row.config_type


@pytest.mark.skipif(not REAL.exists(), reason="the real file lies outside of the repository, in ../shared/data")
def test_the_real_file(tmp_path):
    flags = ("--elements", "H", "C", "O", "--limit", "400", "--E0s", "isolated", "--gradient", "loose_total_gradient")
    out = prepare(REAL, tmp_path / "out", *flags, "--energy", "loose_total_energy", "--seed", "2")
    index = pandas.read_parquet(out / "index.parquet")
    assert len(index) == 400
    with h5py.File(REAL) as file:
        for row in index[::40].itertuples():
            assert row.energy == pytest.approx(file[row.group]["loose_total_energy"][row.conformation] * HARTREE)
    statistics = json.loads((out / "statistics.json").read_text())
    assert literal_eval(statistics["atomic_energies"])[1] == pytest.approx(-0.39348276393179354 * HARTREE)
    assert -8 < statistics["mean"] < -3
