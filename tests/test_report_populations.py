"""A report of a run in which two populations, or one, were fitted: densities, numbers and words."""

import math

import numpy as np
import pytest
import torch
from made_up_fits import (
    BOTH,
    ENERGIES,
    OLD,
    ONE,
    SCATTER,
    THREE,
    TWO,
    WITHIN,
    in_asinh,
    lower_population,
    population_entry,
    probabilities,
)
from made_up_results import about_populations, made_up_populations, summarised
from scipy.integrate import quad

from mace_outlier.described import apart, described
from mace_outlier.mixture import MixtureDistribution
from mace_outlier.one_or_two import OneOrTwo
from mace_outlier.populations import Fit, Guard
from mace_outlier.populations.groups import Groups
from mace_outlier.posterior import weigh_by_fit
from mace_outlier.report import losses, words

SIMILAR = TWO | {"share": 0.45}
MIXTURE = {"distribution": "mixture", "threshold": 8.0}


def read(fit):
    return losses.read_losses(population_entry(fit), MIXTURE)


def said(table, about, below=0.5):
    return " ".join(words.how_sure(summarised(table, about, below)))


# --- what is fitted --------------------------------------------------------------------------------------------------


def trained(fit, level=0.0):
    """The fit as a training has it: losses relative to the typical level, energies to the spread of right labels."""
    parts = (fit["mode"] - level, fit["left"], fit["right"], 0.0, 1.0, fit["share"])
    upper = (fit["high_mean"] - level, fit["high_scale"], *in_asinh(fit), fit["certainty"])
    return Fit(math.nan, *parts, *(upper if fit["share"] else ()))


@pytest.mark.parametrize("fit", [TWO, ONE, SIMILAR, BOTH, ENERGIES, SCATTER])
def test_made_up_weights_are_those_of_the_training(fit):
    table = made_up_populations(300, fit)
    energy = table["energy_error_per_atom"].where(table.index % 7 != 0)  # some without
    columns = np.log(table["loss"].to_numpy()), energy.to_numpy() / fit["error_scale"]
    weighted = weigh_by_fit(trained(fit), *map(torch.tensor, columns), threshold=8.0)
    expected = probabilities(table["loss"].to_numpy(), fit, energy.to_numpy())
    assert weighted.weight.numpy() == pytest.approx(expected, abs=1e-6)
    has = energy.notna().to_numpy()
    assert weighted.zscore.numpy()[has] == pytest.approx(table["zscore"].to_numpy()[has], rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("fit", [TWO, ONE, BOTH])
def test_a_fit_is_read_as_the_training_describes_it(fit):
    distribution, level = MixtureDistribution(threshold=8.0), 0.3
    only = OneOrTwo(8.0, Guard())
    distribution.heads[0].fits, only.fit = [only], trained(fit, level)
    measures = (np.array([value]) for value in (level, -0.2, fit["error_scale"]))
    only.groups = Groups(np.zeros(0, dtype=int), np.zeros(0, dtype=int), *measures)
    found = losses.read_losses(distribution.describe()[0], MIXTURE)
    assert list(found.fit) == pytest.approx(list(read(fit).fit))
    assert found.molecules == 1


def test_what_tells_wrong_labels_apart():
    assert [apart(described(fit)) for fit in (ONE, TWO, BOTH, ENERGIES, SCATTER)] == [
        (False, False, False), (True, False, False), (True, True, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    assert apart(described(OLD)) == (True, False, False)
    for name, limit in (("high_error", 0.006), ("high_error", -0.006), ("high_error_scale", 0.006)):
        below, above = (apart(described(TWO | {name: factor * limit})) for factor in (0.99, 1.01))
        assert (below.by_energy, above.by_energy) == (False, True)


@pytest.mark.parametrize("fit", [TWO, ONE])
@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_weights_cross_where_it_is_said(fit, weight):
    loss = read(fit).crossing(weight)
    assert probabilities(np.array([loss]), fit)[0] == pytest.approx(weight, abs=1e-6)
    assert read(fit).centre < loss
    assert not fit["share"] or loss < max(read(fit).upper_centres)


def test_weights_that_never_cross():
    rare = TWO | {"share": 0.001, "high_mean": -0.4}
    assert losses.read_losses(population_entry(rare), {}).crossing(0.5) == math.inf
    assert read(rare).crossing(0.4) == pytest.approx(math.exp(-1.5 + 8 * 0.44), rel=0.2)  # but for the threshold
    assert losses.read_losses(population_entry(TWO), MIXTURE | {"threshold": "inf"}).crossing(0.5) == math.inf
    assert losses.read_losses({}, {"threshold": "inf"}).crossing(0.5) == math.inf
    assert math.isnan(losses.read_losses({}, {}).crossing(0.5))
    assert read(TWO | {"share": 1 - 1e-9}).crossing(0.5) == read(TWO).centre  # from the mode on


def test_thresholds_are_of_the_loss_or_of_its_logarithm():
    entry = {"location": -1.0, "scale": 0.5, "threshold": 2.0}
    assert losses.read_losses(entry, {}).crossing(0.5) == 0.0  # no kind: normal
    lognormal = losses.read_losses(entry | {"kind": "lognormal"}, {})
    assert (lognormal.crossing(0.5), lognormal.centre) == (1.0, math.exp(-1.0))


@pytest.mark.parametrize(
    ("entry", "share"),
    [
        (population_entry(TWO), 0.31), (population_entry(ONE), 0.0),
        ({"kind": "normal", "location": 0.6, "scale": 0.8}, 0.0),
        ({"kind": "lognormal", "location": -1.5, "scale": 1}, 0.0),
    ],
)  # fmt: skip
def test_densities_are_of_the_log_loss(entry, share):
    found = losses.read_losses(entry, {})
    lowest = -60 if found.kind != "normal" else math.log(1e-9)
    parts = [quad(lambda x, i=i: found.densities(np.array([x]))[i][0], lowest, 40, limit=400)[0] for i in (0, 1)]
    positive = 0.7734 if found.kind == "normal" else 1.0  # of the normal distribution
    assert parts == pytest.approx([positive * (1 - share), share], abs=1e-3)
    if found.fit:
        x = np.linspace(-3, 2, 7)
        assert found.densities(x)[0] == pytest.approx((1 - share) * lower_population(x, TWO))


def test_three_populations_add_up():
    found = read(THREE)
    assert (found.fit.wrong, found.fit.sure) == pytest.approx((0.31 + 0.69 * 0.2, (0.31 * 0.97 + 0.138 * 0.9) / 0.448))
    assert found.centre == pytest.approx(math.exp(-1.6))
    assert found.upper_centres == pytest.approx([math.exp(0.9), math.exp(-0.5)])
    parts = [quad(lambda x, i=i: found.densities(np.array([x]))[i][0], -60, 40, limit=400)[0] for i in (0, 1)]
    assert parts == pytest.approx([0.552, 0.448], abs=1e-3)
    assert found.apart == (True, True, True)
    alone = [read(fit).crossing(0.5) for fit in (THREE | {"within": ONE}, WITHIN)]
    assert found.centre < found.crossing(0.5) < min(alone)


@pytest.mark.parametrize(
    "broken", [{"mode": None}, {"left": 0.0}, {"right": "x"}, {"high_scale": -1}, {"share": 1.0}, {"share": math.nan}]
)
def test_a_fit_that_is_none_is_not_recorded(broken):
    entry = population_entry(TWO) | broken
    assert read(TWO).recorded
    assert not losses.read_losses(entry, MIXTURE).recorded
    about = about_populations(TWO) | {"distribution": [entry]}
    assert "fitted populations were not recorded" in said(made_up_populations(60, TWO), about)


def test_losses_are_relative_to_right_labels_of_the_formula():
    """Half of one formula is wrong."""
    rng = np.random.default_rng(0)
    kind, wrong = np.arange(600) % 3, np.arange(600) % 6 == 1
    loss = np.array([1.0, 20.0, 300.0])[kind] * rng.lognormal(0, 0.1, 600) * np.where(wrong, 8.0, 1.0)
    found = read(TWO | {"level": -2.0, "molecules": 3})
    relative, several = losses.relative_losses(loss, kind, ~wrong, found)
    assert several
    for own in range(3):
        assert np.median(relative[(kind == own) & ~wrong]) == pytest.approx(math.exp(-2.0), rel=0.05)
    assert np.median(relative[wrong]) == pytest.approx(8 * math.exp(-2.0), rel=0.05)
    alike, several = losses.relative_losses(loss, 0 * kind, ~wrong, read(TWO))
    assert not several
    assert alike == pytest.approx(loss)
    for which in (read(OLD), found):
        nothing = losses.relative_losses(loss, kind, np.zeros(600, dtype=bool), which)
        assert nothing[0] is loss
    assert losses.relative_losses(loss, kind, ~wrong, read(OLD))[0] is loss


# --- how many are right ----------------------------------------------------------------------------------------------


def test_odds_are_sums_of_weights_that_were_learnt():
    table = made_up_populations(60, TWO, share=0)
    table["weight"] = 1.0
    table.loc[:6, "weight"] = [0.0, 0.05, 0.3, 0.49, 0.5, 0.8, 0.95]
    table.loc[[0, 7], "loss"] = np.nan, 0.0  # not finite; without a label
    table.loc[8, ["times_seen", "last_epoch", "loss"]] = [0, -1, np.nan]  # never visited
    [head] = summarised(table, about_populations(TWO)).heads
    assert (head.judged, head.odds.suspects, head.odds.others) == (57, 3, 54)
    assert (head.odds.false_alarms, head.odds.missed) == pytest.approx((0.84, 0.5 + 0.2 + 0.05))
    assert head.odds.ambiguous == 4
    assert head.wrong == pytest.approx(0.31 * 57)


def test_expected_numbers_are_those_that_come():
    fit = TWO | {"share": 0.2, "high_mean": 0.1, "high_error": 0.004}  # they overlap
    table = made_up_populations(20_000, fit)
    wrong = np.arange(20_000) < 4000
    found = summarised(table, about_populations(fit))
    [head] = found.heads
    assert head.odds.false_alarms == pytest.approx((found.suspect & ~wrong).sum(), rel=0.1)
    assert head.odds.missed == pytest.approx((~found.suspect & wrong).sum(), rel=0.1)
    assert "overlap" not in said(table, about_populations(fit))
    closer = fit | {"high_mean": -0.5}
    assert "The populations overlap" in said(made_up_populations(2000, closer), about_populations(closer))


def test_wrong_labels_in_the_majority_are_warned_of():
    """60 % wrong ones that agree with one another are taken for right, and 40 % right ones for wrong."""
    from mace_outlier.populations import SIMILAR

    assert SIMILAR < 1 - 0.6 - 0.02  # the share that is found may be lower by so much
