"""Which model is the best, when what is taken for wrong changes from epoch to epoch."""

import math
import sys
from contextlib import contextmanager

import pytest
import torch
from made_up_seen import visited

from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Provenance
from mace_outlier.losses.selection import BestSoFar, Selection, typical_ratio
from mace_outlier.run.validation import Validation
from mace_outlier.states import LOSS, MODEL, NO_LOSS, STATES
from mace_outlier.weights.distribution import Weighted
from mace_outlier.weights.records import Records
from mace_outlier.weights.safety import Safety

ROWS = torch.arange(4)


def shares(*values):
    return torch.tensor(values, dtype=torch.float64) / 4


def weights(*values):
    return torch.tensor(values, dtype=torch.float64)


ALL = weights(1, 1, 1, 1)


def test_while_the_weights_stay_it_is_the_weighted_loss_itself():
    best, some = BestSoFar(), weights(1, 0.5, 1, 0)
    for losses in (shares(4, 4, 4, 9), shares(3, 2, 1, 8), shares(3, 3, 3, 7), shares(1, 1, 1, 7)):
        value, mean = best.compare(ROWS, losses, some)
        assert value == (some * losses).sum().item() / some.sum().item()  # to the last bit
        assert mean == 0.625


def test_finding_more_wrong_labels_makes_no_model_better():
    best = BestSoFar()
    first, _ = best.compare(ROWS, shares(2, 2, 2, 10), ALL)
    worse, _ = best.compare(ROWS, shares(2.1, 2.1, 2.1, 10), weights(1, 1, 1, 0))  # its own loss is far lower
    assert worse == pytest.approx(first * 2.1 / 2)
    better, _ = best.compare(ROWS, shares(1, 1, 1, 12), weights(1, 1, 1, 0))
    assert better == pytest.approx(first / 2)
    fewer, _ = best.compare(ROWS, shares(0.9, 0.9, 0.9, 13), ALL)  # nothing is wrong any more
    assert fewer == pytest.approx(better * (2.7 + 13) / (3 + 12))


def test_the_order_of_the_configurations_does_not_matter():
    one, other = BestSoFar(), BestSoFar()
    back = torch.tensor([3, 1, 0, 2])
    for losses, some in ((shares(4, 3, 2, 9), ALL), (shares(1, 2, 3, 4), weights(1, 0, 0.5, 1))):
        straight, _ = one.compare(ROWS, losses, some)
        assert other.compare(ROWS[back], losses[back], some[back])[0] == pytest.approx(straight, rel=1e-15)
        back = torch.tensor([1, 2, 3, 0])


def test_losses_that_cannot_be_compared():
    best = BestSoFar()
    assert best.compare(ROWS, shares(1, 1, 1, 1), weights(0, 0, 0, 0)) is None
    assert torch.isnan(torch.tensor(best.compare(ROWS, shares(1, 1, 1, torch.nan), ALL)[0]))
    first, _ = best.compare(ROWS, shares(2, 2, 2, 0), ALL)
    assert first == 0.375 / 1.0
    again, _ = best.compare(ROWS, shares(2, 2, 2, 1), weights(0, 0, 0, 1))  # the best one's loss is 0 by these weights
    assert again == pytest.approx(0.25)
    others, _ = best.compare(ROWS + 7, shares(1, 1, 1, 1), weights(1, 1, 0, 0))  # another set
    assert others == pytest.approx(0.25)


def test_wrong_labels_that_are_not_found_do_not_hide_that_a_model_is_better():
    """They are fitted less and less well; their losses are larger than all others together."""
    losses = [shares(2, 2, 2, 10), shares(1, 1.5, 1, 14), shares(0.5, 0.6, 0.7, 16), shares(0.5, 0.7, 0.7, 15)]
    best = BestSoFar()
    values = [best.compare(ROWS, own, ALL, some_are_wrong=k > 0)[0] for k, own in enumerate(losses)]
    assert values[0] == 1.0
    for k, before in ((1, 0), (2, 1), (3, 2)):  # each is the best so far, but the last
        ratio = (losses[k] / losses[before]).log().mean().exp().item()
        assert values[k] == pytest.approx(values[before] * ratio)
    assert values[2] == min(values)
    assert BestSoFar().compare(ROWS, losses[1], ALL)[0] > 1.0  # by the mean, the first would be
    arithmetic, _ = best.compare(ROWS, losses[2] / 2, ALL)  # goes on from there
    assert arithmetic == pytest.approx(values[2] / 2)


def test_typical_ratios_of_what_can_be_compared():
    one, other = shares(1, 2, 0, 3), shares(2, 1, 1, 0)
    assert typical_ratio(one, other, weights(1, 3, 1, 1)) == pytest.approx((0.5 * 2**3) ** 0.25)
    assert typical_ratio(one, other, weights(0, 0, 1, 1)) == 1.0
    assert torch.isnan(torch.tensor(typical_ratio(shares(torch.nan, 1, 1, 1), other, ALL)))


class Judged:
    """Stands for a RobustLoss: evaluations of four configurations, with weights that change; half of those that it is
    trained on look wrong.
    """

    def __init__(self, *evaluations):
        self.evaluations = iter(evaluations)
        self.distribution, self.some_are_wrong = self, False
        self.safety = Safety(self, Records(2))
        visited(self.safety.records, torch.arange(2), torch.ones(2), torch.tensor([0.0, 1.0]), torch.zeros(2))
        self.safety.count()

    @contextmanager
    def selecting(self):
        losses, self.weights = next(self.evaluations)
        selection = Selection()
        heads, residuals = torch.zeros(4), torch.zeros(2, 4)
        selection.add(ROWS, heads, ((4 * losses).nan_to_num(NO_LOSS), losses.nan_to_num(0.0), *residuals))
        yield selection

    def judge(self, seen, processes):
        return Weighted(self.weights.clone(), torch.zeros(4))


def test_a_run_compares_its_models_with_the_best_one():
    metadata = Metadata(4)
    validation = Validation(Provenance(["Default"], [[]]), metadata, Records(4))
    third = weights(1, 1, 1, 0)
    loss = Judged((shares(2, 2, 2, 10), ALL), (shares(2.1, 2.1, 2.1, 10), third), (shares(2.1, 2.1, 2.1, 10), third))
    first, second = (validation.select(loss, lambda: (7.0, "metrics"), robust=True) for _ in range(2))
    assert first == (pytest.approx(1.0), "metrics")
    assert second == (pytest.approx(1.0 * 2.1 / 2), "metrics")
    assert validation.select(loss, lambda: (7.0, "metrics"), robust=False) == (7.0, "metrics")
    loss.evaluations, loss.some_are_wrong = iter([(shares(1, 4, 4, 10), third)]), True
    typical, _ = validation.select(loss, lambda: (7.0, "metrics"), robust=True)
    assert typical == pytest.approx(1.0 * (2 * 2 / 2) ** (1 / 3))


@pytest.mark.parametrize("some_are_wrong", [True, False])
def test_a_restart_goes_on_with_the_best_model(some_are_wrong, tmp_path):
    """A host remembers the value of the best model: in other units, its learning rate would fall for nothing."""
    third, epochs = weights(1, 1, 1, 0), [shares(2, 2, 2, 10), shares(2.1, 2, 1, 10), shares(1, 2, 1.5, 11)]
    values = {}
    for restarted in (False, True):
        loss = Judged((epochs[0], ALL), *((own, third) for own in epochs[1:]))
        loss.some_are_wrong, values[restarted] = some_are_wrong, []
        validation = Validation(Provenance(["Default"], [[]]), Metadata(4), Records(4))
        for epoch in range(3):
            values[restarted].append(validation.select(loss, lambda: (7.0, "metrics"), robust=True)[0])
            if restarted and epoch == 1:
                torch.save(validation.state_dict({"stage_one": loss}), tmp_path / "state.pt")
                validation = Validation(validation.provenance, validation.metadata, validation.records)
                state = torch.load(tmp_path / "state.pt", weights_only=True)
                validation.load_state_dict({"stage_one": loss, "stage_two": None}, state)
    assert values[True] == values[False]
    assert values[True][2] < values[True][0]


@pytest.mark.parametrize("robust", [True, False])
def test_what_is_not_finite_does_not_choose_a_model(robust):
    """A NaN as the validation loss would make MACE take every later model for the best one."""
    validation = Validation(Provenance(["Default"], [[]]), Metadata(4), Records(4))
    one, none = shares(2, 2, 2, torch.nan), shares(torch.nan, torch.nan, torch.nan, torch.nan)
    loss = Judged((one, ALL), (none, ALL), (none, ALL))

    def chosen():
        return validation.select(loss, lambda: (torch.nan, "metrics"), robust)[0]

    assert chosen() == pytest.approx(0.5)  # 3 of them, 2 / 4 each
    assert validation.records.codes.tolist() == [0, 0, 0, STATES.index(LOSS)]
    assert validation.records.weight.tolist() == [1, 1, 1, 0]
    assert 1e300 < chosen() < math.inf, "nothing was saved yet: this one is, and any other is better"
    validation.kept.add(loss)
    assert chosen() == math.inf
    assert validation.records.codes.tolist() == [STATES.index(MODEL)] * 4


@pytest.mark.parametrize("stock", [math.nan, math.inf])
def test_where_no_validation_label_is_finite_models_are_chosen_as_by_stock_mace(stock, monkeypatch):
    """Cases 0 and 836 of tests/fuzz: no model can be worse than another, or patience would end the training."""
    monkeypatch.setattr(sys.modules[__name__], "NO_LOSS", torch.nan)  # what is noted of a label, or of a geometry
    validation = Validation(Provenance(["Default"], [[]]), Metadata(4), Records(4))
    loss = Judged(*[(shares(torch.nan, torch.nan, torch.nan, torch.nan), ALL)] * 2)
    for _ in range(2):
        assert math.isnan(validation.select(loss, lambda: (stock, "metrics"), robust=True)[0])
        validation.kept.add(loss)
