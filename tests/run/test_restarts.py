"""Restarts: what is known of the labels goes on, through stages, changed training sets and labels that were edited."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase.io import read, write
from conftest import Mace
from made_up_seen import visited
from structures import molecules, write_hdf5, write_xyz

from mace_outlier.data.identity import content_of, told_apart
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.results.reading import read_results
from mace_outlier.run.known import Known, identities, warn_of_shared
from mace_outlier.run.stages import Stages
from mace_outlier.run.tables import Split
from mace_outlier.weights.records import Records

FLAGS = ("--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", "--batch_size=10", "--save_all_checkpoints")
WRONG = [i % 3 == 0 for i in range(120)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a training of six epochs that has found the wrong third of its labels."""
    mace = Mace(tmp_path_factory.mktemp("restarts"))
    train = molecules(120)
    for frame in train[::3]:
        frame.info["REF_energy"] += 5.0 * len(frame)
    write_xyz(mace.folder, train, molecules(10, seed=1))
    mace.train("run", *FLAGS, "--max_num_epochs=6")
    assert (table(mace).weight < 0.5).tolist() == WRONG
    return mace.folder


@pytest.fixture
def stopped(trained, tmp_path):
    """A copy of it, to be continued."""
    return Mace(shutil.copytree(trained, tmp_path / "copy"))


def table(mace):
    found = read_results(mace.folder / "results" / "run_run-1").table
    return found[found.split == "train"]


def test_stage_two_entered_by_a_restart_keeps_the_weights_of_stage_one(stopped):
    run = stopped.train("run", *FLAGS, "--max_num_epochs=6", "--restart_latest", "--swa", "--start_swa=5")
    history = read_results(stopped.folder).about["history"]
    assert [entry["stage"] for entry in history] == ["stage_one"] * 5 + ["stage_two"]
    assert "Epoch 5: head: Default, ema_robust: mean_weight=0.66" in run.log
    assert (table(stopped).weight < 0.5).tolist() == WRONG


def test_the_models_of_a_restart_are_compared_with_the_best_one_of_before(stopped):
    """MACE's scheduler remembers its value: the loss that it sees has to go on from there."""
    run = stopped.train("run", *FLAGS, "--max_num_epochs=6", "--restart_latest")
    before, of_restart = run.validations[:7], run.validations[7:]
    assert of_restart[0][0] == pytest.approx(before[-1][0], rel=1e-3)  # the same model
    assert of_restart[0][0] != pytest.approx(of_restart[0][1], rel=0.01)  # the stock loss


def test_what_cannot_be_continued_is_said_and_the_training_goes_on(stopped, monkeypatch):
    def fail(*arguments, **others):
        raise ZeroDivisionError("as a test")

    monkeypatch.setattr(Stages, "go_on", fail)
    run = stopped.train("run", *FLAGS, "--max_num_epochs=8", "--restart_latest")
    assert "The statistics of the checkpoint could not be continued (ZeroDivisionError: as a test)" in run.log
    assert (table(stopped).weight < 0.5).tolist() == WRONG


def test_a_changed_training_set_keeps_what_is_known_of_its_rows(stopped):
    """Frames are taken out, added and edited, so that others have their numbers."""
    frames = read(stopped.folder / "train.xyz", ":")[6:]
    frames[3].info["REF_energy"] -= 5.0 * len(frames[3])  # frame 9, a wrong one: mended
    frames[5].info["REF_energy"] += 1e5  # frame 11, a right one
    new = molecules(6, seed=5)
    new[1].info["REF_energy"] += 1e5
    write(stopped.folder / "train.xyz", frames + new)
    run = stopped.train("run", *FLAGS, "--max_num_epochs=6", "--restart_latest")
    assert "112 of 120 configurations go on with what is known of them, 8 are new or have other labels" in run.log
    found, wrong = table(stopped), np.array(WRONG[6:] + [False] * 6)
    wrong[[3, 5, 115]] = False, True, True
    assert (found.weight < 0.5).tolist() == wrong.tolist()
    fresh = np.isin(np.arange(120), [3, 5, *range(114, 120)])
    assert (found.times_seen == np.where(fresh, 1, 7)).all()
    gross = run.state["records"]["mean_weight"][torch.tensor([5, 115])]
    assert gross.max() < 0.5  # from their first visit on
    evidence = run.state["statistics"]["stage_one"]["judges"][0]["evidence"]["epochs"]["energy"]
    assert (evidence.numpy() == np.where(fresh, 1, 7)).all()


def test_labels_that_were_edited_in_a_file_on_disk(mace):
    """They are known to be others once they are read, at the end of the first epoch."""
    train, flags = molecules(20), ("--loss=ema_robust", "--atomic_numbers=[1, 8]", "--save_all_checkpoints")
    write_hdf5(mace.folder / "valid.h5", molecules(5, seed=1))
    for epochs in (2, 3):
        (mace.folder / "train.h5").unlink(missing_ok=True)  # the first run in this process holds it open
        write_hdf5(mace.folder / "train.h5", train)
        names = {"train": "train.h5", "valid": "valid.h5"}
        run = mace.train("run", *flags, f"--max_num_epochs={epochs}", "--restart_latest", **names)
        train[4].info["REF_energy"] += 0.1
    assert "The training set has changed" not in run.log
    assert run.log.count("1 configurations have other labels than at the checkpoint: they start fresh") == 1
    seen = [2 if i == 4 else 4 for i in range(20)]  # the epoch of the checkpoint is trained again
    assert run.state["records"]["times_seen"].tolist() == seen
    assert run.state["statistics"]["stage_one"]["judges"][0]["evidence"]["epochs"]["energy"].tolist() == seen


# --- in parts --------------------------------------------------------------------------------------------------------


def split(frames, content, source="a.xyz", head="Default"):
    """A split of a run: frames of a file, known by these contents."""
    rows = Provenance([head], [[Part(source, np.array(frames))]])
    metadata = Metadata(len(rows))
    metadata.content = torch.tensor(content)
    return Split("train", rows, metadata, Records(len(rows)))


def known(now, before):
    nothing = split([], [])
    return Known([now, nothing], identities([before, nothing]))


BEFORE = ([0, 1, 2, 3], [5, 6, 7, 7])


@pytest.mark.parametrize(
    ("now", "rows"),
    [
        (split(*BEFORE), [0, 1, 2, 3]),
        (split(*BEFORE, source="elsewhere/a.xyz"), [0, 1, 2, 3]),
        (split(*BEFORE, source="b.xyz"), [0, 1, 2, 2]),
        (split([0, 1, 2], [6, 7, 9]), [1, 2, -1]),
        (split([0, 1], [5, 0]), [0, 1]),
        (split([4], [0]), [-1]),
        (split(*BEFORE, head="other"), [-1] * 4),
        (split([], []), []),
    ],
    ids=["same", "moved", "renamed", "cut and edited", "not read yet", "new and not read yet", "other head", "none"],
)
def test_rows_are_known_by_content_or_else_by_name(now, rows, caplog):
    assert known(now, split(*BEFORE)).rows[0].tolist() == rows
    assert ("has changed" in caplog.text) == (len(rows) != 4 or -1 in rows)
    assert known(split(*BEFORE), now).rows[1].tolist() == []


def test_files_of_one_name_are_told_apart_by_their_folders():
    """As the shards of several folders are; data may be moved as a whole, and other heads don't matter."""

    def of(folder):
        files = [[f"{folder}/a/train_0.h5", f"{folder}/b/train_0.h5"], [f"{folder}/c/train_0.h5"]]
        rows = Provenance(["one", "two"], [[Part(file, np.arange(2)) for file in own] for own in files])
        metadata = Metadata(len(rows))  # nothing is read yet
        return Split("train", rows, metadata, Records(len(rows)))

    before, moved = of("/old"), of("/new/place")
    assert before.provenance.head.tolist() == [0, 0, 0, 0, 1, 1]
    assert known(moved, before).rows[0].tolist() == list(range(6))
    assert told_apart(["/x/a/t.h5", "/x/b/t.h5", "s.h5", "t.h5", "/y/s.h5"]) == [
        "a/t.h5",
        "b/t.h5",
        "s.h5",
        "t.h5",
        "y/s.h5",
    ]


def test_labels_that_turn_out_to_be_others_are_told_once_they_are_read(caplog):
    """Data that are read sample by sample are known by their names at first."""
    now = split([0, 1, 2, 3], [0] * 4)
    own = known(now, split(*BEFORE))
    assert own.rows[0].tolist() == [0, 1, 2, 3]
    assert own.changed() == []
    now.metadata.content[:2] = torch.tensor([5, 60])
    assert own.changed()[0].tolist() == [0, -1, 2, 3]
    assert "1 configurations have other labels than at the checkpoint" in caplog.text
    now.metadata.content[2:] = 7
    assert own.changed() == []


def test_a_content_is_that_of_geometry_and_all_labels():
    """Whatever the order of the labels, and whether those that are not there are named."""
    frame = molecules(1)[0]

    def of(positions=frame.positions, **labels):
        return content_of(frame.numbers, positions, frame.cell, frame.pbc, labels)

    forces = frame.arrays["REF_forces"]
    assert of(energy=-3.0, forces=forces) == of(dipole=None, forces=forces.copy(), energy=np.float64(-3))
    moved = frame.positions + 1e-9
    edited = forces * [1, 1, 1 + 1e-15]
    others = [of(energy=-3.0), of(moved, energy=-3.0), of(energy=-3.0, forces=forces), of(energy=-3.0, forces=edited)]
    others += [of(energy=np.nextafter(-3, 0)), of(stress=-3.0), of(energy="text"), of(dipole=[[1], [2, 3]]), of()]
    assert len(set(others)) == len(others)


def test_validation_configurations_that_are_trained_on_are_counted(tmp_path, caplog):
    """By their content wherever they are, or, before they are read, by their file: not by its name alone."""
    for name in ("a.h5", "b.h5"):
        (tmp_path / name).touch()
    (tmp_path / "link.h5").symlink_to(tmp_path / "a.h5")

    def shared(*validation):
        caplog.clear()
        warn_of_shared(split([0, 1, 2], [0, 5, 6], source=str(tmp_path / "a.h5")), split(*validation))
        return int(caplog.records[0].message.split()[0]) if caplog.records else 0

    assert shared([7, 8], [6, 9], "c.xyz") == 1
    assert shared([0, 3], [0, 0], str(tmp_path / "link.h5")) == 1
    assert shared([0, 1], [0, 0], str(tmp_path / "b.h5")) == 0
    assert shared([0, 1], [0, 0], "elsewhere/a.h5") == 0
    assert shared([], []) == 0


def test_what_was_thought_of_a_row_is_forgotten_but_not_what_was_seen():
    records = Records(3)
    records.begin_epoch(4, 1)
    visited(records, torch.tensor([0, 1]), torch.tensor([2.0, 3.0]), torch.tensor([0.1, 0.2]), torch.tensor([5.0, 6.0]))
    records.times_seen += 5
    records.mean_weight *= 0.5
    records.by_property *= 0.25
    records.forget(torch.tensor([True, False, False]))
    assert records.loss.tolist() == [2.0, 3.0, 0.0]
    assert records.weight[0] == records.mean_weight[0] == records.by_property[0].min() == records.times_seen[0] == 1
    assert (records.zscore[0], records.times_seen[1], records.mean_weight[1]) == (0, 5, 0.5)
    assert records.weight[1] == pytest.approx(0.2)
    assert records.by_property[1].max() == 0.25


def test_a_head_may_be_one_of_thousands():
    assert Records(2, heads=[7, 3000]).head.tolist() == [7, 3000]


def stage(labels):
    """A robust loss that notes what it follows."""
    followed = []
    return SimpleNamespace(
        followed=followed, weigher=SimpleNamespace(inherits=False), per_configuration=SimpleNamespace(labels=labels),
        distribution=SimpleNamespace(follow=followed.append),
    )  # fmt: skip


@pytest.mark.parametrize("restarted", [False, True])
def test_a_stage_goes_on_from_the_one_before_restarted_or_not(restarted):
    stages = Stages()
    one, two = stages.losses["stage_one"], stages.losses["stage_two"] = stage(["energy"]), stage(["forces", "energy"])
    assert stages.labels == ("energy", "forces")
    assert stages.name == ""
    if restarted:
        stages.go_on("stage_one", first_epoch=0)
    for epoch, loss in [(5, one), (6, two), (7, two)] if restarted else [(0, one), (6, two), (7, two)]:
        stages.enter(loss, epoch)
        assert loss.weigher.inherits == (epoch == 6)
        assert (stages.name, stages.first_epoch) == (("stage_one", 0) if loss is one else ("stage_two", 6))
    assert (one.followed, two.followed) == ([], [one.distribution])


def test_a_checkpoint_of_a_stage_that_is_no_more_is_as_a_new_start():
    stages = Stages()
    stages.losses["stage_one"] = stage(["energy"])
    stages.go_on("stage_two", first_epoch=4)
    stages.enter(stages.losses["stage_one"], 5)
    assert stages.losses["stage_one"].followed == []
    assert (stages.name, stages.first_epoch) == ("stage_one", 5)
