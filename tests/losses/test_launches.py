"""A step never waits for the device, and what is compiled or accelerated is left alone."""

import sys
from pathlib import Path

import pytest
import torch
from base_losses import BASES
from mace.modules.loss import WeightedEnergyForcesLoss
from ranks import Toy, collate, items

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "overhead"))
from launches import PHASES, Launches, count, robust, training_batch

pytestmark = pytest.mark.usefixtures("double_precision")
MOST_KERNELS = 130  # added to a step; at 10 us each, 2.6 % of 50 ms; some 30 of them pool the features
IN_FIRST_EPOCH = 20  # and so many more, for what weighs each batch


@pytest.mark.parametrize("ranks", [False, True], ids=["one process", "distributed"])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
def test_a_step_waits_for_the_device_no_more_often_than_the_stock_loss(phase, heads, ranks):
    for base in BASES:
        stock, ours = count(base(), heads), count(robust(base(), phase, heads, ranks), heads)
        # where the base loss has to be evaluated twice, see PerConfigurationLoss, its own waits come twice
        twice = robust(base(), phase).per_configuration.short_cut == "none"
        allowed = stock.waits + stock.waits if twice else stock.waits
        assert not ours.waits - allowed, base.__name__
        most = MOST_KERNELS + IN_FIRST_EPOCH * (phase == "first epoch")
        assert ours.kernels.total() <= (1 + twice) * stock.kernels.total() + most, base.__name__


def test_frozen_weights_and_validation_wait_for_nothing_either():
    loss = robust(WeightedEnergyForcesLoss(), "gaussian")
    batch, output = training_batch()
    stock = count(loss.base)
    with Launches() as frozen:
        loss.weigher.frozen = True
        loss(ref=batch, pred=output).backward()
    del batch["configuration_id"]
    batch["validation_id"] = torch.arange(3)
    with loss.selecting(), Launches() as validation:
        loss(ref=batch, pred=output).backward()
    assert not frozen.waits - stock.waits
    assert not validation.waits - stock.waits - stock.waits  # the stock loss, and its configurations


WAITING = [
    lambda x: x.sum().item(),
    lambda x: x[x > 0.5],
    lambda x: torch.nonzero(x),
    lambda x: bool((x > 2).any()),
    lambda x: torch.tensor([1.0, 2.0]),
    lambda x: x.to("meta"),
    lambda x: torch.arange(3).repeat_interleave(torch.tensor([1, 2, 3])),
    lambda x: x.index_put((x > 0.5,), torch.zeros(())),
    lambda x: x.tolist() and float(x.max()),
]


@pytest.mark.parametrize("waits", WAITING)
def test_the_count_sees_what_waits(waits):
    x = torch.rand(3, 4)
    with Launches() as launches:
        waits(x)
    assert launches.waits


def test_a_compiled_model_gets_the_same_loss_and_gradients():
    batch = collate(items()[8:16])
    batch.configuration_id = torch.arange(8)
    found = []
    for compile_model in (lambda model: model, lambda model: torch.compile(model, backend="aot_eager")):
        torch._dynamo.reset()
        model = Toy()
        loss = robust(WeightedEnergyForcesLoss(), "gaussian")
        tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
        value = loss(ref=batch, pred=compile_model(model)(tensors))
        value.backward()
        found.append((value.detach(), model.energy.grad, model.forces.grad))
    torch.testing.assert_close(found[0], found[1])
