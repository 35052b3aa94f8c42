"""Of many configurations, most of the judgement is done beside the validation: the training is the same."""

import os
import threading
import time

import pandas
import pytest
from structures import molecules, write_xyz

from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.shown import Look
from mace_outlier.results.reading import read_results
from mace_outlier.run import training
from mace_outlier.weights.aside import Aside

EPOCHS = 4
FLAGS = ("--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", f"--max_num_epochs={EPOCHS}")


@pytest.fixture
def data(mace):
    """60 configurations, of which every sixth has a wrong energy."""
    frames = molecules(60)
    for frame in frames[::6]:
        frame.info["REF_energy"] += 5.0 * len(frame)
    write_xyz(mace.folder, frames, molecules(10, seed=1))
    return mace


def results(mace, name):
    return read_results(mace.folder / "results" / f"{name}_run-1")


def test_a_training_is_the_same_with_the_judgement_beside_its_validation(data, monkeypatch):
    plain, threads, refit = data.train("plain", *FLAGS), [], HeadJudge.refit

    def noted(*arguments):
        threads.append(threading.current_thread().name)
        return refit(*arguments)

    monkeypatch.setattr(HeadJudge, "refit", noted)
    monkeypatch.setattr(training, "MOST", 20)
    aside = data.train("aside", *FLAGS)
    assert threads == ["mace-outlier"] * EPOCHS
    assert aside.validations == plain.validations
    assert all(own.equal(aside.parameters[name]) for name, own in plain.parameters.items())
    expected, found = (results(data, name) for name in ("plain", "aside"))
    pandas.testing.assert_frame_equal(found.table, expected.table)
    assert found.about["history"] == expected.about["history"]
    assert (expected.table.weight[:60:6] < 0.5).all()


def test_it_is_waited_for_where_an_epoch_has_no_validation(data, monkeypatch):
    plain = data.train("plain", *FLAGS, "--eval_interval=3")
    monkeypatch.setattr(training, "MOST", 20)
    aside = data.train("aside", *FLAGS, "--eval_interval=3")
    assert all(own.equal(aside.parameters[name]) for name, own in plain.parameters.items())
    assert len(results(data, "aside").about["history"]) == EPOCHS


def test_where_it_fails_the_fit_is_refused_and_the_training_goes_on(data, monkeypatch):
    monkeypatch.setattr(training, "MOST", 20)

    def fail(look):
        raise ZeroDivisionError("as a test")

    monkeypatch.setattr(Look, "explain", fail)
    run = data.train("run", *FLAGS)
    assert "the fit failed (ZeroDivisionError: as a test): the fit is refused" in run.log
    assert len(run.validations) == EPOCHS + 1
    assert (results(data, "run").table.weight == 1.0).sum() > 40


@pytest.mark.parametrize("threaded", [True, False])
def test_work_is_done_once_it_is_waited_for_and_raises_what_it_raised(threaded):
    done, may_end = [], threading.Event()
    work = Aside(lambda: done.append(may_end.wait(timeout=60)) or "result", threaded)
    assert not done
    may_end.set()
    assert work.result() == "result"
    assert done == [True]
    with pytest.raises(KeyError, match="'missing'"):
        Aside(lambda: {}["missing"], threaded).result()


def test_a_fork_waits_for_it():
    """OpenBLAS that is asked to fork amid a matrix product of several threads never ends it."""
    done = []

    def multiply():
        time.sleep(0.2)  # long enough to be amid it
        done.append(True)

    work = Aside(multiply, threaded=True)
    child = os.fork()
    if not child:
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    work.result()
