"""Records of training configurations, and the data sets and batches that carry their ids."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mace import data, tools
from structures import molecules

from mace_outlier.dataset import FiniteBatches, TaggedDataset, nonfinite_labels
from mace_outlier.records import Records


def observe(records, ids, losses, finite=None, head=0):
    ids = torch.tensor(ids)
    finite = torch.ones(len(ids), dtype=torch.bool) if finite is None else torch.tensor(finite)
    records.observe(ids, torch.full((len(ids),), head), torch.tensor(losses, dtype=torch.float64), finite)


def test_each_configuration_keeps_its_latest_visit():
    records = Records(4)
    observe(records, [0, 2], [1.0, 2.0])
    records.epoch = 1
    observe(records, [2, 3], [5.0, 6.0], head=1)
    records.judge(torch.tensor([2, 3]), torch.tensor([0.25, 0.75]), torch.tensor([3.0, 1.0]))
    assert records.loss.tolist() == [1.0, 0.0, 5.0, 6.0]
    assert records.times_seen.tolist() == [1, 0, 2, 1]
    assert records.last_epoch.tolist() == [0, -1, 1, 1]
    assert records.head.tolist() == [0, 0, 1, 1]
    assert records.weight.tolist() == [1.0, 1.0, 0.25, 0.75]
    assert records.summary(1) == (2, 0.5, 0.5)
    assert records.summary(0).visited == 0


def test_a_nonfinite_loss_is_remembered_and_replaces_nothing():
    records = Records(2)
    observe(records, [0, 1], [1.0, 2.0])
    observe(records, [0, 1], [float("nan"), 1e300], finite=[False, True])
    assert records.nonfinite.tolist() == [True, False]
    assert records.loss[0] == 1.0
    assert torch.isfinite(records.loss).all()


def test_state_goes_round_and_is_checked_before_it_is_taken():
    records, other = Records(3), Records(3)
    observe(records, [1], [7.0])
    other.load_state_dict(records.state_dict())
    assert other.loss.tolist() == [0.0, 7.0, 0.0]
    with pytest.raises(ValueError, match="not of 4 training configurations"):
        Records(4).load_state_dict(records.state_dict())
    broken = {name: value for name, value in records.state_dict().items() if name != "nonfinite"}
    with pytest.raises(ValueError, match="nonfinite"):
        other.load_state_dict({**broken, "loss": torch.ones(3)})
    assert other.loss.tolist() == [0.0, 7.0, 0.0]


def test_two_million_configurations_take_less_than_64_megabytes():
    state = Records(2_000_000).state_dict()
    assert sum(value.numel() * value.element_size() for value in state.values()) <= 64e6


# --- data sets -------------------------------------------------------------------------------------------------------


def samples(count=6, spoil=()):
    frames = molecules(count)
    for i in spoil:
        frames[i].arrays["REF_forces"][0, 0] = np.nan
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    table = tools.AtomicNumberTable([1, 8])
    return [data.AtomicData.from_config(data.config_from_atoms(f, keys), z_table=table, cutoff=3.0) for f in frames]


def loader(dataset, size=4):
    return tools.torch_geometric.dataloader.DataLoader(dataset, batch_size=size)


def test_ids_are_the_positions_and_leave_the_samples_alone():
    items = samples()
    tagged = pickle.loads(pickle.dumps(TaggedDataset(items)))  # as a worker process gets it
    assert [batch.configuration_id.tolist() for batch in loader(tagged)] == [[0, 1, 2, 3], [4, 5]]
    assert tagged[-1].configuration_id == 5
    next(iter(loader(TaggedDataset(items))))
    assert all("configuration_id" not in item for item in items)
    plain, with_ids = next(iter(loader(items))), next(iter(loader(tagged)))
    assert all(torch.equal(plain[key], with_ids[key]) for key in plain.keys if isinstance(plain[key], torch.Tensor))


def test_an_unreadable_entry_is_passed_on():
    assert TaggedDataset([None])[0] is None


def test_batches_lose_their_bad_configurations_only():
    bad = loader(samples(spoil=[1, 4, 5]))
    collate = bad.collate_fn
    batches = list(FiniteBatches(bad))
    assert [batch.num_graphs for batch in batches] == [3]  # the second batch had none left
    assert bad.collate_fn is collate
    good = samples()
    kept = next(iter(loader([good[i] for i in (0, 2, 3)])))
    assert torch.equal(batches[0].forces, kept.forces)
    for ours, stock in zip(FiniteBatches(loader(good)), loader(good), strict=True):
        assert torch.equal(ours.forces, stock.forces)


def test_nonfinite_labels_are_named():
    item = copy.copy(samples(1, spoil=[0])[0])
    assert nonfinite_labels(item, ("energy", "forces", "stress")) == ["forces"]
