"""A report of a run whose labels were judged: what is read of the description, and the numbers of each head."""

import math

import numpy as np
import pytest
from made_up_fits import BOTH, ENERGIES, FORCES, GROSS, NONE, TOO_MANY, UNDECIDED, population_entry
from made_up_results import about_populations, made_up_populations, said, summarised
from scipy.stats import norm

from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.seen import Seen
from mace_outlier.method.settings import Settings
from mace_outlier.report import heads
from mace_outlier.results.wrong_labels import WrongProperty, read_wrong_labels

MIXTURE = {"distribution": "mixture", "threshold": 8.0}


def read(fit):
    return heads.read_losses(population_entry(fit), MIXTURE)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_a_judgement_is_read_as_the_training_describes_it():
    """45 of 300 energies are 60 meV/atom too low; all were seen by the same model."""
    rng, size = np.random.default_rng(0), 300
    energies = rng.normal(0, 0.003, size) + np.where(np.arange(size) < 45, 0.06, 0.0)
    forces, ones = np.exp(rng.normal(-3.0, 0.3, size)), np.ones(size)
    of_geometry = {"features": np.zeros((size, 0)), "composition": {"O": ones}, "atoms": 3 * ones}
    others = {"predicted_force": ones, "label_force": ones, "conditions": np.zeros((size, 0)), "times": ones}
    errors = {"energy": energies, "forces": forces}
    seen = Seen(errors=errors, **of_geometry, **others, molecules=np.zeros(size, dtype=np.int64))
    head = HeadJudge(Settings())
    head.refit(np.arange(size), seen, size, at_once=True)
    more = {"location": -1.0, "scale": 0.4, "share": 0.15, "certainty": 0.99, "judged": size}
    wrong = heads.read_losses({"kind": "mixture"} | head.describe() | more, {}).wrong
    assert wrong.undecided == 0.0
    assert wrong.gain > 10
    [energy] = wrong.believed
    assert energy.name == "energy"
    assert energy.share == pytest.approx(0.15, abs=0.01)
    assert (energy.right, energy.wrong) == pytest.approx((0.003, 0.06), rel=0.2)
    assert energy.side == "too low"
    assert [own.name for own in wrong.properties] == ["energy", "forces"]
    assert wrong.properties[1].right == pytest.approx(0.3, rel=0.3)


@pytest.mark.parametrize(
    ("fit", "believed"),
    [(NONE, []), (GROSS, []), (ENERGIES, ["energy"]), (FORCES, ["forces"]), (BOTH, ["energy", "forces"])],
)
def test_which_properties_have_wrong_labels(fit, believed):
    found = read(fit)
    assert [own.name for own in found.wrong.believed] == believed
    assert (found.recorded, found.probable, found.distribution) == (True, True, None)
    assert found.centre == pytest.approx(math.exp(-1.5))
    assert math.isnan(found.half_weight)  # no loss is a limit


@pytest.mark.parametrize(
    ("too_low", "side"),
    [
        (0.98, "too low"), (0.02, "too high"), (0.7, "mostly too low"), (0.2, "mostly too high"),
        (0.5, "too high and too low alike"), (0.36, "too high and too low alike"),
    ],
)  # fmt: skip
def test_the_side_of_wrong_energies(too_low, side):
    off = WrongProperty("energy", 0.1, 0.003, 0.06, too_low).off
    assert off == f"off by some 60 meV/atom more than geometry explains, {side}"


@pytest.mark.parametrize(("wrong", "size"), [(2.44, "2.4"), (9.6, "9.6"), (1234.0, "1,234")])
def test_the_size_of_wrong_forces(wrong, size):
    assert WrongProperty("forces", 0.1, 0.25, wrong).off == f"off by some {size} x what is expected"


def test_doubts_are_read():
    assert (read(UNDECIDED).wrong.undecided, read(UNDECIDED).wrong.too_many) == (0.12, False)
    assert (read(TOO_MANY).wrong.undecided, read(TOO_MANY).wrong.too_many) == (0.55, True)


ENERGY = BOTH["properties"]["energy"]


@pytest.mark.parametrize(
    "broken",
    [
        {"undecided": None}, {"undecided": 1.2}, {"gain": "nan"}, {"properties": None}, {"properties": [1]},
        {"properties": {"energy": ENERGY | {"wrong": None}}}, {"properties": {"energy": ENERGY | {"right": -1}}},
        {"properties": {"forces": {}}},
    ],
)  # fmt: skip
def test_a_judgement_that_is_none_is_not_recorded(broken):
    entry = population_entry(BOTH) | broken
    assert read_wrong_labels(population_entry(BOTH))
    assert not heads.read_losses(entry, MIXTURE).recorded
    about = about_populations(BOTH) | {"distribution": [entry]}
    assert "How the labels were judged was not recorded" in said(made_up_populations(60, BOTH), about)


def test_properties_that_are_none_are_left_out():
    entry = population_entry(BOTH | {"properties": BOTH["properties"] | {"<b>": ENERGY, "stress": 1.0}})
    assert [own.name for own in read_wrong_labels(entry).properties] == ["energy", "forces"]


# --- thresholds ------------------------------------------------------------------------------------------------------


def test_thresholds_are_of_the_loss_or_of_its_logarithm():
    entry = {"location": -1.0, "scale": 0.5, "threshold": 2.0}
    assert heads.read_losses(entry, {}).half_weight == 0.0  # no kind: normal
    lognormal = heads.read_losses(entry | {"kind": "lognormal"}, {})
    assert (lognormal.half_weight, lognormal.centre) == (1.0, math.exp(-1.0))


def test_weights_that_never_cross():
    assert heads.read_losses(population_entry(BOTH), MIXTURE | {"threshold": "inf"}).half_weight == math.inf
    assert heads.read_losses({}, {"threshold": "inf"}).half_weight == math.inf
    assert math.isnan(heads.read_losses({}, {}).half_weight)


@pytest.mark.parametrize("kind", ["normal", "lognormal"])
def test_distributions_are_of_the_loss_or_of_its_logarithm(kind):
    found = heads.read_losses({"kind": kind, "location": 0.6, "scale": 0.8, "threshold": 2.0}, {})
    assert found.distribution.sf(found.half_weight) == pytest.approx(0.02275, abs=1e-5)
    assert found.distribution.median() == pytest.approx(found.centre)
    of_log_two = norm.cdf(math.log(2.0), 0.6, 0.8)
    assert found.distribution.cdf(2.0) == pytest.approx(norm.cdf(2.0, 0.6, 0.8) if kind == "normal" else of_log_two)


# --- how many are right ----------------------------------------------------------------------------------------------


def test_what_is_expected_are_sums_of_weights_that_were_learnt():
    table = made_up_populations(60, BOTH, share=0)
    table["weight"] = 1.0
    table.loc[:6, "weight"] = [0.0, 0.05, 0.3, 0.49, 0.5, 0.8, 0.95]
    table.loc[[0, 7], "loss"] = np.nan, 0.0  # not finite; without a label
    table.loc[8, ["times_seen", "last_epoch", "loss"]] = [0, -1, np.nan]  # never visited
    [head] = summarised(table, about_populations(BOTH)).heads
    assert (head.judgement.judged, head.expected.suspects, head.expected.others) == (57, 3, 54)
    assert (head.expected.false_alarms, head.expected.missed) == pytest.approx((0.84, 0.5 + 0.2 + 0.05))
    assert head.expected.ambiguous == 4


def test_expected_numbers_are_those_that_come():
    energies = ENERGY | {"share": 0.2, "wrong": 0.012}  # they overlap
    fit = ENERGIES | {"properties": {"energy": energies}}
    table = made_up_populations(20_000, fit)
    wrong = np.arange(20_000) < 4000
    found = summarised(table, about_populations(fit))
    [head] = found.heads
    assert head.expected.false_alarms == pytest.approx((found.suspect & ~wrong).sum(), rel=0.1)
    assert head.expected.missed == pytest.approx((~found.suspect & wrong).sum(), rel=0.1)
    assert "overlap" not in said(table, about_populations(fit))
    closer = fit | {"properties": {"energy": energies | {"wrong": 0.006}}}
    assert "Right and wrong ones overlap" in said(made_up_populations(2000, closer), about_populations(closer))
