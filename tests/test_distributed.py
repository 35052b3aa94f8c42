"""Two gloo processes with half of a batch each, against one process with the whole batch."""

import pytest
import torch
import torch.multiprocessing as multiprocessing
from mace.modules import loss as mace_losses
from test_reduction import part

from mace_outlier import distributed
from mace_outlier.loss import RobustLoss
from mace_outlier.probe import made_up_batch
from mace_outlier.provenance import Descriptions, Tag
from mace_outlier.records import Records
from mace_outlier.reduction import PerConfigurationLoss
from mace_outlier.weighting import GaussianDistribution


def whole_batch():
    torch.set_default_dtype(torch.float64)
    batch, output = made_up_batch()
    batch["configuration_id"], batch["head"] = torch.arange(3), torch.tensor([0, 1, 0])
    return batch, output


def two_configurations():
    """Configurations 0 and 2 of the made-up batch, as one batch of 2 and 4 atoms."""
    batch, output = whole_batch()
    parts = [part(batch, output, i) for i in (0, 2)]
    joined = type(batch)({k: torch.cat([p[0][k] for p in parts]) for k in batch if k not in ("ptr", "batch")})
    joined["ptr"], joined["batch"] = torch.tensor([0, 2, 6]), torch.tensor([0, 0, 1, 1, 1, 1])
    return joined, {k: torch.cat([p[1][k] for p in parts]) for k in output}, parts


def robust():
    split = PerConfigurationLoss(mace_losses.WeightedEnergyForcesLoss(), mace_losses)
    distribution = GaussianDistribution(2, threshold=0.5, sum_over_ranks=distributed.sum_over_ranks)
    return RobustLoss(split, distribution, Records(3, num_heads=2), distributed.mean_sizes)


TAGS = {0: Tag("bulk", "H2O", "H2O", 3), 2: Tag("gas", "CO", "CO", 2)}


def one_rank(rank, folder, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    _, _, parts = two_configurations()
    loss = robust()
    values = [loss(ref=parts[rank][0], pred=parts[rank][1]).item() for _ in range(2)]
    loss.records.merge(distributed.sum_over_ranks)
    loss.records.end_epoch()
    row = 2 * rank
    descriptions = Descriptions(3)
    descriptions.note(row, TAGS[row])
    descriptions.merge(distributed.largest_over_ranks, distributed.gather)
    texts = [descriptions.categories(name) for name in ("config_type", "formula")]
    results[rank] = (values, loss.distribution.state_dict(), loss.records.state_dict(), texts)
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("double_precision")
def test_two_processes_equal_one(tmp_path):
    with multiprocessing.Manager() as manager:
        results = manager.dict()
        multiprocessing.spawn(one_rank, args=(tmp_path, results), nprocs=2)
        results = dict(results)
    batch, output, _ = two_configurations()
    loss = robust()
    for step in range(2):
        expected = loss(ref=batch, pred=output).item()
        # DistributedDataParallel averages gradients, so the mean over the ranks has to be the loss of the whole batch
        assert sum(results[rank][0][step] for rank in (0, 1)) / 2 == pytest.approx(expected, rel=1e-12)
    for rank in (0, 1):
        for name, value in loss.distribution.state_dict().items():
            torch.testing.assert_close(results[rank][1][name], value, rtol=1e-12, atol=0)
    assert loss.records.weight.min() < 0.9
    loss.records.end_epoch()
    for rank in (0, 1):
        for name, value in loss.records.state_dict().items():
            torch.testing.assert_close(results[rank][2][name], value, rtol=1e-6, atol=0, equal_nan=True)
        for name, (codes, texts) in zip(("config_type", "formula"), results[rank][3], strict=True):
            assert [texts[code] for code in codes] == [getattr(TAGS[0], name), "", getattr(TAGS[2], name)]
