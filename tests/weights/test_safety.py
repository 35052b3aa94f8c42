"""Fits that can't be right do no harm, whatever the distribution is: they are refused, and the weights stay."""

import logging
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import ranks
import torch
from made_up_fits import thought_of
from made_up_seen import remembered, share_of_suspects, visited
from threads import in_threads

from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.losses.selection import Selection
from mace_outlier.method.processes import ALONE
from mace_outlier.results.in_words import in_a_line
from mace_outlier.run.distributions import DISTRIBUTIONS
from mace_outlier.run.fit_in_log import warn_of_doubts
from mace_outlier.run.validation import Validation
from mace_outlier.weights.distribution import Weighted, bounded
from mace_outlier.weights.mixture import MixtureDistribution
from mace_outlier.weights.records import Records
from mace_outlier.weights.running import GaussianDistribution
from mace_outlier.weights.safety import Safety

CASES = Path(__file__).parents[3] / "shared" / "cases"
HEADS = ["one", "two"]
SIZE = 10  # configurations of each head


class Scripted(GaussianDistribution):
    """Says what it is told to: `weights` (N,), or one for all, and `zscores` (N,), or raises; counts its fits."""

    def __init__(self, weights=None, zscores=None, error=None, some_are_wrong=False):
        super().__init__(len(HEADS), threshold=torch.inf)
        self.weights, self.zscores, self.error, self.fits = weights, zscores, error, 0
        self.wrong_ones = some_are_wrong

    settled = property(lambda self: self.fits > 0)
    some_are_wrong = property(lambda self: self.wrong_ones)

    def _say(self, losses):
        if self.error is not None:
            raise self.error
        weights = torch.full_like(losses, self.weights) if isinstance(self.weights, float) else self.weights.clone()
        return Weighted(weights, torch.zeros_like(weights) if self.zscores is None else self.zscores)

    def refit(self, seen, processes):
        self.fits += 1
        return self._say(seen.losses)

    def judge(self, seen, processes):
        return self._say(seen.losses)

    def describe(self):
        return [{"kind": "lognormal", "location": float(self.fits), "scale": 1.0, "threshold": 2.0}] * len(HEADS)

    def state_dict(self):
        return {"fits": self.fits}

    def load_state_dict(self, state):
        self.fits = state["fits"]


def said_of(entry):
    return in_a_line(entry, thought_of(entry))


def seen(size=SIZE):
    """So many configurations of each head; the last of each has no label to be judged by."""
    losses = torch.ones(2 * size)
    losses[size - 1 :: size] = 0.0
    heads = torch.arange(2).repeat_interleave(size)
    return remembered(2 * size, {"energy": np.zeros(2 * size)}, losses=losses, heads=heads)


def weights(low=(), value=0.0, of=1.0):
    """Of the configurations of both heads: `value` at some places, else `of`."""
    return torch.full((2 * SIZE,), of).index_fill(0, torch.tensor(low, dtype=torch.long), value)


FAULTS = {
    "NaN": (weights([3], torch.nan), None, "weights or z-scores are not finite"),
    "infinite": (weights([3], torch.inf), None, "weights or z-scores are not finite"),
    "no z-score": (weights(), weights([3], -torch.inf), "weights or z-scores are not finite"),
    "above 1": (weights([3], 1.5), None, "weights are not in [0, 1]"),
    "below 0": (weights([3], -0.5), None, "weights are not in [0, 1]"),
    "most": (weights(range(5)), None, "undecided: 5 of 9 labels (56 %) would be taken for wrong"),
    "all": (weights(range(9)), None, "undecided: 9 of 9 labels (100 %) would be taken for wrong and none be trusted"),
}


def guarded(distribution, processes=ALONE):
    """Between a distribution and records of weights of 0.75."""
    records = Records(2 * SIZE, heads=[0] * SIZE + [1] * SIZE, processes=processes)
    size = len(records)
    records.judge(torch.ones(size, dtype=torch.bool), torch.full((size,), 0.75), torch.zeros(size))
    return Safety(distribution, records, HEADS)


def judged(safety):
    """How many configurations of each head have another weight than before."""
    return (safety.records.weight != 0.75).view(2, SIZE).sum(1).tolist()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fit_that_cannot_be_right_is_refused_for_its_head_alone(fault, caplog):
    """All faults are in the first head; the second has a suspect."""
    found, zscores, reason = FAULTS[fault]
    found = found.index_fill(0, torch.tensor([SIZE]), 0.25)
    safety = guarded(Scripted(found, zscores))
    safety.refit(seen)
    assert safety.refused == {0: reason}
    assert warnings(caplog) == [f"head one: {reason}: the fit is refused, its weights stay as they were"]
    assert safety.records.weight.tolist() == [0.75] * SIZE + [0.25] + [1.0] * (SIZE - 2) + [0.75]


@pytest.mark.parametrize("low", [(), (0, 1, 2, 3), (0, 1, 2, 3, SIZE - 1)], ids=["none", "some", "with an unlabelled"])
def test_a_fit_in_order_is_accepted(low, caplog):
    """What has no label doesn't count: four of nine have low weights."""
    safety = guarded(Scripted(weights(low)))
    safety.refit(seen)
    assert judged(safety) == [SIZE - 1] * 2
    assert not safety.refused
    assert not warnings(caplog)


def test_half_of_a_head_may_be_wrong():
    what, half, most = seen(), guarded(Scripted(weights(range(5)))), guarded(Scripted(weights(range(6))))
    what.losses.fill_(1.0)
    what.usable.fill_(True)
    half.refit(lambda: what)
    most.refit(lambda: what)
    assert judged(half) == [SIZE, SIZE]
    assert judged(most) == [0, SIZE]


def test_a_distribution_that_judges_nothing_is_left_alone():
    normal = GaussianDistribution(2)
    safety = guarded(normal)
    assert safety.describe() == normal.describe()  # also before anything was seen
    safety.refit(seen)
    assert judged(safety) == [0, 0]
    assert safety.describe() == normal.describe()


def test_a_fit_that_raises_is_logged_and_leaves_all_as_it_was(caplog):
    distribution = Scripted(error=ValueError("two\nlines"))
    safety = guarded(distribution)
    with caplog.at_level(logging.DEBUG):
        safety.refit(seen)
    assert judged(safety) == [0, 0]
    assert distribution.fits == 0  # not that of the fit that failed
    [error] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert error == "The fit to the losses failed (ValueError: two lines): it is refused, the training goes on"
    assert any("Traceback" in record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG)
    reason = "the fit failed (ValueError: two lines): the fit is refused"
    assert warnings(caplog) == [f"head {head}: {reason}, it is weighed as before" for head in HEADS]


def test_a_description_that_raises_refuses_the_fit_as_well():
    distribution = Scripted(weights())
    distribution.describe = lambda: 1 / 0
    safety = guarded(distribution)
    safety.refit(seen)
    assert judged(safety) == [0, 0]
    assert [own["refused"] for own in safety.describe()] == ["the fit failed (ZeroDivisionError: division by zero)"] * 2
    said_of(safety.describe()[0])


def test_the_log_describes_the_fit_that_holds_and_says_once_what_was_refused(caplog):
    distribution = Scripted(weights())
    safety = guarded(distribution)
    safety.refit(seen)
    good = safety.describe()
    assert good == distribution.describe()
    distribution.weights = weights(range(6))
    for _ in range(2):
        safety.refit(seen)
    ours, theirs = safety.describe()
    said = "undecided: 6 of 9 labels (67 %) would be taken for wrong"
    assert ours == good[0] | {"refused": said}
    assert theirs == distribution.describe()[1]
    assert said_of(ours) == f"fit refused ({said}), that of before stays: mu=1.0000e+00, sigma=1.0000e+00"
    assert len(warnings(caplog)) == 1
    warn_of_doubts("one", thought_of(ours))
    warn_of_doubts("two", thought_of(theirs))
    assert warnings(caplog)[1:] == [f"head one: the last fit was refused ({said}): the weights are those of before"]
    later = guarded(distribution)
    later.load_state_dict(safety.state_dict())
    assert later.describe() == safety.describe()
    distribution.weights = weights()
    later.refit(seen)
    assert later.describe() == distribution.describe()
    distribution.weights = weights(range(6))
    later.refit(seen)
    assert len(warnings(caplog)) == 3  # it was in order in between


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "refused one head"])
def test_processes_refuse_what_one_of_them_refuses(failed):
    """The second one fails, or most of the labels of the first head in its share look wrong."""

    def work(processes):
        share, other = processes.share(2 * SIZE), processes.rank == 1
        wrong = weights(range(10, 17)) if other else weights([0])
        distribution = Scripted(wrong[share], error=ValueError("no") if failed and other else None)
        safety = guarded(distribution, processes)
        safety.refit(lambda: of_share(seen(), share))
        return safety, distribution.fits

    for rank, (safety, fits) in enumerate(in_threads(2, work)):
        assert (safety.records.given != 0.75).view(2, SIZE).sum(1).tolist() == ([0, 0] if failed else [9, 0])
        if not failed:
            assert list(safety.refused) == [1]
            assert safety.refused[1].startswith("undecided: 7 of 9 labels")
        else:
            assert ("no" if rank else "it failed in another process") in safety.refused[0]
        assert fits == (0 if failed else 1)


def of_share(known, share):
    """What a process knows, the share of whose rows is this one."""
    own = {name: getattr(known, name)[share] for name in ("losses", "heads", "usable", "latest")}
    return known._replace(**own, first=share.start)


# --- no weight but one in [0, 1] reaches a loss ----------------------------------------------------------------------


def test_weights_are_bounded_on_every_way_to_the_records():
    wild = torch.tensor([torch.nan, torch.inf, -torch.inf, 2.0, -1.0, 0.25])
    tame = [1.0, 1.0, 0.0, 1.0, 0.0, 0.25]
    assert bounded(wild).tolist() == tame
    records = Records(6)
    records.judge(torch.ones(6, dtype=torch.bool), wild, torch.zeros(6))
    assert records.weight.tolist() == tame
    loaded = Records(6)
    loaded.load_state_dict(records.state_dict() | {"weight": wild})
    assert loaded.weight.tolist() == tame


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("wrong", ["raises", "NaN", "most"])
def test_a_training_survives_its_fits(wrong, monkeypatch, caplog):
    """Weights of 1 stay; the parameters are those of a training without a fit."""
    of = {"raises": {"error": RuntimeError("no")}, "NaN": {"weights": torch.nan}, "most": {"weights": 0.1}}[wrong]
    monkeypatch.setitem(DISTRIBUTIONS, "mixture", lambda heads, **settings: Scripted(**of))
    outcome = ranks.train(0, 1, "mixture", 3)
    weight = outcome.state["records"]["weight"]
    assert weight.unique().tolist() == [0.0, 1.0]
    assert torch.nonzero(weight == 0).flatten().tolist() == sorted(ranks.NOT_FINITE)
    assert np.isfinite(outcome.losses).all()
    assert np.isfinite(outcome.validation).all()
    assert set(outcome.state["safety"]["stage_one"]["refused"]) == {0, 1}
    monkeypatch.setitem(
        DISTRIBUTIONS,
        "mixture",
        lambda heads, **settings: GaussianDistribution(heads, threshold=torch.inf),
    )
    stock = ranks.train(0, 1, "mixture", 3)
    assert not stock.state["safety"]["stage_one"]["refused"]
    for name, values in stock.parameters.items():
        assert torch.equal(values, outcome.parameters[name])


@pytest.mark.usefixtures("double_precision")
def test_no_weight_of_a_batch_is_nan_either(monkeypatch):
    """Of a distribution that weighs within a step."""
    normal = GaussianDistribution(len(HEADS))
    normal.weigh = lambda losses, heads: Weighted(torch.full_like(losses, torch.nan), torch.zeros_like(losses))
    monkeypatch.setitem(DISTRIBUTIONS, "gaussian", lambda heads, **settings: normal)
    outcome = ranks.train(0, 1, "gaussian", 1)
    assert np.isfinite(outcome.losses).all()
    assert outcome.state["records"]["weight"].unique().tolist() == [0.0, 1.0]


@pytest.mark.skipif(not CASES.exists(), reason="../shared/cases, small inputs of reported failures, is not there")
@pytest.mark.parametrize("case", ["c27", "c08"])
def test_fits_that_gave_nan_weights(case):
    of_then = np.load(CASES / case / "nan_fit.npz")
    losses, usable = (torch.from_numpy(of_then[name]) for name in ("loss", "usable"))
    distribution = MixtureDistribution()
    known = {"losses": losses, "usable": usable, "times": of_then["time"], "molecules": of_then["kinds"][:, 1]}
    what = remembered(len(losses), {"energy": of_then["ee"]}, **known)
    records = Records(len(losses))
    safety = Safety(distribution, records)
    visited(records, torch.arange(len(losses)), losses)
    for _ in range(3):
        safety.refit(lambda: what)
        assert ((records.weight >= 0) & (records.weight <= 1)).all()  # NaN isn't
        assert share_of_suspects(records, 0) <= 0.5
        said_of(safety.describe()[0])
    validated = safety.judge(what, torch.ones(len(losses)))
    assert (validated.weight >= 0).all()
    assert not validated.zscore.isnan().any()


# --- the validation set ----------------------------------------------------------------------------------------------


ROWS = torch.arange(4)


class Evaluated:
    """Stands for a RobustLoss: evaluates four validation configurations; a tenth of its 20 training ones look wrong."""

    def __init__(self, distribution, suspects=2):
        self.distribution, self.records = distribution, Records(20)
        self.safety = Safety(distribution, self.records, ["one"])
        self.shares = torch.ones(4)
        low = torch.ones(20).index_fill(0, torch.arange(suspects), 0.0)
        visited(self.records, torch.arange(20), torch.ones(20), low, torch.zeros(20))
        self.safety.count()

    @contextmanager
    def selecting(self):
        selection = Selection()
        selection.add(ROWS, torch.zeros(4), (4 * self.shares, self.shares, *torch.zeros(2, 4)))
        yield selection


def evaluated(loss, validation, shares, found, robust=True):
    loss.shares, loss.distribution.weights = torch.tensor(shares), torch.tensor(found)
    return validation.select(loss, lambda: (7.0, "metrics"), robust)[0]


@pytest.fixture
def validation():
    provenance = Provenance(["one"], [[Part("valid.xyz", np.arange(4))]])
    return Validation(provenance, Metadata(4), Records(4))


RIGHT, ONE_WRONG = [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]


def test_more_suspects_than_in_the_training_set_are_not_believed_in(validation, caplog):
    loss = Evaluated(Scripted(), suspects=2)
    for _ in range(2):
        assert evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], ONE_WRONG) == pytest.approx(2.0)  # the stock loss
        assert validation.records.weight.tolist() == RIGHT
    assert warnings(caplog) == [  # once
        "head one: 25 % of the validation set look wrong, but 10.0 % of the training set: models are chosen by the "
        "stock loss of the validation set where that is so, and none of it is called wrong (said once)"
    ]
    evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], ONE_WRONG, robust=False)
    assert validation.records.weight.tolist() == RIGHT


@pytest.mark.parametrize("suspects", [3, 9])
def test_as_many_suspects_as_in_the_training_set_are(validation, suspects, caplog):
    loss = Evaluated(Scripted(), suspects)
    assert evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], ONE_WRONG) == pytest.approx(1.0)
    assert validation.records.weight.tolist() == ONE_WRONG
    assert not warnings(caplog)


def test_a_validation_configuration_with_nothing_to_judge_by_has_weight_1_and_is_no_suspect(validation, caplog):
    loss = Evaluated(Scripted())
    assert evaluated(loss, validation, [1.0, 1.0, 1.0, 0.0], ONE_WRONG) == pytest.approx(0.75)  # the stock loss
    assert validation.records.weight.tolist() == RIGHT
    assert not warnings(caplog)


def test_a_tenth_of_suspects_needs_no_like_in_the_training_set():
    records, judged = Records(20), torch.ones(20).index_fill(0, torch.arange(2), 0.0)
    distribution, what = Scripted(judged), seen()._replace(heads=torch.zeros(20, dtype=torch.long))
    what.losses.fill_(1.0)
    what.usable.fill_(True)
    assert not Safety(distribution, records).judge(what, torch.ones(20)).stock
    distribution.weights = torch.ones(20).index_fill(0, torch.arange(3), 0.0)
    assert Safety(distribution, records).judge(what, torch.ones(20)).stock


@pytest.mark.parametrize("known", [False, True], ids=["", "some are wrong"])
def test_an_evaluation_by_the_stock_loss_is_compared_with_weighted_ones(validation, known):
    """Weighted, stock, weighted: the last wins where it is better, by the weights of then, and else not."""
    loss = Evaluated(Scripted(some_are_wrong=known), suspects=3)
    first = evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], ONE_WRONG)
    loss.records.judge(torch.arange(20) >= 0, torch.ones(20), torch.zeros(20))  # now there is none in the training set
    loss.safety.count()
    stock = evaluated(loss, validation, [1.2, 1.2, 1.2, 5.2], ONE_WRONG)  # worse; its own stock loss is 2.2
    assert stock == pytest.approx(first * 8.8 / 8.0)
    better = evaluated(loss, validation, [0.5, 0.5, 0.5, 5.5], ONE_WRONG)
    assert better == pytest.approx(first * 7.0 / 8.0)  # of four configurations, with the arithmetic mean
    loss.records.judge(torch.arange(20) < 3, torch.zeros(20), torch.zeros(20))
    loss.safety.count()
    again = evaluated(loss, validation, [0.6, 0.6, 0.6, 9.0], ONE_WRONG)
    assert again == pytest.approx(better * 0.6 / 0.5)


@pytest.mark.parametrize("fault", ["raises", "NaN"])
def test_a_validation_set_that_cannot_be_judged_has_the_stock_loss(validation, fault, caplog):
    loss = Evaluated(Scripted(error=KeyError("x") if fault == "raises" else None), suspects=9)
    assert evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], [1.0, torch.nan, 0.0, 1.0]) == pytest.approx(2.0)
    assert validation.records.weight.tolist() == RIGHT
    [said] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    if fault == "raises":
        assert said.startswith("The validation set could not be judged (KeyError: 'x')")


def test_while_a_fit_is_refused_the_validation_set_keeps_its_weights(validation, caplog):
    loss = Evaluated(Scripted(), suspects=9)
    evaluated(loss, validation, [1.0, 1.0, 1.0, 5.0], ONE_WRONG)
    loss.safety.refused, loss.distribution.zscores = {0: "undecided"}, torch.full((4,), torch.nan)
    assert evaluated(loss, validation, [0.5, 0.5, 0.5, 5.0], [0.0, 0.0, 1.0, 1.0]) == pytest.approx(0.5)
    assert validation.records.weight.tolist() == ONE_WRONG
    assert not warnings(caplog)


@pytest.mark.parametrize("fails", [False, True])
def test_processes_use_the_stock_loss_where_one_of_them_cannot_judge(fails):
    def work(processes):
        error = ValueError("no") if fails and processes.rank else None
        return guarded(Scripted(weights(of=0.75), error=error), processes).judge(seen(), weights())

    for validated in in_threads(2, work):
        assert validated.stock == fails
        assert validated.weight.min() == (1 if fails else 0.75)
