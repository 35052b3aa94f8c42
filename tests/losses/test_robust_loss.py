"""The robust loss: parity, what happens to bad configurations, frozen weights."""

import inspect
import math

import pytest
import torch
from base_losses import BASES, part
from mace.modules import loss as mace_losses

from mace_outlier.data.labels import LABELS, RESIDUALS
from mace_outlier.losses.probe import made_up_batch
from mace_outlier.losses.reduction import PerConfigurationLoss
from mace_outlier.losses.robust import RobustLoss
from mace_outlier.losses.selection import weighted_validation_loss
from mace_outlier.weights.distribution import Weighted
from mace_outlier.weights.features import Features
from mace_outlier.weights.records import Records
from mace_outlier.weights.running import GaussianDistribution
from mace_outlier.weights.weigher import Weigher

pytestmark = pytest.mark.usefixtures("double_precision")


def robust(base=mace_losses.WeightedEnergyForcesLoss, **options):
    split = PerConfigurationLoss(base(), mace_losses)
    return RobustLoss(split, Weigher(GaussianDistribution(**options), Records(10)))


def training_batch(ids=(0, 1, 2)):
    batch, output = made_up_batch()
    batch["configuration_id"], batch["head"] = torch.tensor(ids), torch.zeros(3, dtype=torch.long)
    for weight in [k for k in batch if k.endswith("_weight")]:
        batch[weight] = torch.ones_like(batch[weight])
    batch["weight"] = torch.ones(3)
    return batch, {k: v.requires_grad_() for k, v in output.items()}


@pytest.mark.parametrize("base", BASES)
def test_infinite_threshold_is_the_stock_loss_and_gradient(base):
    loss = robust(base, threshold=math.inf)
    batch, output = training_batch()
    ours, stock = loss(ref=batch, pred=output), loss.base(ref=batch, pred=output)
    torch.testing.assert_close(ours, stock, rtol=1e-12, atol=0)
    inputs = [output[label] for label in loss.per_configuration.labels]
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(stock, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)


def test_loss_is_the_mean_of_squared_weights_times_contributions():
    loss = robust(threshold=0.5)
    batch, output = training_batch()
    value = loss(ref=batch, pred=output)
    energy = (batch["energy"] - output["energy"]) / torch.tensor([2.0, 3.0, 4.0])
    forces = (batch["forces"] - output["forces"]).square().split([2, 3, 4])
    losses = torch.stack([e.square() + f.mean() for e, f in zip(energy, forces, strict=True)])
    z = (losses - losses.mean()) / losses.std(unbiased=False)
    weight = 0.5 * (1 + torch.erf((0.5 - z) / math.sqrt(2)))
    share = torch.stack([e.square() + f.sum() / 9 for e, f in zip(energy, forces, strict=True)])
    expected = (weight.square() * share).detach().mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.records.merge()
    torch.testing.assert_close(loss.records.weight[:3].double(), weight.detach(), rtol=1e-6, atol=1e-6)


def test_there_is_no_gradient_through_the_weights():
    loss = robust(threshold=0.5)
    batch, output = training_batch()
    gradient = torch.autograd.grad(loss(ref=batch, pred=output), output["energy"])[0]
    loss.records.merge()
    weight = loss.records.weight[:3].double()
    atoms = torch.tensor([2.0, 3.0, 4.0])
    expected = weight.square() * 2 * (output["energy"] - batch["energy"]).detach() / atoms.square() / 3
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-9)


def test_a_batch_without_ids_gets_the_stock_loss_and_teaches_nothing():
    loss = robust()
    batch, output = training_batch()
    loss(ref=batch, pred=output)
    loss.records.merge()
    before, records = loss.distribution.state_dict(), loss.records.state_dict()
    del batch["configuration_id"]
    batch["energy"] = batch["energy"] + 100
    assert loss(ref=batch, pred=output) == loss.base(ref=batch, pred=output)
    assert all(torch.equal(v, loss.distribution.state_dict()[k]) for k, v in before.items())
    loss.records.merge()
    after = loss.records.state_dict()
    assert all(
        torch.allclose(v.double(), after[k].double(), rtol=0, atol=0, equal_nan=True)
        for k, v in records.items()
        if isinstance(v, torch.Tensor)
    )


def bad_label(batch):
    """What TaggingCollater makes of a batch whose first configuration has a NaN among its forces."""
    batch["forces"][:2] = 0.0
    batch["unusable"] = torch.tensor([torch.nan, 0.0, 0.0])


def absent_forces(batch):
    batch["forces_weight"][0] = 0.0
    batch["forces"][:2] = 1e9  # zero-filled in MACE; must not matter


def no_label_at_all(batch):
    for key in [k for k in batch if k.endswith("_weight")]:
        batch[key][0] = 0.0


def overflow(batch):
    batch["energy"][0] = 1e250  # finite, but the loss is not, or nearly


def all_bad(batch):
    batch["unusable"] = torch.full((3,), torch.nan)


def all_outliers(batch):
    batch["energy"] += 1e6


EDGES = [
    # what is done to configuration 0 (or all), finite flags, configurations that enter the statistics
    (bad_label, [False, True, True], 2),
    (absent_forces, [True, True, True], 3),
    (no_label_at_all, [True, True, True], 2),
    (overflow, [False, True, True], 2),
    (all_bad, [False, False, False], 0),
    (all_outliers, [True, True, True], 3),
]


TWO_BASES = [mace_losses.WeightedEnergyForcesLoss, mace_losses.WeightedHuberEnergyForcesStressLoss]


@pytest.mark.parametrize("base", TWO_BASES)
@pytest.mark.parametrize(("change", "finite", "learnt_from"), EDGES, ids=lambda x: getattr(x, "__name__", None))
def test_edge_cases(base, change, finite, learnt_from):
    loss = robust(base)
    batch, output = training_batch()
    loss(ref=batch, pred=output)  # some history
    change(batch)
    value = loss(ref=batch, pred=output)
    assert torch.isfinite(value)
    for gradient in torch.autograd.grad(value, list(output.values()), allow_unused=True):
        assert gradient is None or torch.isfinite(gradient).all()
    loss.records.end_epoch()
    assert (~loss.records.nonfinite[:3]).tolist() == finite
    assert loss.distribution.seen.item() == 3 + learnt_from
    weight = loss.records.weight[:3]
    assert weight[~torch.tensor(finite)].eq(0).all()
    assert torch.isfinite(loss.distribution.mean).all()
    if change is absent_forces:
        assert weight[0] > 0.5


def test_bad_configuration_has_no_influence_on_the_others():
    loss = robust()
    batch, output = training_batch()
    bad_label(batch)
    energy, forces = torch.autograd.grad(loss(ref=batch, pred=output), [output["energy"], output["forces"]])
    assert energy[0] == 0
    assert forces[:2].eq(0).all()
    assert forces[2:].ne(0).all()
    loss.records.merge()
    assert torch.isnan(loss.records.loss[0])


def test_one_configuration_a_batch():
    loss = robust(warmup=0)
    batch, output = made_up_batch()
    for i in range(3):
        one, pred = part(batch, output, i)
        one["configuration_id"], one["head"], one["weight"] = torch.tensor([i]), torch.tensor([0]), torch.ones(1)
        assert torch.isfinite(loss(ref=one, pred=pred))
    assert loss.distribution.seen.item() == 3
    assert loss.distribution.variance.item() > 0


def test_frozen_weights_stay_within_a_step_and_the_statistics_take_one_update():
    loss = robust(threshold=0.5, warmup=0)
    batch, output = training_batch()
    stock = loss.base(ref=batch, pred=output)
    with loss.frozen_weights():
        first = loss(ref=batch, pred=output)
        batch["energy"] = batch["energy"] + 5.0
        loss(ref=batch, pred=output)
        assert loss.distribution.seen.item() == 0
        assert loss.records.weight.eq(1).all()
    torch.testing.assert_close(first, stock)
    assert loss.distribution.seen.item() == 3  # seven configurations of the ten were never seen
    latest = PerConfigurationLoss(loss.base, mace_losses)(batch, output).judged
    assert loss.distribution.mean.item() == pytest.approx(latest.mean().item(), rel=1e-6)
    held = loss.records.weight.clone()
    assert held[:3].min() < 0.9
    assert held[3:].eq(1).all()
    with loss.frozen_weights():
        loss(ref=batch, pred=output)
        assert torch.equal(loss.records.weight, held)


def test_frozen_weights_of_a_bad_label_are_zero():
    loss = robust()
    batch, output = training_batch()
    bad_label(batch)
    with loss.frozen_weights():
        assert torch.isfinite(loss(ref=batch, pred=output))
    loss.records.end_epoch()
    assert loss.records.weight[0] == 0
    assert loss.distribution.seen.item() == 2


def test_forward_takes_the_host_s_arguments():
    host = inspect.signature(mace_losses.WeightedEnergyForcesLoss.forward).parameters
    assert list(inspect.signature(RobustLoss.forward).parameters) == list(host)


# --- weights of the last fit -----------------------------------------------------------------------------------------


class Settled(GaussianDistribution):
    """A distribution whose weights come from a fit."""

    settled = True

    def sums(self, *batch):
        raise AssertionError("a settled distribution learns nothing from a batch")

    absorb = weigh = sums


def settled_loss(weights=(0.9, 0.1, 0.5)):
    split = PerConfigurationLoss(mace_losses.WeightedEnergyForcesLoss(), mace_losses)
    loss = RobustLoss(split, Weigher(Settled(), Records(10)))
    loss.records.judge(torch.arange(10) < 3, torch.tensor([*weights] + [1.0] * 7), torch.zeros(10))
    return loss


def test_a_settled_distribution_gives_the_weights_of_its_last_fit():
    loss = settled_loss()
    batch, output = training_batch()
    squared = loss.records.weight[:3].double().square()
    expected = (squared * loss.per_configuration(batch, output).contribution).mean()
    torch.testing.assert_close(loss(ref=batch, pred=output), expected)
    loss.records.merge()
    assert loss.records.weight[:3].tolist() == pytest.approx([0.9, 0.1, 0.5])
    assert (loss.records.loss[:3] > 0).all()  # what the next fit is made from


def test_what_processes_exchange_in_a_step_does_not_depend_on_their_fits():
    """A collective whose size the processes disagree about never ends."""
    lengths = []

    class Fitted(GaussianDistribution):
        settled = False

    loss = robust()
    loss.attach(Weigher(Fitted(), loss.records, sum_over_ranks=lambda table: lengths.append(len(table)) or table))
    batch, output = training_batch()
    loss(ref=batch, pred=output)
    loss.distribution.settled = True
    known = {name: value.clone() for name, value in loss.distribution.state_dict().items()}
    loss.records.weight[:3] = torch.tensor([0.9, 0.1, 0.5])  # those of the fit
    loss(ref=batch, pred=output)
    assert lengths[0] == lengths[1] > 3
    torch.testing.assert_close(dict(loss.distribution.state_dict()), known)
    loss.records.merge()
    assert loss.records.weight[:3].tolist() == pytest.approx([0.9, 0.1, 0.5])


def test_each_label_is_weighed_by_its_own_property_if_asked():
    loss = settled_loss(weights=(0.4, 0.1, 0.5))
    loss.by_property = True
    energy, forces = torch.tensor([0.4, 1.0, 0.5]), torch.tensor([1.0, 0.1, 1.0])
    own = {"energy": torch.cat((energy, torch.ones(7))), "forces": torch.cat((forces, torch.ones(7)))}
    loss.records.judge(torch.arange(10) < 3, loss.records.weight.clone(), torch.zeros(10), own)
    batch, output = training_batch()
    split = loss.per_configuration
    squared = {"energy": energy.double().square(), "forces": forces.double().square()}
    expected = split(batch, output, factors=squared).contribution.mean()
    assert loss(ref=batch, pred=output).item() == pytest.approx(expected.item(), rel=1e-6)
    loss.records.merge()
    assert loss.records.weight[:3].tolist() == pytest.approx([0.4, 0.1, 0.5])
    loss.by_property = False
    assert loss(ref=batch, pred=output).item() != pytest.approx(expected.item(), rel=1e-3)


def test_what_is_not_judged_yet_is_weighed_as_a_whole_where_properties_are():
    """A configuration that is seen for the first time after a judgement: it has no weights of its labels yet."""
    loss = settled_loss()
    loss.by_property, loss.records.newcomers = True, torch.arange(10) == 1
    loss.distribution.weigh = lambda losses, heads: Weighted(torch.zeros_like(losses), torch.zeros_like(losses))
    batch, output = training_batch()
    contribution = loss.per_configuration(batch, output).contribution
    expected = (contribution * torch.tensor([1.0, 0.0, 1.0])).mean()
    assert loss(ref=batch, pred=output).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_label_without_a_residual_of_its_own_is_weighed_by_the_configuration():
    split = PerConfigurationLoss(mace_losses.WeightedEnergyForcesDipoleLoss(), mace_losses)
    loss = RobustLoss(split, Weigher(Settled(), Records(10)))
    weights = torch.tensor([0.4, 0.1, 0.5] + [1.0] * 7)
    loss.records.judge(torch.arange(10) < 3, weights, torch.zeros(10), {"energy": torch.ones(10)})
    loss.by_property = True
    batch, output = training_batch()
    whole = weights[:3].double().square()
    factors = {"energy": torch.ones(3), "forces": torch.ones(3), "dipole": whole}
    expected = split(batch, output, factors=factors).contribution.mean()
    assert loss(ref=batch, pred=output).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_bad_label_has_no_influence_where_properties_are_weighed():
    loss = settled_loss()
    loss.by_property = True
    batch, output = training_batch()
    bad_label(batch)
    value = loss(ref=batch, pred=output)
    energy, forces = torch.autograd.grad(value, [output["energy"], output["forces"]])
    assert energy[0] == 0
    assert forces[:2].eq(0).all()
    assert forces[2:].ne(0).all()


def test_what_a_step_sees_of_the_geometry_is_noted():
    loss = settled_loss()
    features = loss.weigher.features = Features(10, torch.tensor([0, 2]))
    batch, output = training_batch()
    output["node_feats"] = torch.rand(9, 3)
    loss(ref=batch, pred=output).backward()
    rows, places = features.noted.latest()
    table = features.noted.columns[places]
    assert table.isfinite().sum(1).tolist() == [1 + 4] * 3  # force; means and deviations
    assert rows.tolist() == [0, 1, 2]


# --- validation ------------------------------------------------------------------------------------------------------


def test_all_weights_1_give_the_stock_validation_loss():
    loss = robust()
    batch, output = training_batch()
    del batch["configuration_id"]
    batch["validation_id"] = torch.tensor([2, 0, 1])
    with loss.selecting() as selection:
        stock = loss(ref=batch, pred=output)
    rows, _, losses, shares, errors = selection.collect()
    assert rows.tolist() == [2, 0, 1]
    value, mean_weight = weighted_validation_loss(shares, torch.ones(3))
    assert (value, mean_weight) == (pytest.approx(stock.item() / 3), 1)
    half, _ = weighted_validation_loss(shares, torch.tensor([1.0, 0.0, 0.0]))
    assert half == pytest.approx(shares[0].item())
    assert weighted_validation_loss(shares, torch.zeros(3)) is None
    given = []
    everyone = selection.collect_all(2, lambda table: given.append(table.shape) or table.repeat(2, 1))
    assert given == [(3, 4 + 2)]  # features stay where they are
    assert everyone.rows.tolist() == [2, 0, 1] * 2
    torch.testing.assert_close(everyone.columns, errors[:2].repeat(1, 2))
    energy = (output["energy"] - batch["energy"]).detach() / torch.tensor([2.0, 3.0, 4.0])
    torch.testing.assert_close(errors[0], energy)
    torch.testing.assert_close(losses, loss.per_configuration(batch, output).judged)


def test_a_validation_batch_counts_once_however_often_its_loss_is_asked_for():
    """torchmetrics calls it twice for each batch."""
    loss = robust()
    batches = [training_batch() for _ in range(2)]
    with loss.selecting() as selection:
        for batch, output in batches:
            del batch["configuration_id"]
            batch["validation_id"] = torch.arange(3)
            values = [loss(ref=batch, pred=output) for _ in range(2)]
            assert values[0] == values[1]
    assert selection.collect()[0].tolist() == [0, 1, 2, 0, 1, 2]


def test_a_validation_configuration_without_an_energy_has_no_energy_error():
    loss = robust()
    batch, output = training_batch()
    del batch["configuration_id"]
    batch["validation_id"] = torch.arange(3)
    batch["labels_absent"] = torch.zeros(3, 6, dtype=torch.bool)
    batch["labels_absent"][1, 0] = True
    with loss.selecting() as selection:
        loss(ref=batch, pred=output)
    assert selection.collect()[4][0].isnan().tolist() == [False, True, False]


# --- residuals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", BASES)
def test_every_label_that_a_loss_uses_has_a_residual(base):
    """By one rule, whatever its shape; a MACE with a loss of another label needs a name for it in RESIDUALS."""
    split = PerConfigurationLoss(base(), mace_losses)
    records = Records(10, labels=split.labels)
    batch, output = training_batch()
    batch["labels_absent"] = torch.zeros(3, 6, dtype=torch.bool)
    batch["labels_absent"][1] = True
    RobustLoss(split, Weigher(GaussianDistribution(), records))(ref=batch, pred=output)
    records.merge()
    atoms = {"energy": 1, "forces": 0, "stress": 0, "virials": 1, "dipole": 1, "polarizability": 1}
    shown = set()
    for column in records.residual_names:
        label = next(label for label, residual in RESIDUALS.items() if residual.column == column)
        values = records.column(column)[:3].double()
        shown |= {label} if values.isfinite().any() else set()
        if label not in split.labels:
            assert values.isnan().all()
            continue
        difference = (output[label] - batch[label]).detach()
        parts = difference.split([2, 3, 4]) if label == "forces" else difference
        size = [part if part.dim() == 0 else part.square().mean().sqrt() for part in parts]
        expected = torch.stack([s / n ** atoms[label] for s, n in zip(size, (2, 3, 4), strict=True)])
        expected[1] = torch.nan
        torch.testing.assert_close(values, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert shown == set(split.labels)
    assert RESIDUALS.keys() == LABELS.keys()
