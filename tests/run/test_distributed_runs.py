"""End to end: `torchrun` and MACE's own `--distributed`, on CPU."""

import pytest
import torch
from conftest import PUBLISHED, torchrun
from structures import molecules, spoil, write_xyz

WRONG = [3, 12, 25]


@pytest.fixture
def folder(mace):
    """30 molecules, 3 of them with wrong energies."""
    train = molecules(30)
    spoil(train, WRONG, energy=30.0)
    write_xyz(mace.folder, train, molecules(8, seed=1))
    return mace


def test_a_run_of_two_processes_finds_the_wrong_frames_and_goes_on_in_one(folder):
    flags = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", "--batch_size=3"]
    run = torchrun(folder, 2, "two", *flags)
    records = run.state["records"]
    assert sorted(torch.argsort(records["weight"])[:3].tolist()) == WRONG
    assert records["times_seen"].tolist() == [3] * 30
    assert run.state["statistics"]["stage_one"]["judges"][0]["evidence"]["epochs"]["energy"].tolist() == [3] * 30
    assert "Processes: 2" in run.log
    assert len(list(folder.folder.glob("results/two_run-1_outliers*"))) > 0
    before = set(run.checkpoints)
    more = folder.train("two", *flags, "--max_num_epochs=5", "--restart_latest")
    assert "Continuing with the loss statistics of the checkpoint" in more.log
    assert set(more.checkpoints) - before
    times = more.state["records"]["times_seen"]
    assert times.min() >= 4
    assert sorted(torch.argsort(more.state["records"]["weight"])[:3].tolist()) == WRONG


def test_weights_of_1_train_the_stock_model_in_two_processes(mace):
    stock = torchrun(mace, 2, "stock", "--loss=universal", "--batch_size=4")
    ours = torchrun(
        mace, 2, "ours", "--loss=ema_robust", "--ema_robust_base_loss=universal", "--ema_robust_threshold=inf",
        "--batch_size=4",
    )  # fmt: skip
    for name, value in stock.parameters.items():
        torch.testing.assert_close(ours.parameters[name], value, rtol=1e-9, atol=1e-11)


def test_lbfgs_in_two_processes(folder):
    run = torchrun(folder, 2, "lbfgs", *PUBLISHED, "--lbfgs", "--max_num_epochs=2", "--batch_size=8")
    assert run.state["records"]["times_seen"].eq(run.state["records"]["times_seen"].max()).all()
    assert run.state["records"]["weight"].min() < 0.9
