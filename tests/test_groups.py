"""A configuration is compared with its like: same formula, same state of the model."""

import numpy as np
import pytest

from mace_outlier.populations.epoch import bunched, drift
from mace_outlier.populations.groups import Groups, densest_halves, measure


def slow_densest_half(values):
    values = np.sort(values)
    half = len(values) // 2
    widths = [values[i + half] - values[i] for i in range(len(values) - half)]
    i = int(np.argmin(widths))
    middle, spread = 0.5 * (values[i] + values[i + half]), widths[i] / 1.349
    return values[np.abs(values - middle) <= 2 * spread].mean(), spread


def test_densest_halves_are_those_of_each_group_on_its_own():
    rng = np.random.default_rng(0)
    number = rng.integers(0, 5, 300)
    number[number == 3] = 4  # group 3 is empty
    values = rng.normal(size=300)
    values[7] = np.nan
    centre, spread = densest_halves(values, number, 5)
    for group in (0, 1, 2, 4):
        own = values[(number == group) & np.isfinite(values)]
        assert (centre[group], spread[group]) == pytest.approx(slow_densest_half(own))
    assert np.isnan([centre[3], spread[3]]).all()


def test_wrong_labels_hardly_move_the_densest_half():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, 1000)
    values[:430] = 8 + rng.normal(0, 1, 430)
    centre, spread = densest_halves(values, np.zeros(1000, dtype=np.int64), 1)
    assert abs(centre[0]) < 0.5
    assert spread[0] < 2.5
    assert np.median(values) > 0.9


def kinds(codes):
    """One molecule of each formula."""
    return np.column_stack((codes, codes)).astype(np.int64)


def molecules(rng, sizes, offsets, spreads):
    codes = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    e = np.concatenate([o + s * rng.normal(size=n) for n, o, s in zip(sizes, offsets, spreads, strict=True)])
    return codes.astype(np.int64), e


def test_offsets_and_spreads_of_molecules_are_taken_out():
    rng = np.random.default_rng(2)
    codes, e = molecules(rng, [300, 300, 300], [0.0, 0.2, -0.1], [0.001, 0.01, 0.002])
    x = codes * 2.0 + rng.normal(size=900)
    groups = measure(kinds(codes), x, e)
    level, error = groups.relative(kinds(codes), x, e)
    for code in (1, 2, 3):
        assert abs(level[codes == code].mean()) < 0.4
        assert abs(error[codes == code].mean()) < 0.5
        assert 0.7 < error[codes == code].std() < 1.6


def test_few_configurations_have_a_location_of_their_own_but_hardly_a_spread():
    rng = np.random.default_rng(3)
    codes, e = molecules(rng, [400, 400, 6], [0.0, 0.1, 0.5], [0.004, 0.004, 1e-5])
    groups = measure(kinds(codes), np.zeros(806), e)
    _, error = groups.relative(kinds(codes), np.zeros(806), e)
    assert groups.error[2] == pytest.approx(0.5, abs=1e-4)
    assert groups.spread[2] > 0.002
    assert np.abs(error[-6:]).max() < 0.1


def test_configurations_without_like_are_compared_with_all():
    rng = np.random.default_rng(4)
    codes, e = molecules(rng, [400, 1, 1], [0.0, 0.3, -0.3], [0.004, 0.0, 0.0])
    groups = measure(kinds(codes), np.zeros(402), e)
    _, error = groups.relative(kinds(codes), np.zeros(402), e)
    assert len(groups.codes) == 0
    assert np.abs(error[-2:]).min() > 20
    alone = measure(kinds(np.arange(50)), np.zeros(50), e[:50])  # every formula once: one group of all
    assert alone.relative(np.arange(50), np.zeros(50), e[:50])[1].std() < 2


def test_an_unknown_formula_is_compared_with_all():
    rng = np.random.default_rng(5)
    codes, e = molecules(rng, [200, 200], [0.0, 0.0], [0.004, 0.004])
    groups = measure(kinds(codes), np.zeros(400), e)
    _, error = groups.relative(kinds([99]), np.zeros(1), np.array([0.04]))
    assert error[0] == pytest.approx(10, rel=0.3)


def test_without_energies_there_are_no_energy_errors():
    codes = np.repeat([1, 2], 50)
    groups = measure(kinds(codes), np.arange(100.0), np.full(100, np.nan))
    _, error = groups.relative(kinds(codes), np.arange(100.0), np.full(100, np.nan))
    assert np.isnan(error).all()
    assert np.isfinite(groups.spread).all()


def test_measures_survive_a_checkpoint():
    codes, e = molecules(np.random.default_rng(6), [50, 60], [0.0, 0.2], [0.001, 0.01])
    groups = measure(kinds(codes), e, e)
    again = Groups.from_dict(groups.to_dict())
    for before, after in zip(groups, again, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("wrong", [0.0, 0.3])
def test_drift_within_an_epoch_is_found_although_labels_are_wrong(wrong):
    rng = np.random.default_rng(7)
    times = rng.random(2000)
    bad = rng.random(2000) < wrong
    path = 3 * np.exp(-2 * times)
    values = path + rng.normal(0, 0.2, 2000) + 2 * bad
    values[5] = 1e12
    values[6] = np.nan
    path -= path.mean()
    assert np.abs(drift(values, times) - path).mean() < (0.15 if wrong else 0.05)
    assert np.abs(drift(values, times, trusted=~bad) - path).mean() < 0.05
    assert drift(values, times).mean() == pytest.approx(0, abs=1e-12)


def test_what_one_model_has_seen_drifts_nowhere_and_few_say_nothing():
    values = np.random.default_rng(8).normal(5, 1, 400)
    assert (drift(values, np.zeros(400)) == 0).all()
    assert (drift(values[:40], np.arange(40.0)) == 0).all()
    assert (drift(np.full(400, np.nan), np.arange(400.0)) == 0).all()


def test_very_many_are_measured_by_some():
    rng = np.random.default_rng(9)
    times, values = rng.random(100_000), rng.normal(1, 1, 100_000)
    np.testing.assert_allclose(drift(values, times), 0, atol=0.2)


@pytest.mark.parametrize("share", [0.03, 0.15, 0.43])
def test_wrong_labels_in_random_order_are_not_bunched(share):
    rng = np.random.default_rng(10)
    assert not any(bunched(rng.random(400), rng.random(400) < share) for _ in range(50))
    times = rng.random(400)
    late = np.argsort(times)[-round(share * 400) :]
    wrong = np.isin(np.arange(400), late)
    assert bunched(times, wrong)
    assert not bunched(np.zeros(400), wrong)  # seen all at once
    assert not bunched(np.zeros(0), np.zeros(0, dtype=bool))


def slow_groups(kinds):
    """Members of the group of each configuration, or None for the others; one by one."""
    found = []
    for formula, molecule in kinds:
        own = kinds[kinds[:, 0] == formula]
        values, count = np.unique(own[:, 1], return_counts=True)
        large = set(values[count >= 5])
        if not large:
            found.append(("formula", formula) if len(own) >= 5 else None)
        else:
            main = max(zip(count, values, strict=True))[1]
            found.append(("molecule", molecule if molecule in large else main))
    return found


def test_what_is_left_of_a_formula_is_compared_with_its_most_frequent_molecule():
    rng = np.random.default_rng(7)
    formulas = np.concatenate((rng.integers(1, 12, 150), [12, 13, 13, 14, 14, 14, 14]))  # the last are too few
    kinds = np.column_stack((formulas, 100 * formulas + rng.geometric(0.4, 157)))
    x = rng.normal(size=157)
    expected = slow_groups(kinds)
    groups = measure(kinds, x, np.full(157, np.nan))
    relative, _ = groups.relative(kinds, x, x)
    levels = x - relative
    by_group = {}
    for group, level in zip(expected, levels.round(12), strict=True):
        by_group.setdefault(group, set()).add(level)
    assert all(len(own) == 1 for own in by_group.values())
    assert len(set.union(*by_group.values())) == len(by_group) > 10
    assert {type(group) for group in by_group} == {tuple, type(None)}
    new = np.array([[3, 9999], [77, 9999]])  # an unknown molecule of a known formula, and of an unknown one
    levels = -groups.relative(new, np.zeros(2), np.zeros(2))[0]
    own = [
        level for group, level in zip(expected, x - relative, strict=True) if group in of_formula(kinds, expected, 3)
    ]
    assert any(np.isclose(levels[0], own))
    assert levels[1] == groups.level[-1]


def of_formula(kinds, expected, formula):
    return {group for group, (own, _) in zip(expected, kinds, strict=True) if own == formula}


def test_a_few_that_have_no_like_are_compared_with_all():
    codes, e = molecules(np.random.default_rng(8), [100, 100, 1], [0.0, 0.0, 5.0], [0.01, 0.01, 0.0])
    x = np.append(np.random.default_rng(9).normal(size=200), 9.0)
    relative, error = measure(kinds(codes), x, e).relative(kinds(codes), x, e)
    assert relative[-1] > 8
    assert error[-1] > 100
