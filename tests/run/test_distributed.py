"""Processes that share a batch (gloo), against one process with the whole batch."""

import sys
from pathlib import Path

import numpy as np
import pytest
import ranks
import torch
import warm_python

from mace_outlier.run import distributed

pytestmark = pytest.mark.usefixtures("double_precision")
TESTS = Path(__file__).parents[1]
FORKED = """
import sys; sys.path.insert(0, {tests!r})
import pathlib, ranks, torch.multiprocessing
folder = pathlib.Path({folder!r})
torch.multiprocessing.start_processes(ranks.one_rank, ({number}, folder), {number}, start_method="fork")
"""  # of one process that has imported everything: spawned ones would do so one by one


@pytest.fixture(scope="module", params=[2, 4])
def outcomes(request, tmp_path_factory):
    """What each of several processes comes to, by case."""
    folder = tmp_path_factory.mktemp("ranks")
    done = warm_python.run("-c", FORKED.format(number=request.param, folder=str(folder), tests=str(TESTS)))
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(request.param)]


@pytest.fixture(scope="module")
def alone():
    """What one process comes to with the whole batches, by case."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    found = {name: ranks.train(0, 1, **case) for name, case in ranks.CASES.items()}
    torch.set_default_dtype(before)
    return found


def same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12, equal_nan=True)


def flat(state):
    """Tensors and numbers of a nested state, in order."""
    if isinstance(state, dict):
        return [leaf for value in state.values() for leaf in flat(value)]
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in flat(value)]
    return [state]


def same_state(ours, theirs):
    """The same numbers within rounding, and the same of anything else."""
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        if isinstance(one, torch.Tensor | float):
            same(one, other)
        else:
            assert one == other


def of_share(records, rank, ranks_):
    """What one of so many processes knows of records."""
    first, end = (len(records["loss"]) * place // ranks_ for place in (rank, rank + 1))
    return {name: own[first:end] if isinstance(own, torch.Tensor) else own for name, own in records.items()}


@pytest.mark.parametrize("case", ranks.CASES)
def test_several_processes_train_as_one(outcomes, alone, case):
    expected = alone[case]
    for rank, own in enumerate(outcomes):
        same(own[case]["parameters"], expected.parameters)
        records = expected.state["records"]
        if rank == 0:  # it saves them; others know their share
            same(own[case]["state"]["records"], records)
            same_state(own[case]["state"]["statistics"], expected.state["statistics"])
        else:
            same(own[case]["state"]["records"], of_share(records, rank, len(outcomes)))
        # MACE adds up the means of batches, of which each process has as many as the one alone, and half as large
        assert own[case]["validation"] == pytest.approx([len(outcomes) * v for v in expected.validation], rel=1e-10)
        assert own[case]["metadata"]["n_atoms"].equal(expected.metadata["n_atoms"])
        assert own[case]["metadata"]["formula"][1] == expected.metadata["formula"][1]
    # DistributedDataParallel averages gradients, so the mean over the ranks has to be the loss of the whole batch
    mean = torch.tensor([own[case]["losses"] for own in outcomes]).mean(0)
    same(mean, torch.tensor(expected.losses))


@pytest.mark.usefixtures("double_precision")
def test_a_restart_may_have_another_number_of_processes(outcomes, alone):
    """From one process to several, and from several to one: as a training that was not interrupted."""
    expected = alone["mixture"]
    for rank, own in enumerate(outcomes):
        same(own["restarted"]["parameters"], expected.parameters)
        records = expected.state["records"] if rank == 0 else of_share(expected.state["records"], rank, len(outcomes))
        same(own["restarted"]["state"]["records"], records)
    same_state(outcomes[0]["restarted"]["state"]["statistics"], expected.state["statistics"])
    again = ranks.train(0, 1, **ranks.CASES["mixture"], start=ranks.Outcome(**outcomes[0]["half"]))
    same(again.parameters, expected.parameters)
    same(again.state["records"], expected.state["records"])
    same_state(again.state["statistics"], expected.state["statistics"])


def test_the_training_was_worth_comparing(alone):
    """Otherwise the tests above compare little."""
    weight = alone["mixture"].state["records"]["weight"]
    wrong = torch.zeros(len(weight), dtype=torch.bool)
    wrong[list(ranks.WRONG)] = True
    wrong[list(ranks.NOT_FINITE)] = True
    assert weight[wrong].max() < 0.1
    assert weight[~wrong].min() > 0.5
    assert alone["mixture"].state["statistics"]["stage_one"]["judges"][0]["populations"]
    assert alone["gaussian"].state["records"]["weight"].min() < 0.5
    assert alone["gaussian"].state["statistics"]["stage_one"]["seen"].tolist() == [200, 24]
    assert set(alone["failing"].state["safety"]["stage_one"]["refused"]) == set()  # it was, one epoch before
    assert alone["frozen"].state["records"]["weight"].min() < 0.5


@pytest.mark.parametrize("case", ranks.CASES)
def test_a_step_takes_one_collective_in_every_process_and_none_in_one(outcomes, alone, case):
    assert set(alone[case].collectives) == {0}
    for own in outcomes:
        assert set(own[case]["collectives"]) == {1}


def test_weights_of_1_give_the_stock_losses_of_each_process(outcomes):
    """Also those that MACE averages over the configurations of each process only, as its Huber loss."""
    assert len(outcomes[0]["stock"]) >= 9
    for own in outcomes:
        for name, (stock, stock_gradients, ours, gradients) in own["stock"].items():
            torch.testing.assert_close(ours, stock, rtol=1e-12, atol=0, msg=name)
            torch.testing.assert_close(gradients, stock_gradients, rtol=1e-12, atol=1e-15, msg=name)


@pytest.mark.parametrize("way", ["sent", "summed"])
def test_rows_reach_the_processes_that_they_are_for(outcomes, way):
    """Whether or not the backend can send them to these alone; the first process gets all that is to be saved."""
    given = [own["rows"] for own in outcomes]
    for rank, own in enumerate(given):
        expected = [row for one in given for row, to in zip(one["rows"], one["to"], strict=True) if to == rank]
        assert own[way][0].tolist() == [row.tolist() for row in expected]
    whole = np.arange(11)
    assert [column.tolist() for column in given[0][way][1:3]] == [whole.tolist()] * 2
    assert np.array_equal(given[0][way][3], whole[:, None] + np.arange(3.0))


def test_labels_are_judged_beside_the_validation_where_there_is_a_group_for_that(outcomes):
    assert {own["rows"]["aside"] for own in outcomes} == {(True, False)}


@pytest.mark.skipif(sys.platform != "linux", reason="names of threads")
def test_no_thread_of_that_group_outlives_the_run(outcomes):
    """Where one does until Python ends, that may never be: https://github.com/pytorch/pytorch/issues/190489."""
    for own in outcomes:
        (total, before), (alone, after) = own["threads"]
        assert (total, alone) == (len(outcomes), 1)
        assert before > 0
        assert after == 0


def test_one_process_shares_with_nobody():
    table = torch.rand(3, 2)
    assert distributed.sum_over_ranks(table) is table
    assert distributed.gather_rows(table) is table
    assert distributed.gather("a") == ["a"]


def test_a_step_that_one_process_would_spoil_is_taken_back_by_all(outcomes, alone):
    """The parameters are those of one process, see above: finite, and of every step but one of each epoch."""
    for own in [one["unpredicted"] for one in outcomes] + [alone["unpredicted"]._asdict()]:
        assert all(values.isfinite().all() for values in own["parameters"].values())
        assert not own["parameters"]["forces"].equal(alone["mixture"].parameters["forces"])
        assert not own["state"]["records"]["not_finite_since"]
    for own in (outcomes[0]["unpredicted"], alone["unpredicted"]._asdict()):
        records = own["state"]["records"]
        assert torch.nonzero(records["loss"] == torch.inf).flatten().tolist() == [20]
        assert records["weight"][20] == 0
