"""What becomes of losses that are not finite: whose fault it is, and what is kept."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from made_up_seen import share_of_suspects
from threads import in_threads

import mace_outlier
from mace_outlier.run.nonfinite import NonfiniteNames
from mace_outlier.states import GEOMETRY, JUDGED, LABEL, LOSS, MODEL, NO_GEOMETRY, NO_LABEL, NO_LOSS, STATES
from mace_outlier.weights.distribution import widest
from mace_outlier.weights.features import Features
from mace_outlier.weights.records import Records


def an_epoch(records, epoch, batches):
    """Visits of an epoch: for each step, losses by row; weights of 0.75, errors of 2."""
    records.begin_epoch(epoch, len(batches))
    for batch in batches:
        losses = torch.tensor(list(batch.values()))
        errors = [torch.full_like(losses, 2.0)] * 2
        records.note(torch.tensor(list(batch)), losses, torch.full_like(losses, 0.75), losses, errors)
    records.end_epoch()


def states(records):
    return [STATES[code] for code in records.codes.tolist()]


def test_labels_geometries_and_losses_are_told_apart_and_have_weight_0():
    records = Records(5)
    an_epoch(records, 0, [{0: 1.0, 1: NO_LABEL}, {2: NO_GEOMETRY, 3: NO_LOSS}, {4: 1.0}])
    assert states(records) == [JUDGED, LABEL, GEOMETRY, LOSS, JUDGED]
    assert records.weight.tolist() == [0.75, 0.0, 0.0, 0.0, 0.75]
    assert records.column("force_rmse").isnan().tolist() == [False, True, True, True, False]
    assert share_of_suspects(records, 0) == 0.0
    an_epoch(records, 1, [{3: 1.0, 0: 1.0}])  # it is finite again
    assert states(records) == [JUDGED, LABEL, GEOMETRY, JUDGED, JUDGED]
    assert records.weight[3] == 0.75


def test_a_loss_that_becomes_infinite_later_costs_the_weight():
    records = Records(2)
    an_epoch(records, 0, [{0: 1.0, 1: 1.0}])
    an_epoch(records, 1, [{0: 1.0, 1: NO_LOSS}])
    assert (states(records), records.weight.tolist()) == ([JUDGED, LOSS], [0.75, 0.0])


BROKEN = {
    "from the beginning": [{0: NO_LOSS, 1: NO_LOSS}, {2: NO_LOSS, 3: NO_LOSS}],
    "in one step": [{0: NO_LOSS, 1: NO_LOSS, 2: NO_LOSS, 3: NO_LOSS}],
    "in the middle": [{0: 3.0}, {1: NO_LOSS, 2: NO_LOSS}, {3: NO_LOSS}],
}


@pytest.mark.parametrize("batches", [*BROKEN.values(), [{0: 1.0}, {1: NO_LABEL, 2: NO_LOSS}, {3: 1.0}]])
def test_processes_agree_on_whose_fault_it_is_and_name_the_same(batches):
    """Each of them sees some of every batch."""

    def work(processes):
        records, names = Records(4, processes=processes), NonfiniteNames(None, SimpleNamespace(heads=["one"]), (), str)
        an_epoch(records, 0, [{0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}] if processes.rank == 0 else [])
        records.begin_epoch(1, len(batches))
        for step, batch in enumerate(batches):
            own = {row: loss for row, loss in batch.items() if row % processes.number == processes.rank}
            losses, records.step = torch.tensor([*own.values()]), step
            if own:
                records.note(torch.tensor([*own]), losses, torch.full_like(losses, 0.75), losses, [losses, losses])
        records.end_epoch()
        return states(records), records.not_finite_since, names.look(records, [1])

    [(codes, since, happened)] = in_threads(1, work)
    for number in (2, 4, 7):
        together = in_threads(number, work)
        assert [code for own, _, _ in together for code in own] == codes
        for _, own_since, own_happened in together:
            assert own_since == since
            assert str(own_happened._replace(steps=0)) == str(happened._replace(steps=0))  # each counts its own


@pytest.mark.parametrize("batches", BROKEN.values(), ids=BROKEN)
def test_a_model_that_is_not_finite_leaves_what_was_known(batches):
    records = Records(4)
    an_epoch(records, 0, [{0: 1.0, 1: 1.0}, {2: 1.0, 3: 1.0}])
    for epoch in (1, 2):
        an_epoch(records, epoch, batches if epoch == 1 else BROKEN["from the beginning"])
        assert records.not_finite_since == {0: 1}
        assert records.weight.tolist() == [0.75] * 4
        assert records.column("force_rmse").tolist() == [2.0] * 4
        assert records.zscore[3] == 1.0
    assert states(records) == [MODEL] * 4
    later = Records(4)
    later.load_state_dict(records.state_dict())
    assert (states(later), later.not_finite_since) == ([MODEL] * 4, {0: 1})
    an_epoch(records, 3, [{0: 1.0, 1: 1.0, 2: NO_LOSS, 3: 1.0}])
    assert not records.not_finite_since
    assert states(records) == [JUDGED, JUDGED, LOSS, JUDGED]


def test_the_last_batch_may_be_one_that_has_no_finite_loss():
    records = Records(3)
    an_epoch(records, 0, [{0: 1.0}, {1: 1.0}, {2: NO_LOSS}])
    assert states(records) == [JUDGED, JUDGED, LOSS]


def test_one_head_can_be_finite_where_another_is_not():
    records = Records(4, heads=[0, 0, 1, 1])
    an_epoch(records, 0, [{0: 1.0, 2: NO_LOSS}, {1: 1.0, 3: NO_LOSS}])
    assert states(records) == [JUDGED, JUDGED, MODEL, MODEL]
    assert records.not_finite_since == {1: 0}


def test_one_prediction_that_is_not_finite_leaves_the_projection_of_many_features_alone():
    """It would end a training of MACE's default model: eigenvectors of NaN are an error."""
    features, generator = Features(6, most=3), torch.Generator().manual_seed(0)
    pooled = torch.rand(5, 8, generator=generator)
    features.note(torch.arange(5), pooled, torch.ones(5))
    features.note(torch.tensor([5]), torch.full((1, 8), torch.nan), torch.ones(1))
    features.end_epoch()
    features.begin_epoch()
    assert features.projection.shape == (8, 3)
    assert features.projection.isfinite().all()


def test_no_double_precision_is_asked_of_a_device_that_may_have_none():
    """Apple's MPS has none, and no eigenvectors: what comes from the device is brought to the host first."""
    assert widest(torch.device("mps")) == torch.float32
    package = Path(mace_outlier.__file__).parent
    for folder in ("weights", "losses", "run"):
        for path in (package / folder).glob("*.py"):
            before = re.findall(r"(.{6})\.double\(\)", path.read_text())
            assert set(before) <= {".cpu()"}, path
            assert "sum(dtype=torch.float64)" not in path.read_text(), path
