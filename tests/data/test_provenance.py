"""Every suspect is tied to the user's own file and frame, whatever kind of data MACE was given."""

import ase.db
import mace.tools.scripts_utils  # noqa: F401 (the plugin is applied when it is loaded)
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from mace import data, tools
from structures import molecules, spoil, write_hdf5, write_xyz
from torch.utils.data import ConcatDataset

from mace_outlier.data.dataset import NumberedDataset
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.data.tagging import TAG_FIELD, TAGGING, Tag
from mace_outlier.results.reading import read_results

LOSS = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", "--batch_size=4"]
NO_XYZ = "--atomic_numbers=[1,8]"


def planted(count, positions, seed=0):
    frames = molecules(count, seed=seed)
    spoil(frames, positions, energy=30.0)
    return frames


def table_of(run, split="train"):
    table = read_results(run.folder / "results" / f"{run.name}_run-1").table
    return table[table["split"] == split]


def worst(table, count):
    """(source, frame) of the suspects at the top of the table."""
    top = table.sort_values("zscore", ascending=False).head(count)
    assert top.weight.max() < table.weight.drop(top.index).min()
    return sorted(zip(top.source, top.frame, strict=True))


# --- xyz -------------------------------------------------------------------------------------------------------------


def isolated_atoms():
    for symbol, energy in (("H", -1.0), ("O", -2.0)):
        atom = Atoms(symbol, info={"config_type": "IsolatedAtom", "REF_energy": energy})
        atom.arrays["REF_forces"] = np.zeros((1, 3))
        yield atom


def test_isolated_atoms_are_counted_and_the_random_split_is_undone(mace):
    frames = planted(40, [7, 20, 33])
    hydrogen, oxygen = isolated_atoms()
    frames = [hydrogen, *frames[:10], oxygen, *frames[10:]]  # the wrong ones are now 8, 22, 35
    for frame in frames[20:30]:
        frame.info["config_type"] = "hot, <b>strained</b>"
    write(mace.folder / "train.xyz", frames)
    run = mace.train("split", *LOSS, "--valid_fraction=0.1", "--E0s=IsolatedAtom", valid=None)
    table = table_of(run)
    valid = {int(i) for i in run.log.split("with following indices: [")[1].split("]")[0].split(",")}
    molecules_only = [i for i, frame in enumerate(frames) if len(frame) > 1]
    assert table_of(run, "valid").frame.tolist() == [molecules_only[position] for position in sorted(valid)]
    assert table.frame.tolist() == [i for position, i in enumerate(molecules_only) if position not in valid]
    bad = [i for i in (8, 22, 35) if i in set(table.frame)]
    assert len(bad) >= 2
    assert worst(table, len(bad)) == [("train.xyz", i) for i in bad]
    for row in table.itertuples():
        frame = read(mace.folder / "train.xyz", row.frame)
        assert (row.formula, row.n_atoms) == (frame.get_chemical_formula("hill"), len(frame))
        assert row.config_type == frame.info.get("config_type", "Default")


def test_several_files_and_heads(mace):
    files = {"b.xyz": [2], "a.xyz": [5, 11], "c.xyz": [0]}
    for seed, (name, bad) in enumerate(files.items()):
        write(mace.folder / name, planted(16, bad, seed=seed))
    heads = (
        "{'first': {'train_file': ['b.xyz', 'a.xyz'], 'valid_file': 'valid.xyz', 'E0s': '{1: -1.0, 8: -2.0}'},"
        " 'second': {'train_file': 'c.xyz', 'valid_file': 'valid.xyz', 'E0s': '{1: -1.0, 8: -2.0}'}}"
    )
    table = table_of(mace.train("heads", *LOSS, f"--heads={heads}"))
    first, second = table[table["head"] == "first"], table[table["head"] == "second"]
    assert worst(first, 3) == [("a.xyz", 5), ("a.xyz", 11), ("b.xyz", 2)]
    assert worst(second, 1) == [("c.xyz", 0)]
    assert len(table) == 48


def test_the_copies_that_multi_head_fine_tuning_makes_are_one_row(mace):
    write(mace.folder / "replay.xyz", molecules(30, seed=5))
    mace.train("foundation", "--loss=weighted", "--max_num_epochs=1", "--foundation_model_elements=False")
    write(mace.folder / "few.xyz", planted(8, [3], seed=6))
    run = mace.train(
        "tuned", *LOSS, "--foundation_model=foundation.model", "--pt_train_file=replay.xyz",
        "--multiheads_finetuning=True", "--real_pt_data_ratio_threshold=0.9", train="few.xyz",
    )  # fmt: skip
    table = table_of(run)
    few = table[table["head"] == "Default"]
    assert few.frame.tolist() == list(range(8))
    assert worst(few, 1) == [("few.xyz", 3)]
    assert (few.times_seen == 3).all()  # epochs, not copies


# --- data bases ------------------------------------------------------------------------------------------------------


def as_calculator(frame):
    """The labels as ASE keeps results."""
    frame = frame.copy()
    labels = {"energy": frame.info.pop("REF_energy"), "forces": frame.arrays.pop("REF_forces")}
    frame.info = {}
    frame.calc = SinglePointCalculator(frame, **labels)
    return frame


def test_ase_database(mace):
    for name, frames in (("train", planted(20, [6, 13])), ("valid", molecules(5, seed=1))):
        with ase.db.connect(mace.folder / f"{name}.db") as database:
            for frame in frames:
                database.write(as_calculator(frame))
    run = mace.train("db", *LOSS, "--energy_key=energy", "--forces_key=forces", train="train.db", valid="valid.db")
    assert worst(table_of(run), 2) == [("train.db", 6), ("train.db", 13)]
    assert read(mace.folder / "train.db", 6).get_potential_energy() > 15


def test_lmdb(mace):
    from mace.tools.fairchem_dataset.lmdb_dataset_tools import LMDBDatabase

    files = {
        "train_lmdb": {"one": planted(12, [4]), "two": planted(12, [9], seed=3)},
        "valid_lmdb": {"x": molecules(5)},
    }
    for folder, parts in files.items():
        (mace.folder / folder).mkdir()
        for name, frames in parts.items():
            with LMDBDatabase(str(mace.folder / folder / f"{name}.aselmdb"), readonly=False) as database:
                for frame in frames:
                    database.write(as_calculator(frame))
    table = table_of(mace.train("lmdb", *LOSS, NO_XYZ, "--num_workers=1", train="train_lmdb", valid="valid_lmdb"))
    assert worst(table, 2) == [("train_lmdb/one.aselmdb", 4), ("train_lmdb/two.aselmdb", 9)]
    assert set(table.formula) == {"H2O", "H6O"}


# --- HDF5 ------------------------------------------------------------------------------------------------------------


def test_hdf5_shards_are_sorted_whatever_the_order_on_disk(mace, monkeypatch):
    bad = {"s_0.h5": [2], "s_1.h5": [], "s_2.h5": [0, 7]}
    for seed, (name, positions) in enumerate(bad.items()):
        frames = planted(10, positions, seed=seed)
        for frame in frames[:4]:
            frame.info["config_type"] = "hot"
        write_hdf5(mace.folder / "train" / name, frames)
    write_hdf5(mace.folder / "valid.h5", molecules(5))
    tables = []
    for number, order in enumerate(([2, 0, 1], [0, 1, 2])):
        listing = [f"train/s_{i}.h5" for i in order]
        monkeypatch.setattr("mace.data.hdf5_dataset.glob", lambda pattern, listing=listing: listing)
        workers = f"--num_workers={number}"
        tables.append(table_of(mace.train(f"run{number}", *LOSS, NO_XYZ, workers, train="train", valid="valid.h5")))
    for table in tables:
        assert worst(table, 3) == [("train/s_0.h5", 2), ("train/s_2.h5", 0), ("train/s_2.h5", 7)]
        assert table.config_type.tolist() == (["hot"] * 4 + ["Default"] * 6) * 3
        assert set(table.formula) == {"H2O", "H6O"}
        assert table.n_atoms.tolist() == [7, 3] * 15
    assert tables[0].source.tolist() == tables[1].source.tolist()


def test_xyz_and_hdf5_in_one_head(mace):
    write_hdf5(mace.folder / "more.h5", planted(12, [5], seed=3))
    write(mace.folder / "train.xyz", planted(12, [1]))
    head = {"train_file": ["train.xyz", "more.h5"], "valid_file": "valid.xyz", "E0s": "{1: -1.0, 8: -2.0}"}
    table = table_of(mace.train("mixed", *LOSS, NO_XYZ, f"--heads={ {'Default': head} }"))
    assert worst(table, 2) == [("more.h5", 5), ("train.xyz", 1)]
    assert len(table) == 24


# --- the results of a run --------------------------------------------------------------------------------------------


def test_what_a_run_leaves_behind(mace):
    write_xyz(mace.folder, planted(30, [4, 17]), planted(8, [5], seed=1))
    run = mace.train("left", *LOSS, "--max_num_epochs=4")
    results = read_results(mace.folder)
    table, about = table_of(run), results.about
    assert (about["finished"], about["epoch"], about["kind"], about["rows"]) == (True, 3, "training", 38)
    validation = table_of(run, "valid")
    assert list(zip(validation.source, validation.frame, strict=True)) == [("valid.xyz", i) for i in range(8)]
    assert worst(validation, 1) == [("valid.xyz", 5)]
    assert (validation.last_epoch == 3).all()
    assert "Suspect: valid.xyz frame 5 (validation), weight=" in run.log
    assert about["arguments"]["batch_size"] == 4
    assert about["options"]["threshold"] == 8.0
    assert [entry["epoch"] for entry in about["history"]] == [0, 1, 2, 3]
    assert about["history"][-1]["location"] == about["distribution"][0]["location"]
    assert sum(about["history"][-1]["histogram"]) == about["history"][-1]["visited"] == 28  # batches of 4
    for name in ("weight", "zscore", "loss"):
        np.testing.assert_allclose(table[name], mace_state(run)[name], rtol=1e-6)
    sample = read(results.sample, ":")
    whole = results.table  # of both sets
    suspects = whole[whole.weight < 0.5].sort_values(["weight", "zscore"], ascending=[True, False]).index.tolist()
    assert suspects
    assert [frame.info["row"] for frame in sample if frame.info["kind"] == "suspect"] == suspects
    assert len(sample) == 38
    for frame in sample:
        row = frame.info["row"]
        label = read(mace.folder / whole.source[row], whole.frame[row])
        assert frame.info["reference_energy"] == pytest.approx(label.info["REF_energy"])
        np.testing.assert_allclose(frame.arrays["reference_forces"], label.arrays["REF_forces"], atol=1e-7)
        np.testing.assert_allclose(frame.positions, label.positions, atol=1e-7)
        assert frame.info["isolated_atoms_energy"] == pytest.approx(-(len(frame) + 1))
        assert frame.arrays["predicted_forces"].shape == (len(frame), 3)


def mace_state(run):
    """The newest checkpoint's records are those of the table, unless the last epochs brought no improvement."""
    return run.state["records"] if run.state["history"][-1]["epoch"] == 3 else table_of(run)


def test_residuals_are_those_of_the_model(mace):
    """At a learning rate of 0 every visit sees the model that is evaluated at the end."""
    frames = planted(20, [4])
    del frames[6].info["REF_energy"], frames[9].arrays["REF_forces"]
    write_xyz(mace.folder, frames, molecules(5, seed=1))
    mace.train("still", *LOSS, "--lr=0", "--max_num_epochs=1")
    results = read_results(mace.folder)
    for frame in read(results.sample, ":"):
        row = results.table.loc[frame.info["row"]]
        assert np.isnan(row.energy_error_per_atom) == (row.frame == 6)
        assert np.isnan(row.force_rmse) == (row.frame == 9)
        if row.frame != 6:
            error = frame.info["predicted_energy"] - frame.info["reference_energy"]
            assert row.energy_error_per_atom == pytest.approx(error / len(frame), rel=1e-4)
        if row.frame != 9:
            error = frame.arrays["predicted_forces"] - frame.arrays["reference_forces"]
            assert row.force_rmse == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)


def test_an_earlier_run_of_the_same_name_is_kept(mace):
    mace.train("again", *LOSS, "--max_num_epochs=1")
    before = (mace.folder / "results" / "again_run-1_outliers.csv").read_text()
    run = mace.train("again", *LOSS, "--max_num_epochs=2")
    assert (mace.folder / "results" / "again_run-1.1_outliers.csv").read_text() == before
    assert "The results of an earlier run of this name are now" in run.log
    assert read_results(mace.folder).about["epoch"] == 1


def test_a_full_disk_does_not_end_the_training(mace, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("mace_outlier.results.writing.write_parts", full)
    monkeypatch.setattr("mace_outlier.run.sample.write_sample", full)
    run = mace.train("full", *LOSS)
    assert "left_run-1" not in run.log
    assert "could not be written (OSError: No space left on device): the training goes on" in run.log
    assert "could not be examined, for the report's figures and causes (OSError: No space left on device)" in run.log
    assert (mace.folder / "full.model").exists()


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_sorted_folded_and_independent_of_folders():
    def rows(folder):
        parts = [
            [Part(f"{folder}/b.h5", np.array([0, 1])), Part(f"{folder}/a.h5", np.array([1, 0, 1]))],
            [Part(f"{folder}/a.h5", np.array([0]))],
        ]
        return Provenance(["x", "y"], parts)

    found = rows("here")
    names = [found.name(row) for row in range(len(found))]
    assert names == [
        f"here/{rest}" for rest in
        ("a.h5 frame 0 (head x)", "a.h5 frame 1 (head x)", "b.h5 frame 0 (head x)", "b.h5 frame 1 (head x)",
         "a.h5 frame 0 (head y)")
    ]  # fmt: skip
    assert found.row_of_position.tolist() == [2, 3, 1, 0, 1, 4]
    assert found.row_of_position[found.position_of_row].tolist() == list(range(5))
    assert len(Provenance(["x"], [[]])) == 0


def interrupt():
    raise InterruptedError


def test_descriptions_of_two_processes_are_merged():
    tags = [
        Tag("bulk", "H2O", "H2O", 3, 0.1),
        Tag("<gas>", "CO", "CO", 2, 1e-6),
        Tag("bulk", "CO2", "CO2", 3, 250.0),
        Tag("", "H2", "H2", 2),
    ]
    ranks = [Metadata(5), Metadata(5)]
    for row, tag in enumerate(tags):
        ranks[row % 2].note(row, tag)
    codes = []
    for rank in ranks:
        with pytest.raises(InterruptedError):
            rank.merge(lambda mine: codes.append(mine) or interrupt(), None)
    words = [dict(rank.vocabulary) for rank in ranks]
    for rank in ranks:
        assert not rank.complete
        rank.merge(lambda mine: torch.maximum(*codes), lambda mine: words)
        for name in ("config_type", "formula"):
            numbers, texts = rank.categories(name)
            assert [texts[i] for i in numbers] == [getattr(tag, name) for tag in tags] + [""]
        assert rank.n_atoms.tolist() == [3, 2, 3, 2, 0]
        assert rank.force.tolist() == pytest.approx([0.1, 1e-6, 250.0, 0.0, 0.0])
        rank.note(4, tags[0])
        assert rank.complete


def hard_frames(count=80):
    """Molecules of seven atoms, and as many of three with forces that this model can't learn."""
    frames = [frame for frame in molecules(240) if len(frame) == 7][:count]
    hard = [frame for frame in molecules(240, seed=5) if len(frame) == 3][: count // 2]
    for i, frame in enumerate(hard):
        frame.arrays["REF_forces"] = np.random.default_rng(i).normal(0, 8, (3, 3))
    return frames, hard


def test_a_hard_formula_keeps_its_weights(mace):
    frames, hard = hard_frames()
    write(mace.folder / "train.xyz", frames + hard)
    run = mace.train("hard", "--loss=ema_robust", "--energy_weight=0", "--max_num_epochs=6")
    assert table_of(run).weight.mean() > 0.95


def test_isomers_are_compared_with_their_own_kind(mace):
    rng = np.random.default_rng(0)
    shapes = [[(0, 0, 0), (0.96, 0, 0), (-0.24, 0.93, 0)], [(0, 0, 0), (0.96, 0, 0), (1.7, 0, 0)]]  # water; O-H-H
    frames = []
    for i in range(60):
        frame = Atoms("OH2", np.array(shapes[i % 2]) + rng.normal(0, 0.02, (3, 3)), info={"REF_energy": -10.0 - i % 2})
        frame.arrays["REF_forces"] = rng.normal(0, 0.1, (3, 3))
        frames.append(frame)
    write(mace.folder / "train.xyz", frames)
    run = mace.train("isomers", "--loss=ema_robust", "--max_num_epochs=4")
    assert set(table_of(run).formula) == {"H2O"}
    assert table_of(run).weight.min() > 0.5


@pytest.mark.parametrize("on", [False, True])
def test_samples_are_tagged_where_a_data_set_needs_it_and_as_before_elsewhere(monkeypatch, on):
    class OnDisk(list):
        def __getitem__(self, position):
            return TAGGING.on

    monkeypatch.setattr(TAGGING, "on", on)
    numbered = NumberedDataset(OnDisk([0, 0]))
    assert numbered[0].item is True  # in a worker process, too, where it's off
    numbered.needs_tags = False
    assert numbered[1].item is False  # tags take time
    numbered.dataset = []
    with pytest.raises(IndexError):
        numbered[0]
    assert TAGGING.on == on  # for whatever is made next


def test_an_unknown_data_set_is_counted_by_position(monkeypatch):
    from mace_outlier.mace.data import trace

    class Foreign(torch.utils.data.Dataset):
        def __len__(self):
            return 3

    monkeypatch.setattr(TAGGING, "on", True)
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    table = tools.AtomicNumberTable([1, 8])
    samples = [data.AtomicData.from_config(data.config_from_atoms(f, keys), table, cutoff=3.0) for f in molecules(2)]
    rows, metadata = trace([ConcatDataset([Foreign(), samples])], ["Default"])
    assert [rows.name(row) for row in range(5)] == [f"training set frame {i}" for i in range(5)]
    assert metadata.n_atoms.tolist() == [0, 0, 0, 7, 3]


def test_plain_samples_carry_no_tag(mace):
    mace.train("before", *LOSS, "--max_num_epochs=1")
    assert not TAGGING.on  # it ends with the training
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    table = tools.AtomicNumberTable([1, 8])
    (frame,) = molecules(1)
    sample = data.AtomicData.from_config(data.config_from_atoms(frame, keys), z_table=table, cutoff=3.0)
    assert not hasattr(sample, TAG_FIELD)
