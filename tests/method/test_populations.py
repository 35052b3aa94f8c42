"""The likelihood of right and wrong labels: its fit, its posterior, and that no weight rises with an error."""

import math

import numpy as np
import pytest

from mace_outlier.method.decide import candidates, decide
from mace_outlier.method.fit import Fit, binned
from mace_outlier.method.populations import Populations
from mace_outlier.method.settings import Settings

SETTINGS = Settings()
NAMES = {1: ["energy"], 2: ["energy", "forces"], 3: ["energy", "forces", "stress"]}


def made_up(names, seed=0, count=400, share=0.2, missing=0.0, one_side=False):
    """What is not explained (N,) by property; a share of each property is wrong, half of it together."""
    rng = np.random.default_rng(seed)
    values, together = {}, rng.random(count) < share / 2
    for name in names:
        wrong = together | (rng.random(count) < share / 2)
        if name == "energy":
            off = rng.normal(6.0, 1.0, count) * (1.0 if one_side else rng.choice([-1, 1], count))
            own = rng.standard_t(5, count) + wrong * off
        else:
            own = 0.3 * rng.normal(size=count) + wrong * rng.normal(1.5, 0.3, count)
        values[name] = np.where(rng.random(count) < missing, np.nan, own)
    return values


def fitted(values, classes, together=False):
    return Fit(binned(values), classes, SETTINGS, together)


ALL = [(names, *candidate) for number, names in NAMES.items() for candidate in candidates(number)]


@pytest.mark.parametrize(("names", "classes", "together"), ALL)
def test_the_likelihood_never_falls_from_step_to_step(names, classes, together, monkeypatch):
    """Tails and the power of difficulty stay as they are: they are chosen, and not by the likelihood alone."""
    monkeypatch.setattr("mace_outlier.method.fit.EACH", 1000)
    fit = fitted(made_up(names), classes, together)
    found = []
    for _ in range(40):
        fit._maximise()
        fit._expect()
        found.append(fit.log_likelihood)
    # priors of single configurations and limits of the parameters: the likelihood may fall by next to nothing
    assert min(np.diff(found[2:])) > -2e-2
    assert found[-1] > found[0]


@pytest.mark.parametrize("names", NAMES.values())
def test_many_configurations_are_binned_and_give_the_same(names):
    values = made_up(names, count=4000)
    one_by_one = decide(values, SETTINGS)
    twice = {name: np.concatenate((own, own)) for name, own in values.items()}
    cells = binned(twice)
    assert len(cells.counts) < 8000
    assert cells.counts.sum() == 8000
    of_cells = decide(twice, SETTINGS)
    assert of_cells.best.shares.keys() == one_by_one.best.shares.keys()
    for one, share in one_by_one.best.shares.items():
        assert of_cells.best.shares[one] == pytest.approx(share, abs=0.02)


def slow_posterior(populations, values):
    """Probability that all labels are right, and that each is, of one configuration; the formula as it is written."""
    names, total, right = list(populations.by_name), 0.0, 0.0
    known = [math.isfinite(values[name]) for name in names]
    at = {name: np.array([values[name] if has else 0.0]) for name, has in zip(names, known, strict=True)}
    wrong = dict.fromkeys(names, 0.0)
    for one, share in populations.shares.items():
        density = share
        for name, bit, has in zip(names, one, known, strict=True):
            if bit and has:
                density *= math.exp(populations.by_name[name].log_odds(at[name], of_wrong=True)[0])
        total += density
        right += density * (not any(bit and has for bit, has in zip(one, known, strict=True)))
        for name, bit in zip(names, one, strict=True):
            wrong[name] += density * bit
    gross = {
        name: populations.settings.gross * math.exp(populations.by_name[name].log_odds(at[name], of_wrong=False)[0])
        for name, has in zip(names, known, strict=True)
        if has
    }
    by_property = {
        name: (1 - wrong[name] / total) / (1 + gross[name]) if has else 1.0
        for name, has in zip(names, known, strict=True)
    }
    return right / total / (1 + sum(gross.values())), by_property


@pytest.mark.parametrize("names", NAMES.values())
def test_the_posterior_is_the_ratio_of_densities(names):
    values = made_up(names, missing=0.2)
    populations = decide(values, SETTINGS).best
    assert len(populations.shares) > 1
    weight, by_property = populations.posterior(values)
    for i in range(0, 400, 7):
        expected, of_each = slow_posterior(populations, {name: float(own[i]) for name, own in values.items()})
        assert weight[i] == pytest.approx(expected, abs=1e-9)
        for name in names:
            assert by_property[name][i] == pytest.approx(of_each[name], abs=1e-9)


def test_log_odds_are_those_of_the_densities_where_these_never_fall():
    values = made_up(["energy"])
    own = decide(values, SETTINGS).best.by_name["energy"]
    x = own.centre + np.linspace(3.0, 6.0, 20) * own.width
    np.testing.assert_allclose(own.log_odds(x, of_wrong=True), own.log_wrong(x) - own.log_right(x), atol=0.1)


# --- no weight rises with an error -----------------------------------------------------------------------------------


def grid_of(name):
    return np.sort(np.concatenate((np.linspace(-30, 30, 301), np.sinh(np.linspace(0, 60, 61)))))


@pytest.mark.parametrize("seed", range(12))
def test_no_weight_rises_with_an_error(seed):
    """Of any property, to either side, whatever the other properties say, also without their labels."""
    rng = np.random.default_rng(seed)
    names = NAMES[1 + seed % 3]
    share, missing = rng.choice([0.0, 0.1, 0.4, 0.8]), rng.choice([0.0, 0.5])
    values = made_up(names, seed, share=share, missing=missing, one_side=seed % 2)
    decision = decide(values, SETTINGS)
    for populations in (decision.best, decision.right):
        for _ in range(20):
            others = {name: rng.normal(0, 3) if rng.random() < 0.7 else np.nan for name in names}
            for name in names:
                assert_never_rises(populations, name, others)


def assert_never_rises(populations, name, others):
    own = populations.by_name[name]
    sides = [np.array(grid_of(name))]
    if name == "energy":
        away = np.sinh(np.linspace(0, 60, 301))
        sides = [own.centre + away, own.centre - away]
    for side in sides:
        values = {other: np.full(len(side), value) for other, value in others.items()} | {name: side}
        weight, by_property = populations.posterior(values)
        assert np.diff(weight).max() <= 1e-9
        for own_weight in by_property.values():
            assert np.diff(own_weight).max() <= 1e-9


@pytest.mark.parametrize("names", NAMES.values())
def test_what_was_fitted_goes_round(names):
    values = made_up(names)
    populations = decide(values, SETTINGS).best
    again = Populations.from_dict(populations.to_dict(), SETTINGS)
    for one, other in zip(again.posterior(values)[0], populations.posterior(values)[0], strict=True):
        assert one == other
