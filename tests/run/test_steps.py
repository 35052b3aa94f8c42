"""A step whose gradients are not finite never happened: to the last bit, and without a wait for the device."""

import sys
from pathlib import Path

import pytest
import torch
from torch_ema import ExponentialMovingAverage

from mace_outlier.run import steps
from mace_outlier.run.steps import GuardedOptimizer, Kept, taken_back_unless_finite

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "overhead"))
from launches import Launches

OPTIMIZERS = {
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01, amsgrad=True, weight_decay=1e-3),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True),
}


def train(make, batches, guarded=True, counts=None):
    """Train a small model on batches (one number for each, which scales the inputs); return all that it comes to."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = make([{"params": [*model[0].parameters(), frozen]}, {"params": model[2].parameters(), "lr": 0.02}])
    ema, x = ExponentialMovingAverage(model.parameters(), decay=0.9), torch.rand(5, 3)
    ours = GuardedOptimizer(Kept(optimizer, ema)) if guarded else optimizer
    for batch in batches:
        ours.zero_grad(set_to_none=True)
        model(x * batch).square().sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=10.0)
        with Launches() as launches:
            ours.step()
            ema.update()
        if counts is not None:
            counts.append(launches)
    if guarded:
        ours.settle()
    state = [value for own in optimizer.state.values() for value in own.values()]
    return list(model.parameters()), list(ema.shadow_params), ema.num_updates, state, getattr(ours, "taken_back", None)


@pytest.fixture
def later(monkeypatch):
    """As on a device that gives no answer at once."""
    monkeypatch.setattr(steps, "answers_at_once", lambda norm, arrived: False)


@pytest.fixture(params=["at once", "later"])
def whenever(request):
    """Whether a device gives its answer at once."""
    if request.param == "later":
        request.getfixturevalue("later")


@pytest.mark.usefixtures("whenever")
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("batches", "bad"),
    [((1.0, torch.nan, 0.5, 2.0), [1]), ((torch.nan, torch.inf, 1.0, 0.5), [0, 1]), ((1.0, 0.5, torch.nan), [2])],
    ids=["in the middle", "at first", "at last"],
)
def test_a_step_without_finite_gradients_never_happened(name, batches, bad):
    with_it = train(OPTIMIZERS[name], batches)
    without = train(OPTIMIZERS[name], [b for b in batches if torch.isfinite(torch.tensor(b))], guarded=False)
    assert with_it[4] == bad
    torch.testing.assert_close(with_it[:4], without[:4], rtol=0, atol=0)


@pytest.mark.usefixtures("later")
def test_it_is_the_same_where_torch_copies_one_by_one(monkeypatch):
    batches = (1.0, torch.nan, 0.5)
    expected = train(OPTIMIZERS["adam"], batches)
    monkeypatch.delattr(torch, "_foreach_copy_")
    torch.testing.assert_close(train(OPTIMIZERS["adam"], batches)[:4], expected[:4], rtol=0, atol=0)


@pytest.mark.usefixtures("later")
def test_a_guarded_step_waits_for_nothing():
    stock, ours = [], []
    train(OPTIMIZERS["adam"], (1.0, torch.nan, 0.5), guarded=False, counts=stock)
    train(OPTIMIZERS["adam"], (1.0, torch.nan, 0.5), counts=ours)
    assert [own.waits.total() for own in ours] == [own.waits.total() for own in stock]


def test_the_host_finds_its_optimiser_behind_it():
    optimizer = OPTIMIZERS["adam"]([torch.nn.Parameter(torch.ones(2))])
    assert GuardedOptimizer(Kept(optimizer)).param_groups is optimizer.param_groups


@pytest.mark.parametrize("ends", [2.0, torch.nan])
def test_lbfgs_begins_anew_where_its_step_ends_in_a_model_that_is_not_finite(ends):
    parameter = torch.nn.Parameter(torch.tensor([1.0, 5.0]))
    optimizer = torch.optim.LBFGS([parameter], line_search_fn="strong_wolfe")
    ema = ExponentialMovingAverage([parameter], decay=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (parameter - 2.0).square().sum()
        loss.backward()
        return loss

    with taken_back_unless_finite(optimizer, ema) as taken_back:
        optimizer.step(closure)
        with torch.no_grad():
            parameter[0] = ends
        ema.update()
    if ends == 2.0:
        assert (parameter.tolist(), taken_back) == ([2.0, 2.0], [])
        return
    assert (parameter.tolist(), taken_back) == ([1.0, 5.0], [0])
    assert ema.shadow_params[0].tolist() == [1.0, 5.0]
    assert ema.num_updates == 0
    assert not optimizer.state
    optimizer.step(closure)
    torch.testing.assert_close(parameter.data, torch.tensor([2.0, 2.0]))
