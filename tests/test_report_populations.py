"""A report of losses in which two populations, or one, were fitted: densities, numbers and words."""

import math

import numpy as np
import pytest
import torch
from made_up_results import (
    ONE,
    TWO,
    about_populations,
    lower_population,
    made_up_heads,
    made_up_populations,
    population_entry,
    probabilities,
    summarised,
)
from scipy.integrate import quad

from mace_outlier.mixture import PARAMETERS, MixtureDistribution
from mace_outlier.report import chance, losses, words

SIMILAR = TWO | {"share": 0.45}
MIXTURE = {"distribution": "mixture", "threshold": 8.0}


def read(fit):
    return losses.read_losses(population_entry(fit), MIXTURE)


def said(table, about, below=0.5):
    return " ".join(words.how_sure(summarised(table, about, below)))


# --- what is fitted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [TWO, ONE, SIMILAR])
def test_made_up_weights_are_those_of_the_training(fit):
    table = made_up_populations(300, fit)
    distribution = MixtureDistribution(threshold=8.0)
    distribution.fits[:, 0] = torch.tensor([fit[name] for name in PARAMETERS])
    weighted = distribution.weigh(torch.tensor(table["loss"].to_numpy()), torch.zeros(300, dtype=torch.long))
    assert weighted.weight.numpy() == pytest.approx(table["weight"].to_numpy(), abs=1e-6)
    assert weighted.zscore.numpy() == pytest.approx(table["zscore"].to_numpy(), abs=1e-5)
    described = {"head": "Default"} | distribution.describe()[0]
    assert losses.read_losses(described, MIXTURE).fit == pytest.approx(read(fit).fit, nan_ok=True)


@pytest.mark.parametrize("fit", [TWO, ONE])
@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_weights_cross_where_it_is_said(fit, weight):
    loss = read(fit).crossing(weight)
    assert probabilities(np.array([loss]), fit)[0] == pytest.approx(weight, abs=1e-6)
    assert read(fit).centre < loss
    assert not fit["share"] or loss < read(fit).upper_centre


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


@pytest.mark.parametrize(
    "broken", [{"mode": None}, {"left": 0.0}, {"right": "x"}, {"high_scale": -1}, {"share": 1.0}, {"share": math.nan}]
)
def test_a_fit_that_is_none_is_not_recorded(broken):
    entry = population_entry(TWO) | broken
    assert read(TWO).recorded
    assert not losses.read_losses(entry, MIXTURE).recorded
    about = about_populations(TWO) | {"distribution": [entry]}
    assert "fitted populations were not recorded" in said(made_up_populations(60, TWO), about)


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
    fit = TWO | {"share": 0.2, "high_mean": 0.1}  # they overlap
    table = made_up_populations(20_000, fit)
    wrong = np.arange(20_000) < 4000
    found = summarised(table, about_populations(fit))
    [head] = found.heads
    assert head.odds.false_alarms == pytest.approx((found.suspect & ~wrong).sum(), rel=0.1)
    assert head.odds.missed == pytest.approx((~found.suspect & wrong).sum(), rel=0.1)
    assert head.losses.fit.distance == pytest.approx(1.6 / math.sqrt((0.4**2 + 0.44**2) / 2))
    assert "overlap" not in said(table, about_populations(fit))
    closer = fit | {"high_mean": -0.2}
    assert "The populations overlap" in said(made_up_populations(2000, closer), about_populations(closer))


def test_two_populations_in_words():
    table = made_up_populations(400, TWO)
    found = summarised(table, about_populations(TWO))
    odds, text = found.heads[0].odds, said(table, about_populations(TWO))
    for shown in (
        "The losses show two populations, 5.7 widths", "around 0.22, taken for right", "around 2.5, taken for wrong",
        f"By the fit about 124 of 400 labels (31.0 %) are wrong; there are {found.suspects} suspects",
        f"of {found.suspects} suspects about {odds.false_alarms:.1f} should be right (false alarms)",
        f"of {400 - found.suspects} other configurations about {odds.missed:.1f} should be wrong (missed)",
        f"{odds.ambiguous} of these 400 configurations", "hard configurations",
    ):  # fmt: skip
        assert shown in text
    for absent in ("If all labels were right", "soft", "overlap", "threshold"):
        assert absent not in text
    assert not chance.similar_populations(found)
    assert "if labels" not in words.headline(found)


def test_one_population_in_words():
    table = made_up_populations(400, ONE)
    text = said(table, about_populations(ONE))
    assert "one population, around 0.22: there is no sign of a second kind of labels" in text
    assert f"only gross outliers are suspects (losses beyond {read(ONE).crossing(0.5):.2g})" in text
    assert "Wrong labels with losses no larger than those of right ones don't show." in text
    assert "probabilities" not in text
    assert f"losses beyond {read(ONE).crossing(0.8):.2g}" in said(table, about_populations(ONE), below=0.8)
    table.loc[0, ["loss", "weight"]] = 50.0, 0.001
    assert "of 1 suspect fewer than 0.1 should be right (false alarms)." in said(table, about_populations(ONE))


def test_populations_of_similar_size_are_a_warning():
    found = summarised(made_up_populations(400, SIMILAR), about_populations(SIMILAR))
    [warning] = chance.similar_populations(found)
    assert warning == "45.0 % of the losses lie in the upper population, around 2.5, the others around 0.22."
    assert "look wrong, if labels with the lower losses are right: weight below 0.5" in words.headline(found)
    limit = TWO | {"share": 0.4}
    assert not chance.similar_populations(summarised(made_up_populations(400, limit), about_populations(limit)))


def test_heads_of_several_kinds():
    table, about = made_up_heads()
    text = said(table, about)
    for shown in (
        "Head pbe: the losses show two populations", "Head r2scan: the losses show one population",
        "Heads pbe, r2scan: weights are probabilities", "Head few: populations were not fitted", "5 sigma holds",
        "Head few: if all labels were right, fewer than 0.1 of 30", "normally distributed logarithms",
        "Head published: if all labels were right, about 4.6 of 200",
    ):  # fmt: skip
        assert shown in text
    z = words.meaning_of_z(summarised(table, about))
    for shown in (
        "z: how far the logarithm",
        "; or standard deviations that the logarithm",
        "; or standard deviations that the loss",
    ):
        assert shown in z


def test_softness_is_of_heads_with_a_threshold():
    table, about = made_up_heads()
    table.loc[table["head"] == "pbe", "mean_weight"] = 0.4
    assert "soft" not in said(table, about)
    table.loc[table["head"] == "published", ["weight", "mean_weight"]] = 0.2, 0.4
    assert "100 % of the suspects of heads with a threshold" in said(table, about)


def test_an_infinite_threshold_judges_nothing_but_the_fit_is_told():
    table = made_up_populations(400, TWO).assign(weight=1.0)
    about = about_populations(TWO)
    about["options"]["threshold"] = "inf"
    text = said(table, about)
    assert "about 124 of 400 labels (31.0 %) are wrong; there are 0 suspects" in text
    assert "The threshold is infinite" in text
    assert "probabilities" not in text


def test_a_run_that_was_killed_before_its_first_description():
    for recorded in ([], [{"head": "Default", "location": -1.5, "scale": 0.4, "threshold": 8.0}]):  # without a kind
        about = about_populations(TWO) | {"distribution": recorded, "history": []}
        text = said(made_up_populations(400, TWO), about)
        assert "The fitted populations were not recorded" in text
        assert "threshold" not in text
