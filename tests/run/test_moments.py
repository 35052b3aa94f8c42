"""What an optimiser remembers of labels that have lost their weight is forgotten, once that is most of the loss."""

import logging

import numpy as np
import pytest
import torch
from conftest import load_checkpoint
from threads import in_threads

from mace_outlier import RobustWeights
from mace_outlier.method.processes import ALONE
from mace_outlier.weights.loss_left import loss_left
from mace_outlier.weights.moments import Moments, forget_gradients

OPTIMIZERS = {
    "amsgrad": lambda parameters: torch.optim.Adam(parameters, lr=0.01, amsgrad=True, weight_decay=1e-3),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
}
SAID = "of the loss have lost their weight: the moments of the optimiser begin anew"
FLAGS = (
    "--loss=ema_robust",
    "--energy_weight=100",
    "--forces_weight=1",
    "--batch_size=10",
    "--max_num_epochs=4",
    "--save_all_checkpoints",
)


# --- what is left of the loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 3])
def test_what_is_left_is_that_of_all_processes(number):
    rng = np.random.default_rng(0)
    losses, before, after = (torch.from_numpy(rng.random(20)).float() for _ in range(3))
    of_now, of_before = (
        sum(w * w * loss for w, loss in zip(own.tolist(), losses.tolist(), strict=True)) for own in (after, before)
    )

    def of_share(processes):
        own = processes.share(20)
        return loss_left(losses[own], before[own], after[own], processes)

    found = [of_share(ALONE)] if number == 1 else in_threads(number, of_share)
    assert found == pytest.approx([of_now / of_before] * number)
    assert len(set(found)) == 1  # to the last bit: the processes decide alike


def test_where_nothing_was_lost_all_is_left():
    assert loss_left(torch.zeros(3), torch.ones(3), torch.zeros(3), ALONE) == 1.0
    assert loss_left(torch.tensor([1.0, 3e37]), torch.ones(2), torch.ones(2), ALONE) == 1.0


# --- an optimiser ----------------------------------------------------------------------------------------------------


def steps(make, gradients, parameter, forget_after=None):
    """Take a step for each of the gradients, and return the optimiser."""
    optimizer = make([parameter])
    for number, gradient in enumerate(gradients):
        if number == forget_after:
            assert forget_gradients(optimizer)
        parameter.grad = torch.full_like(parameter, gradient)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_it_every_step_is_that_of_a_new_optimiser(name):
    """Large gradients of before would make steps 0.01 as long."""
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    steps(OPTIMIZERS[name], [100.0] * 5, parameter)
    new = torch.nn.Parameter(parameter.detach().clone())
    steps(OPTIMIZERS[name], [1.0, -0.5, 2.0], new)
    kept, forgotten = (torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    gradients = [100.0] * 5 + [1.0, -0.5, 2.0]
    optimizer = steps(OPTIMIZERS[name], gradients, forgotten, forget_after=5)
    steps(OPTIMIZERS[name], gradients, kept)
    torch.testing.assert_close(forgotten, new, rtol=0, atol=0)
    assert not torch.allclose(kept, new)
    assert int(optimizer.state[forgotten]["step"]) == 3


def test_others_keep_what_they_have():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    parameter.grad = torch.ones(3)
    optimizer.step()
    assert not forget_gradients(optimizer)
    assert optimizer.state[parameter]["momentum_buffer"].tolist() == [1, 1, 1]
    assert not forget_gradients(None)
    assert not forget_gradients(torch.optim.Adam([parameter]))  # which took no step yet


def test_several_judgements_add_up(caplog):
    caplog.set_level(logging.INFO)
    parameter = torch.nn.Parameter(torch.ones(1))
    optimizer, moments = steps(OPTIMIZERS["amsgrad"], [1.0] * 2, parameter), Moments()
    moments.outlive(0.8, optimizer)
    assert int(optimizer.state[parameter]["step"]) == 2
    assert not caplog.messages
    moments.outlive(0.6, optimizer)
    assert int(optimizer.state[parameter]["step"]) == 0
    assert caplog.messages == [f"52% {SAID}"]
    assert moments.left == 1.0
    moments.outlive(0.6, optimizer)  # of what is left now
    assert len(caplog.messages) == 1


def test_a_loop_of_ones_own_gives_its_optimiser(caplog):
    """Energies of a fifth are off by 1 eV/atom."""
    caplog.set_level(logging.INFO)
    rng, size = np.random.default_rng(0), 200
    wrong, ids = np.arange(size) % 5 == 0, torch.arange(size)
    counts, states = [], []
    for given in (True, False):
        weights, parameter = RobustWeights(size), torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.Adam([parameter])
        for _ in range(4):
            weights(ids, energy_error=torch.from_numpy(rng.normal(0, 0.01, size) + wrong))
            parameter.grad = torch.ones(1)
            optimizer.step()
            weights.end_epoch(*([optimizer] if given else []))
            states.append(weights.state_dict()["loss_left"])
        counts.append(int(optimizer.state[parameter]["step"]))
    assert counts == [2, 4]  # most are gross errors, known after the first epoch; of the others, two have to agree
    assert len(caplog.messages) == 2
    assert states[0] == 1.0
    other = RobustWeights(size)
    other.load_state_dict(weights.state_dict())
    assert other.state_dict()["loss_left"] == states[-1]


# --- a training ------------------------------------------------------------------------------------------------------


def count_of_steps(run):
    [count] = {int(own["step"]) for own in run.checkpoint()["optimizer"]["state"].values()}
    return count


def test_a_training_begins_anew_once_when_the_wrong_labels_are_known(spoilt):
    """A third of the energies: known after the second epoch. Steps of all others are counted."""
    run = spoilt.train("renewed", *FLAGS)
    assert run.log.count(SAID) == 1
    assert count_of_steps(run) == 2 * 12
    assert run.state["loss_left"] == pytest.approx(1.0, abs=0.1)
    kept = spoilt.train("kept", *FLAGS, "--ema_robust_optimizer=kept")
    assert SAID not in kept.log
    assert count_of_steps(kept) == 4 * 12
    assert kept.state["loss_left"] < 0.5


def test_a_restart_knows_what_was_left(spoilt):
    """So that two judgements, one before and one after it, add up as they would without."""
    spoilt.train("run", *FLAGS, "--ema_robust_optimizer=kept")
    run = spoilt.train("run", *FLAGS, "--restart_latest")
    assert run.log.count(SAID) == 1
    assert count_of_steps(run) == 0
    assert all(load_checkpoint(path)["mace_outlier"]["loss_left"] > 0 for path in run.checkpoints)
