"""The fit of one or two populations: gradient, densities, and what has to be there before two are believed."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm, t
from threadpoolctl import threadpool_info, threadpool_limits

import mace_outlier.populations.fit as fit_module
from mace_outlier.populations.cells import Cells
from mace_outlier.populations.fit import _objective, fit_one, fit_two, lower_density, shift
from mace_outlier.populations.guard import Guard, choose
from mace_outlier.populations.sides import both_sides


def cells(share=0.2, size=500, gap=2.3, shift=-12.0, seed=0, energies=True):
    rng = np.random.default_rng(seed)
    bad = np.arange(size) < share * size
    x = np.where(bad, gap + rng.normal(0, 0.3, size), 0.4 * rng.standard_t(8, size))
    e = np.where(bad, shift, 0) + rng.normal(0, 1, size)
    return Cells(x, e if energies else np.full(size, np.nan), np.ones(size))


def test_the_lower_density_is_a_density():
    def density(x):
        return float(lower_density(np.array([x]), 0.3, 0.4, 0.7)[0])

    assert quad(density, -20, 0.3)[0] + quad(density, 0.3, 200)[0] == pytest.approx(1, abs=1e-6)
    assert density(0.3 - 1e-9) == pytest.approx(density(0.3 + 1e-9))
    assert density(0.3 + 0.7) / density(0.3) == pytest.approx(t.pdf(1, 5) / t.pdf(0, 5))
    assert density(0.3 - 0.4) / density(0.3) == pytest.approx(norm.pdf(1) / norm.pdf(0))


@pytest.mark.parametrize("parameters", [5, 10])
def test_the_gradient_is_that_of_the_value(parameters):
    rng = np.random.default_rng(0)
    e = np.where(rng.random(60) < 0.2, np.nan, rng.normal(0, 2, 60))
    objective = _objective(Cells(rng.normal(0, 1, 60), e, rng.integers(1, 4, 60).astype(float)))
    for _ in range(5):
        point = rng.normal(0, 0.5, parameters)
        numerical = approx_fprime(point, lambda p: objective(p)[0], 1e-7)
        np.testing.assert_allclose(objective(point)[1], numerical, rtol=1e-4, atol=1e-3)


def test_parameters_are_found():
    fit = fit_two(cells())
    assert fit.share == pytest.approx(0.2, abs=0.01)
    assert fit.high_mean == pytest.approx(2.3, abs=0.1)
    assert fit.high_scale == pytest.approx(0.3, abs=0.05)
    assert np.sinh(fit.high_error) == pytest.approx(-12, abs=1)
    assert fit.error_scale == pytest.approx(0.85, abs=0.15)  # of the t distribution closest to a normal one
    assert fit.loss_factor == pytest.approx(10, rel=0.2)
    assert fit.error_factor == pytest.approx(12 / fit.error_scale, rel=0.2)
    assert fit.certainty > 0.99


def test_counts_stand_for_configurations():
    once = cells(size=200)
    twice = Cells(*(np.concatenate((values, values)) for values in once))
    counted = once._replace(counts=np.full(200, 2.0))
    np.testing.assert_allclose(fit_two(twice), fit_two(counted), rtol=2e-2, atol=2e-2)


def test_evidence_certainty_and_a_factor_all_have_to_be_there():
    made = cells(energies=False)
    one, two = fit_one(made), fit_two(made)
    gain = 2 * (two.log_likelihood - one.log_likelihood) - 3 * np.log(500)
    assert choose(made, Guard(gain - 1)).share > 0
    assert choose(made, Guard(gain + 1)) == one
    assert choose(made, Guard(certainty=two.certainty + 0.001)) == one
    strict = Guard(nearer=1.0)
    assert choose(made, strict._replace(factor=two.loss_factor - 0.1)).share > 0
    assert choose(made, strict._replace(factor=1.2 * two.loss_factor)) == one
    with_energies = cells()
    enough = strict._replace(factor=1e99, error_factor=fit_two(with_energies).error_factor - 0.1)
    assert choose(with_energies, enough).share > 0
    assert choose(with_energies, enough._replace(error_factor=enough.error_factor + 0.2)).share == 0


def test_what_is_plain_for_each_configuration_may_be_a_little_nearer():
    made = cells(energies=False)
    one, two = fit_one(made), fit_two(made)
    gain_each = (2 * (two.log_likelihood - one.log_likelihood) - 3 * np.log(500)) / 500
    near = Guard(factor=two.loss_factor ** (1 / 0.85), gain_each=gain_each - 0.01)
    assert choose(made, near).share > 0
    assert choose(made, near._replace(gain_each=gain_each + 0.01)) == one
    assert choose(made, near._replace(factor=two.loss_factor ** (1 / 0.75))) == one
    assert not near.sees_two(two), "no gain, no relief"


def test_modes_that_are_close_are_no_wrong_labels():
    rng = np.random.default_rng(0)
    x = np.concatenate((rng.normal(0.59, 0.08, 130), rng.normal(0.95, 0.08, 110)))
    close = Cells(x, np.full(240, np.nan), np.ones(240))
    assert choose(close, Guard()).share == 0
    assert choose(close._replace(x=np.where(x > 0.77, x + 1, x)), Guard()).share > 0


def test_overlapping_populations_are_not_certain():
    assert fit_two(cells(gap=0.8, shift=-0.5)).certainty < 0.8


def test_the_majority_is_not_called_wrong_for_its_energies_alone():
    made = cells(share=0.6, gap=0.0)
    assert choose(made, Guard()).share < 0.5


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_the_shift_of_another_set_is_found_whatever_its_share_of_wrong_labels(share):
    fit = fit_two(cells(share=0.4))
    other = cells(share=share, size=60, seed=3)
    moved = other._replace(x=other.x - 1.3, e=other.e + 5.0)
    before, after = np.array(shift(other, fit)), np.array(shift(moved, fit))
    np.testing.assert_allclose(before, 0, atol=0.5)
    np.testing.assert_allclose(after - before, (-1.3, 5.0), atol=0.1)
    without = shift(moved._replace(e=np.full(60, np.nan)), fit)
    assert without[0] == pytest.approx(-1.3, abs=0.5)


def test_which_of_two_halves_is_wrong_is_not_decided():
    half = fit_two(cells(share=0.47))
    assert Guard().sees_two(half)
    assert not Guard().decides(half)
    assert Guard().relaxed().decides(half)  # no flicker
    assert not Guard().relaxed().decides(fit_two(cells(share=0.49)))
    assert Guard().decides(fit_two(cells(share=0.43)))


def test_wrong_labels_found_one_after_the_other_are_not_the_most_all_together():
    guard, fit = Guard().among_the_rest(0.3), fit_two(cells(share=0.2))
    assert guard.decides(fit._replace(share=0.21))
    assert 1 - (1 - 0.3) * (1 - guard.most) == pytest.approx(Guard().most)
    assert not guard.decides(fit._replace(share=0.22))
    assert not Guard().among_the_rest(0.6).decides(fit._replace(share=0.01))


def test_a_majority_whose_energies_don_t_agree_is_wrong_if_its_losses_are_far_larger():
    made = cells(share=0.6)
    signs = np.where(np.arange(500) % 2, 1, -1)
    scattered = fit_two(made._replace(e=np.where(np.arange(500) < 300, signs * made.e, made.e)))
    assert scattered.share == pytest.approx(0.6, abs=0.02)
    assert Guard().decides(scattered)
    assert not Guard().decides(fit_two(made))
    assert not Guard(factor=2 * scattered.loss_factor).decides(scattered)


def test_a_fit_takes_one_thread_and_gives_the_others_back(monkeypatch):
    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    seen, minimize = [], fit_module.minimize
    monkeypatch.setattr(fit_module, "minimize", lambda *a, **k: (seen.append(threads()), minimize(*a, **k))[1])
    with threadpool_limits(2, "blas"):
        fit_one(cells(size=100))
        assert threads() == {2}
    assert seen == [{1}]


# --- wrong labels of either sign --------------------------------------------------------------------------------------


def one_side_out(rng, right=200, low=100, high=100, spread=4.0):
    """Energy errors of right labels and of wrong ones to both sides, and a mask of the lower ones."""
    e = np.concatenate((rng.normal(-20, spread, right), rng.normal(40, spread, high), rng.normal(-83, spread, low)))
    return e, np.arange(len(e)) >= right + high


def test_the_other_side_is_found_where_it_is_a_group():
    e, wrong = one_side_out(np.random.default_rng(0))
    assert 190 <= both_sides(e, wrong).sum() <= 200
    e[5] = np.nan
    assert 190 <= both_sides(e, wrong).sum() <= 200


@pytest.mark.parametrize(
    "change",
    [
        {"high": 0},  # they agree with one another
        {"high": 30},  # some right labels that are hard
        {"high": 0, "spread": 30.0},  # a wide tail of the right ones
    ],
)
def test_there_is_no_other_side(change):
    e, wrong = one_side_out(np.random.default_rng(0), **change)
    assert both_sides(e, wrong) is None


def test_no_other_side_where_both_are_out_or_none():
    e, _ = one_side_out(np.random.default_rng(0))
    assert both_sides(e, np.abs(e + 20) > 40) is None
    assert both_sides(e, np.zeros(len(e), dtype=bool)) is None
    assert both_sides(np.full(5, np.nan), np.ones(5, dtype=bool)) is None
