"""Very many configurations, here more than 100: each process saves its part, and a restart may have another number."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import ranks
import torch
import warm_python
from conftest import REHEARSAL, torchrun
from structures import molecules, spoil, write_xyz
from test_distributed import same, same_state
from threads import in_threads

from mace_outlier.results.reading import read_results
from mace_outlier.run.parts import Parts, is_complete

pytestmark = pytest.mark.usefixtures("double_precision")
TESTS = Path(__file__).parents[1]
FORKED = """
import sys; sys.path.insert(0, {tests!r})
import pathlib, ranks, torch.multiprocessing
rest = {number}, pathlib.Path({folder!r}), {epochs}, {killed}, {lost}
torch.multiprocessing.start_processes(ranks.in_parts, rest, {number}, start_method="fork")
"""
EPOCHS = ranks.CASES["mixture"]["epochs"]


def trained(folder, number, epochs, killed=None, lost=None):
    """Train with so many processes, from the checkpoint that is there, to the end of so many epochs."""
    given = {"tests": str(TESTS), "number": number, "folder": str(folder), "epochs": epochs, "killed": killed} | {
        "lost": lost
    }
    done = warm_python.run("-c", FORKED.format(**given))
    assert (done.returncode == 0) == (killed is None), done.stderr[-3000:]
    return done


def alone(folder, epochs=EPOCHS, start=None):
    """The same in one process, which saves all in one piece."""
    return ranks.train(0, 1, "mixture", epochs, folder=folder, start=start)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What one process comes to that was never interrupted, and its table."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    folder = tmp_path_factory.mktemp("alone")
    outcome = alone(folder)
    torch.set_default_dtype(before)
    return outcome, read_results(folder).table


def goes_on_as_if_nothing_had_been(folder, to, expected):
    """In one process, from a copy of the folder."""
    copy = shutil.copytree(folder, to)
    ours, (theirs, table) = alone(copy, start=ranks.checkpoint(copy)), expected
    same(ours.parameters, theirs.parameters)
    for name in ("records", "statistics", "rows"):
        same_state(ours.state[name], theirs.state[name])
    same_table(read_results(copy).table, table)


def same_table(ours, theirs):
    """The same columns, whatever the types of their texts.

    But for since when validation labels are suspected, which no restart knows.
    """
    assert list(ours) == list(theirs)
    for table in (ours, theirs):
        table.loc[table.split == "valid", "suspect_since"] = -1
    for name in ours:
        if ours[name].dtype.kind in "if":
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-9, err_msg=name)
        else:
            assert ours[name].astype(str).tolist() == theirs[name].astype(str).tolist(), name


def test_a_training_goes_on_in_parts_in_one_piece_and_in_parts_again(tmp_path, expected):
    folder = tmp_path / "run"
    folder.mkdir()
    trained(folder, 3, 2)
    trained(folder, 2, 4)
    state = ranks.checkpoint(folder).state
    assert "records" not in state
    assert len(state["rows"]) == 1  # that of the validation set: no process knows them all
    assert not any(judge.keys() & {"evidence", "looked"} for judge in state["statistics"]["stage_one"]["judges"])
    assert read_results(folder).about["table"].startswith("run_outliers.parts/epoch-3-")
    goes_on_as_if_nothing_had_been(folder, tmp_path / "one", expected)
    trained(folder, 3, EPOCHS)
    same_table(read_results(folder).table, expected[1])


def test_a_kill_while_parts_are_written_costs_one_epoch(tmp_path, expected):
    folder = tmp_path / "run"
    folder.mkdir()
    trained(folder, 2, EPOCHS, killed=3)
    assert len(list(folder.glob("run_outliers.parts/epoch-3-*/_state-00000.pt"))) == 1
    results = read_results(folder)
    assert (results.about["epoch"], len(results.table)) == (2, len(expected[1]))
    goes_on_as_if_nothing_had_been(folder, tmp_path / "one", expected)
    trained(folder, 2, EPOCHS)
    same_table(read_results(folder).table, expected[1])
    left = list(folder.glob("run_outliers.parts/epoch-*"))
    assert sorted(path.name.split("-")[1] for path in left) == ["3", "4"]
    assert all(is_complete(path, 2) for path in left)  # what was half written is gone


# --- MACE ------------------------------------------------------------------------------------------------------------

IN_PARTS = """
import runpy
from mace_outlier.run import distributed
distributed.LARGE = 20
runpy.run_path({program!r}, run_name="__main__")
"""


def test_mace_saves_in_parts_and_leaves_one_table(mace):
    train, wrong = molecules(30), [3, 12, 25]
    spoil(train, wrong, energy=30.0)
    write_xyz(mace.folder, train, molecules(8, seed=1))
    program = mace.folder / "in_parts.py"
    program.write_text(IN_PARTS.format(program=str(REHEARSAL)))
    flags = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", "--batch_size=3"]
    run = torchrun(mace, 2, "two", *flags, program=program)
    assert "records" not in run.state
    table = read_results(mace.folder / "results" / "two_run-1").table
    assert table.times_seen[:30].tolist() == [3] * 30
    assert sorted(table.weight[:30].argsort()[:3]) == wrong
    [folder] = mace.folder.glob("results/two_run-1_outliers.parts/*")  # that of the checkpoint
    assert f"results/{run.state['parts']}" == str(folder.relative_to(mace.folder))
    more = mace.train("two", *flags, "--max_num_epochs=5", "--restart_latest")
    assert "Continuing with the loss statistics of the checkpoint" in more.log
    assert more.state["records"]["times_seen"].min() >= 4
    assert sorted(torch.argsort(more.state["records"]["weight"])[:3].tolist()) == wrong


# --- what may fail ---------------------------------------------------------------------------------------------------


def saving(folder, failing=None, before=lambda epoch, processes: None, epochs=3, number=3):
    """What the processes think of the parts of some epochs; in one of these, one process can't write."""

    def table(epoch, rank):
        if (epoch, rank) == failing:
            raise OSError("No space left on device")
        yield {"weight": np.full(2, float(rank))}

    def work(processes):
        processes.fewest_in_parts = 1
        parts, found = Parts(folder / "run", processes, 2 * number, lambda epoch: epoch == 0), []
        for epoch in range(epochs):
            before(epoch, processes)
            if parts.in_use:
                parts.save(epoch, table(epoch, processes.rank), dict)
            found.append(parts.folder)
        return found

    every = in_threads(number, work)
    assert all(own == every[0] for own in every)
    return every[0]


def test_parts_are_named_once_all_are_written(tmp_path, caplog):
    first, second, third = saving(tmp_path, failing=(1, 2))
    assert second is None
    assert "A part of" in caplog.text
    assert "No space left on device" in caplog.text
    assert sorted(path.name for path in (tmp_path / "run_outliers.parts").iterdir()) == [first.name, third.name]
    assert pandas.read_parquet(third).weight.tolist() == [0, 0, 1, 1, 2, 2]


def test_where_the_first_process_does_not_see_the_parts_of_others_it_saves_all(tmp_path, caplog):
    def lost(epoch, processes):
        if epoch == 1 and processes.rank == 0:
            [folder] = (tmp_path / "run_outliers.parts").iterdir()
            (folder / "table-00001.parquet").unlink()

    first, second, third = saving(tmp_path, before=lost)
    assert first is not None
    assert second is third is None
    assert caplog.text.count("does not see what others wrote") == 1


def test_from_then_on_its_checkpoints_have_all(tmp_path, expected):
    folder = tmp_path / "run"
    folder.mkdir()
    trained(folder, 3, 2, lost=0)
    state = ranks.checkpoint(folder).state
    assert len(state["records"]["weight"]) == len(state["rows"][0]["name"]) == ranks.GOOD + ranks.OTHER_HEAD
    assert read_results(folder).about["table"] == "run_outliers.csv"
    goes_on_as_if_nothing_had_been(folder, tmp_path / "one", expected)


def test_what_a_checkpoint_names_may_be_gone(tmp_path, caplog):
    folder = tmp_path / "run"
    folder.mkdir()
    trained(folder, 2, 1)
    shutil.rmtree(folder / "run_outliers.parts")
    alone(folder, 2, start=ranks.checkpoint(folder))
    assert re.search(r"The checkpoint needs run_outliers.parts/epoch-0-\d+ in the folder of the results", caplog.text)
    assert "the statistics start fresh" in caplog.text
