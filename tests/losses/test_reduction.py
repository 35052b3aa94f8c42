"""Per-configuration losses of every MACE loss, against the loss itself."""

from types import SimpleNamespace

import pytest
import torch
from base_losses import BASES, part
from mace.modules import loss as mace_losses

from mace_outlier.data.labels import LABELS
from mace_outlier.losses.probe import made_up_batch
from mace_outlier.losses.reducer import UnsupportedLossError
from mace_outlier.losses.reduction import PerConfigurationLoss

pytestmark = pytest.mark.usefixtures("double_precision")


def test_all_losses_of_mace_are_covered():
    assert len(BASES) >= 9


@pytest.mark.parametrize("base", BASES)
def test_contributions_average_to_the_stock_loss_and_its_gradient(base):
    batch, output = made_up_batch()
    leaves = {k: v.requires_grad_() for k, v in output.items()}
    loss = base()
    split = PerConfigurationLoss(loss, mace_losses)
    ours = split(batch, leaves).contribution.mean()
    stock = loss(ref=batch, pred=leaves)
    torch.testing.assert_close(ours, stock, rtol=1e-12, atol=0)
    inputs = [leaves[label] for label in split.labels]
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(stock, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("base", BASES)
def test_judged_loss_does_not_depend_on_batch_mates(base):
    batch, output = made_up_batch()
    split = PerConfigurationLoss(base(), mace_losses)
    together = split(batch, output).judged
    for i in range(3):
        alone = split(*part(batch, output, i)).judged
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("base", BASES)
def test_absent_labels_and_configuration_weights_do_not_count_against_a_configuration(base):
    batch, output = made_up_batch()
    split = PerConfigurationLoss(base(), mace_losses)
    before = split(batch, output).judged
    for label, weight in LABELS.items():  # whatever stands where there is no label must not matter
        entries = batch["batch"] if label == "forces" else torch.arange(3)
        absent = (batch[weight].reshape(3, -1)[:, 0] == 0)[entries]
        batch[label][absent] = 1e6
    batch["weight"] = torch.tensor([1.0, 7.0, 3.0])
    torch.testing.assert_close(split(batch, output).judged, before, rtol=1e-12, atol=0)


def test_labels_that_the_loss_uses_are_known():
    used = {base.__name__: PerConfigurationLoss(base(), mace_losses).labels for base in BASES}
    assert used["WeightedEnergyForcesLoss"] == ("energy", "forces")
    assert used["UniversalLoss"] == ("energy", "forces", "stress")
    assert used["DipoleSingleLoss"] == ("dipole",)


def test_one_atom_each_and_one_configuration():
    batch, output = made_up_batch()
    split = PerConfigurationLoss(mace_losses.UniversalLoss(), mace_losses)
    atoms = {k: (v[:3] if k == "forces" else v) for k, v in output.items()}
    single = type(batch)(batch)
    single["forces"], single["batch"], single["ptr"] = batch["forces"][:3], torch.arange(3), torch.arange(4)
    torch.testing.assert_close(
        split(single, atoms).contribution.mean(), split.base(ref=single, pred=atoms), rtol=1e-12, atol=0
    )
    one, pred = part(batch, output, 2)
    torch.testing.assert_close(split(one, pred).contribution.mean(), split.base(ref=one, pred=pred), rtol=1e-12, atol=0)


def test_the_host_gets_its_reducer_back_even_after_an_error():
    before = mace_losses.reduce_loss
    batch, output = made_up_batch()
    split = PerConfigurationLoss(mace_losses.WeightedEnergyForcesLoss(), mace_losses)
    with pytest.raises(KeyError):
        split(batch, {})
    assert mace_losses.reduce_loss is before
    assert output


class OwnMean(torch.nn.Module):
    def forward(self, ref, pred, ddp=None):
        return (ref["energy"] - pred["energy"]).square().mean()


class NotLinear(torch.nn.Module):
    def forward(self, ref, pred, ddp=None):
        return mace_losses.weighted_mean_squared_error_energy(ref, pred, ddp).sqrt()


@pytest.mark.parametrize(("loss", "match"), [(OwnMean(), "reduce_loss"), (NotLinear(), "not the mean")])
def test_a_loss_that_cannot_be_split_is_refused(loss, match):
    with pytest.raises(UnsupportedLossError, match=match):
        PerConfigurationLoss(loss, mace_losses)


def test_a_host_that_reduces_elsewhere_is_refused():
    host = SimpleNamespace(__name__="other", reduce_loss=torch.mean)
    with pytest.raises(UnsupportedLossError, match=r"other\.reduce_loss"):
        PerConfigurationLoss(mace_losses.WeightedEnergyForcesLoss(), host)


@pytest.mark.parametrize("base", BASES)
def test_each_term_belongs_to_a_label_and_can_be_weighed_by_it(base):
    """Factors of 0 for all labels but one leave the loss of data that have this label only."""
    batch, output = made_up_batch()
    split = PerConfigurationLoss(base(), mace_losses)
    whole = split(batch, output)
    factor = torch.tensor([0.5, 2.0, 3.0])
    parts = []
    for label in split.labels:
        factors = {other: factor if other == label else torch.zeros(3) for other in split.labels}
        losses = split(batch, output, factors=factors)
        parts.append(losses.contribution / factor)
        torch.testing.assert_close(losses.judged, whole.judged, rtol=0, atol=0)
        perfect = {other: output[other] if other == label else batch[other] for other in output}
        torch.testing.assert_close(parts[-1], split(batch, perfect).contribution, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(sum(parts), whole.contribution, rtol=1e-12, atol=1e-15)
