"""Molecules most of whose labels are wrong, among others whose labels are mostly right."""

import numpy as np
import pytest
import torch

import mace_outlier.one_or_two as one_or_two
import mace_outlier.populations.majorities as majorities
from mace_outlier.mixture import MixtureDistribution
from mace_outlier.populations import BACKGROUND, ERROR_RANGE, Fit, cells_of, correct_majorities, fit_two
from mace_outlier.populations.majorities import _log_likelihood
from mace_outlier.weighting import Remembered

MEMBERS, GROUPS, WRONG_IN_FIRST = 24, 30, 15
ALIKE = np.ones(GROUPS)  # spreads


def molecules(side=1.0, seed=0):
    """Energy errors of groups about their most frequent labels, which are wrong in the first; who is wrong; groups."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), MEMBERS)
    bad = rng.random(len(group)) < 0.2
    bad[:MEMBERS] = np.arange(MEMBERS) < WRONG_IN_FIRST
    off = side * np.exp(rng.normal(np.log(12), 0.35, len(group)))
    off *= rng.choice([1, -1], len(group)) if side == 0.5 else 1.0
    e = rng.normal(0, 1, len(group)) + np.where(bad, off, 0.0)
    e[:MEMBERS] -= np.median(e[:WRONG_IN_FIRST])
    return e, bad, group


def populations(e, bad):
    """A fit to all but the first group."""
    x = np.where(bad, 2.0, 0.0) + np.random.default_rng(1).normal(0, 0.3, len(e))
    return fit_two(cells_of(x[MEMBERS:], e[MEMBERS:]))


def slow_log_likelihood(e: float, fit: Fit) -> float:
    def right(u):
        return (1 + ((u - fit.error) / fit.error_scale) ** 2 / 5) ** -3

    def wrong(u):
        return np.exp(-0.5 * ((np.arcsinh(u) - fit.high_error) / fit.high_error_scale) ** 2) / np.sqrt(1 + u**2)

    grid = np.linspace(-400, 400, 800_001)
    norms = [
        np.trapezoid(f(grid), grid) if hasattr(np, "trapezoid") else np.trapz(f(grid), grid) for f in (right, wrong)
    ]
    density = (1 - fit.share) * right(e) / norms[0] + fit.share * wrong(e) / norms[1]
    return float(np.log(density + BACKGROUND / (ERROR_RANGE * fit.error_scale)))


def looks_wrong(e, group):
    """Beside the most frequent labels of its group."""
    return np.abs(e) > 4


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("wider", [1.0, 3.0])
def test_right_and_wrong_change_places_in_a_group_that_is_mostly_wrong(side, wider):
    e, bad, group = molecules(side)
    fit = populations(e, bad)
    first, spread = group == 0, ALIKE.copy()
    e[first], spread[0] = e[first] / wider, wider  # a spread that the wrong labels have widened
    wrong = looks_wrong(e, group)
    corrected = correct_majorities(wrong, e, group, spread, fit)
    assert (corrected[first] == bad[first]).mean() > 0.95
    assert (wrong[first] == bad[first]).mean() < 0.5
    np.testing.assert_array_equal(corrected[~first], wrong[~first])


def test_a_group_without_energies_and_labels_without_energy_stay_as_they_are():
    e, bad, group = molecules()
    fit = populations(e, bad)
    e[group == 1] = np.nan
    e[:3] = np.nan
    wrong = looks_wrong(e, group)
    corrected = correct_majorities(wrong, e, group, ALIKE, fit)
    np.testing.assert_array_equal(corrected[:3], wrong[:3])
    np.testing.assert_array_equal(corrected[group > 0], wrong[group > 0])
    assert (corrected[3:MEMBERS] == bad[3:MEMBERS]).all()


def test_likelihoods_are_those_of_the_fit():
    fit = populations(*molecules()[:2])
    some = np.array([-14.0, -1.0, 0.3, 9.0, 30.0])
    found = _log_likelihood(some, np.array([0, 0, 1, 1, 2]), np.ones(3), fit)
    slow = [slow_log_likelihood(one, fit) for one in some]
    np.testing.assert_allclose(found, [slow[0] + slow[1], slow[2] + slow[3], slow[4]], rtol=1e-4)


def test_a_group_is_judged_anew_only_where_that_is_likelier_by_far(monkeypatch):
    e, bad, group = molecules()
    fit, wrong = populations(e, bad), looks_wrong(e, group)
    monkeypatch.setattr(majorities, "ENOUGH", 1e3)
    np.testing.assert_array_equal(correct_majorities(wrong, e, group, ALIKE, fit), wrong)


def test_nothing_is_judged_anew_where_wrong_labels_lie_to_both_sides_or_all_are_of_one_group():
    e, bad, group = molecules(side=0.5)
    wrong = looks_wrong(e, group)
    np.testing.assert_array_equal(correct_majorities(wrong, e, group, ALIKE, populations(e, bad)), wrong)
    e, bad, group = molecules()
    fit = populations(e, bad)
    np.testing.assert_array_equal(correct_majorities(wrong, e, np.zeros_like(group), ALIKE[:1], fit), wrong)


def remembered():
    """The same, as a training remembers it; losses come from the errors."""
    e, bad, group = molecules()
    rng = np.random.default_rng(2)
    losses = 1e-4 * e**2 + 1e-3 * np.exp(rng.normal(0, 0.3, len(e))) * np.where(bad & (group > 0), 4, 1)
    return bad, group, Remembered(
        losses=torch.tensor(losses),
        errors=torch.tensor(0.004 * e + 0.01 * group),
        heads=torch.zeros(len(e), dtype=torch.long),
        usable=torch.ones(len(e), dtype=torch.bool),
        times=torch.zeros(len(e)),
        kinds=np.column_stack((group, group)) + 1,
    )  # fmt: skip


def found(seen):
    distribution = MixtureDistribution()
    distribution.refit(seen)
    return (distribution.refit(seen).weight < 0.5).numpy()


def test_the_wrong_labels_of_such_a_molecule_lose_their_weight_and_its_right_ones_keep_it(monkeypatch):
    bad, group, seen = remembered()
    first, suspects = group == 0, found(seen)
    assert suspects[first & bad].mean() > 0.9
    assert suspects[first & ~bad].mean() < 0.2
    assert suspects[~first & bad].mean() > 0.9
    assert suspects[~first & ~bad].mean() < 0.03
    monkeypatch.setattr(one_or_two, "correct_majorities", lambda wrong, *others: wrong)
    assert found(seen)[first & bad].mean() < 0.5
