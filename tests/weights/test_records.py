"""Records of training configurations, and the data sets and batches that carry their ids."""

import pickle

import numpy as np
import pytest
import torch
from mace import data, tools
from structures import molecules
from threads import in_threads

from mace_outlier.data.batches import TaggingCollater
from mace_outlier.data.dataset import NumberedDataset, nonfinite_labels, tagged
from mace_outlier.run.weight_summary import summarise
from mace_outlier.weights.by_head import tallied
from mace_outlier.weights.records import Records


def observe(records, ids, losses, weights=None, zscores=None, residuals=None):
    columns = [None if x is None else torch.tensor(x, dtype=torch.float64) for x in (losses, weights, zscores)]
    columns.append([torch.tensor(x) for x in residuals or ()])
    records.note(torch.tensor(ids), *columns)
    records.merge()


def test_each_configuration_keeps_its_latest_visit():
    records = Records(4, heads=[0, 0, 1, 1])
    observe(records, [0, 2], [1.0, 2.0])
    records.end_epoch()
    records.begin_epoch(1, 1)
    observe(records, [2, 3], [4.0, 6.0])
    observe(records, [2, 3], [5.0, 6.0], [0.25, 0.75], [3.0, 1.0], [[0.1, 0.2], [0.3, 0.5]])
    records.end_epoch()
    assert records.loss.tolist() == [1.0, 0.0, 5.0, 6.0]
    assert records.times_seen.tolist() == [1, 0, 2, 1]
    assert records.last_epoch.tolist() == [0, -1, 1, 1]
    assert records.head.tolist() == [0, 0, 1, 1]
    assert records.weight.tolist() == [1.0, 1.0, 0.25, 0.75]
    assert records.zscore.tolist() == [0.0, 0.0, 3.0, 1.0]
    assert records.column("force_rmse")[2:].tolist() == pytest.approx([0.3, 0.5])
    assert records.column("energy_error_per_atom")[2:].tolist() == pytest.approx([0.1, 0.2])
    assert torch.isnan(records.column("force_rmse")[:2]).all()
    none, tally = tallied(records, 2)
    summary = summarise(tally)
    assert (summary["visited"], summary["mean_weight"], summary["share_below_half"]) == (2, 0.5, 0.5)
    assert summary["quantiles"] == {"5": 0.25, "25": 0.25, "50": 0.25, "75": 0.75, "95": 0.75}
    assert sum(summary["histogram"]) == 2
    assert summary["histogram"][5] == summary["histogram"][15] == 1
    assert (none.visited, none.judged, tally.judged, tally.suspects) == (0, 1, 2, 1)


def test_the_mean_weight_is_a_mean_first_and_forgets_later():
    records, weights, mean = Records(2), [0.1, 0.9, 0.4] + [1.0] * 12, None
    for epoch, weight in enumerate(weights):
        records.begin_epoch(epoch, 1)
        observe(records, [1], [1.0], [weight], [0.0])
        records.end_epoch()
        mean = weight if mean is None else mean + (weight - mean) / min(epoch + 1, 10)
        assert records.mean_weight.tolist() == pytest.approx([1.0, mean], abs=1e-6)
    assert records.times_seen.tolist() == [0, len(weights)]


def test_since_when_a_weight_is_low_is_noted_and_forgotten_when_it_is_not():
    records, again = Records(3), Records(3)
    for epoch, weights in enumerate([[0.1, 0.9, 0.9], [0.1, 0.2, 0.9], [0.1, 0.9, 0.3], [0.4, 0.9, 0.3]]):
        records.begin_epoch(epoch, 1)
        observe(records, [0, 1, 2], [1.0] * 3, weights)
        records.note_suspects()
        if epoch == 2:  # a restart, which trains an epoch again
            again.load_state_dict(records.state_dict())
            records.note_suspects()
    again.epoch = 3
    again.note_suspects()
    assert records.suspect_since.tolist() == again.suspect_since.tolist() == [0, -1, 2]


@pytest.mark.parametrize("number", [2, 4, 7])
def test_records_of_shares_are_those_of_one_process(number):
    """Two processes see other rows, the second repeats one of the first's; row 5 was seen the epoch before."""
    visits = [([0, 3], [1.0, 2.0], [0.1, 0.2]), ([1, 4, 3], [3.0, float("nan"), 2.0], [0.3, 0.0, 0.2])]

    def work(processes):
        records, alone = Records(6, labels=["stress"], processes=processes, by_property=True), processes.number == 1
        if processes.rank == 0:
            records.note(*map(torch.tensor, ([5], [9.0], [0.9], [0.5])), torch.tensor([[1.0], [2.0], [3.0]]))
        records.end_epoch()
        records.begin_epoch(1, 1)
        for rank, (ids, losses, weights) in enumerate(visits):
            if alone or processes.rank == rank:
                records.step, row = 0, torch.tensor([float(i) for i in ids])
                records.note(torch.tensor(ids), torch.tensor(losses), torch.tensor(weights), row, [row, row, row])
        records.end_epoch()
        records.by_property[:] = torch.arange(6.0)[records.share, None]
        records.note_suspects()
        records.tell()
        records.keep()
        tallies = tallied(records, 1)
        again = Records(6, labels=["stress"], processes=processes)
        again.load_state_dict(records.state_dict() if processes.rank == 0 or alone else state)
        return records, again, tallies

    [(one, _, counted)] = in_threads(1, work)
    state = one.state_dict()
    together = in_threads(number, work)
    for name, ours in state.items():
        if name != "not_finite_since":
            shares = torch.cat([super(Records, records).state_dict()[name] for records, _, _ in together])
            for theirs in (shares, together[0][0].state_dict()[name], together[0][1].state_dict()[name]):
                assert torch.equal(ours.nan_to_num(-7), theirs.nan_to_num(-7)), name
    for records, again, tallies in together:
        assert len(records) <= 6 // number + 1
        assert torch.equal(records.given, one.weight)
        assert torch.equal(records.given_by_property, one.by_property)
        assert records.newcomers.tolist() == again.newcomers.tolist() == one.newcomers.tolist()
        assert str(tallies) == str(counted)


def test_a_nonfinite_loss_is_remembered():
    records = Records(2)
    observe(records, [0, 1], [float("nan"), 1e38])
    assert records.nonfinite.tolist() == [True, False]
    assert torch.isfinite(records.loss).tolist() == [False, True]


def test_a_loss_of_0_keeps_its_weight():
    """The published scheme weighs every loss, also one that says nothing."""
    records = Records(3)
    records.begin_epoch(0, 1)
    records.note(torch.arange(3), torch.tensor([0.0, 2.0, 0.0]), torch.tensor([0.87, 0.2, 0.1]))
    records.end_epoch()
    assert records.weight.tolist() == pytest.approx([1.0, 0.2, 1.0])


def test_judging_leaves_the_others_alone():
    records = Records(3)
    observe(records, [0, 1, 2], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [1.0, 1.0, 1.0])
    records.judge(torch.tensor([True, False, True]), torch.zeros(3), torch.full((3,), 9.0))
    assert records.weight.tolist() == [0.0, 0.5, 0.0]
    assert records.zscore.tolist() == [9.0, 1.0, 9.0]


def test_state_goes_round_and_is_checked_before_it_is_taken():
    records, other = Records(3), Records(3)
    observe(records, [1], [7.0])
    other.load_state_dict(records.state_dict())
    assert other.loss.tolist() == [0.0, 7.0, 0.0]
    with pytest.raises(ValueError, match="not of 4 training configurations"):
        Records(4).load_state_dict(records.state_dict())
    broken = {name: value for name, value in records.state_dict().items() if name != "times_seen"}
    with pytest.raises(ValueError, match="times_seen"):
        other.load_state_dict({**broken, "loss": torch.ones(3)})
    assert other.loss.tolist() == [0.0, 7.0, 0.0]


def test_records_of_a_loss_without_stress_are_continued_by_one_with():
    records, other = Records(3), Records(3, labels=["stress"])
    observe(records, [1], [7.0], residuals=[[1.0], [2.0]])
    other.load_state_dict(records.state_dict())
    assert other.loss.tolist() == [0.0, 7.0, 0.0]
    assert other.column("force_rmse")[1] == 2.0
    assert other.column("stress_rmse").isnan().all()
    records.load_state_dict(other.state_dict())
    assert records.loss.tolist() == [0.0, 7.0, 0.0]


def test_two_million_configurations_take_less_than_84_megabytes():
    columns = [value for value in Records(2_000_000).state_dict().values() if isinstance(value, torch.Tensor)]
    assert sum(value.numel() * value.element_size() for value in columns) <= 84e6


# --- data sets -------------------------------------------------------------------------------------------------------


def samples(count=6, spoil=(), value=np.nan):
    frames = molecules(count)
    for i in spoil:
        frames[i].arrays["REF_forces"][0, 0] = value
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    table = tools.AtomicNumberTable([1, 8])
    return [data.AtomicData.from_config(data.config_from_atoms(f, keys), z_table=table, cutoff=3.0) for f in frames]


def loader(dataset, size=4):
    return tools.torch_geometric.dataloader.DataLoader(dataset, batch_size=size)


def test_batches_carry_ids_within_the_context_and_are_the_stock_batches_otherwise():
    items, size = samples(), 4
    loader_ = loader(items, size)
    plain = list(loader_)
    with tagged(loader_, ["energy", "forces"]) as numbered:
        batches = list(loader_)
        assert numbered[-1].row == 5
    assert [batch.configuration_id.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5]]
    for stock, ours in zip(plain, batches, strict=True):
        assert set(ours.keys) - set(stock.keys) == {"configuration_id"}
        assert all(torch.equal(stock[key], ours[key]) for key in stock.keys if isinstance(stock[key], torch.Tensor))
    assert all("configuration_id" not in batch for batch in loader_)
    assert loader_.dataset is items


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_labels_are_flagged_and_replaced_and_the_samples_left_alone(bad):
    items = samples(spoil=[2], value=bad)
    loader_ = loader(items)
    with tagged(loader_, ["energy", "forces"]) as numbered:
        for _ in range(2):  # the second time from memory
            first, second = list(loader_)
            assert first.unusable.isnan().tolist() == [False, False, True, False]
            assert torch.isfinite(first.forces).all()
            assert first.forces[first.batch == 2].eq(0).all()
            assert "unusable" not in second
        assert np.isnan(pickle.loads(pickle.dumps(numbered))[2].unusable)  # as a worker process gets it
    assert not torch.isfinite(items[2].forces).all()
    with tagged(loader_, ["energy"]):
        assert "unusable" not in next(iter(loader_))  # a label that the loss doesn't use


def test_absent_labels_are_flagged_where_there_are_any():
    items = samples()
    items[1].forces_weight = torch.tensor(0.0)
    with tagged(loader(items), ["energy", "forces"]) as numbered:
        collated = TaggingCollater(loader(items).collate_fn)([numbered[i] for i in range(3)])
        assert collated.labels_absent.tolist() == [[False] * 6, [False, True, *[False] * 4], [False] * 6]
        assert "labels_absent" not in TaggingCollater(loader(items).collate_fn)([numbered[0], numbered[2]])
    with tagged(loader(items), ["energy"]) as numbered:  # a label that the loss doesn't use
        assert numbered[1].absent is None


def test_an_unreadable_entry_is_passed_on():
    assert NumberedDataset([None], ["energy"])[0] == (0, 0.0, None, None, None)


def test_nonfinite_labels_are_named():
    assert nonfinite_labels(samples(1, spoil=[0])[0], ("energy", "forces", "stress")) == ["forces"]
