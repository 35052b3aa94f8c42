"""What geometry explains, and how large what it doesn't is expected to be; slow, readable references beside it."""

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import norm, t

from mace_outlier.method import difficulty, readout
from mace_outlier.method.densest import densest
from mace_outlier.method.difficulty import Neighbours
from mace_outlier.method.readout import leave_one_out
from mace_outlier.method.tails import GRID, TAILS, ScaleMixture, Student


def problem(count=60, columns=8, seed=0):
    """A design (N, p), values (N,) that it explains but for noise, and expected sizes of that (N,)."""
    rng = np.random.default_rng(seed)
    design = np.column_stack((np.ones(count), rng.normal(size=(count, columns))))
    scale = np.exp(rng.normal(0, 0.5, count))
    return design, 7.0 + design[:, 1:] @ rng.normal(size=columns) + scale * rng.normal(0, 0.3, count), scale


@pytest.mark.parametrize("penalty", [0.03, 3.0, 30.0])
def test_leaving_one_out_is_a_refit_without_it(penalty, monkeypatch):
    """Without reweighting: the prediction, and how far it may be off, of as many ridge regressions as values."""
    monkeypatch.setattr(readout, "TAIL", 1e12)
    design, values, scale = problem()
    found = leave_one_out(design, values, scale, penalty)
    unit = np.mean(1 / scale**2)
    for i in range(len(values)):
        others = np.arange(len(values)) != i
        x, y = design[others] / scale[others, None], values[others] / scale[others]
        ridge = penalty * unit * np.diag([1e-6] + [1.0] * 8)
        inverse = np.linalg.inv(x.T @ x + ridge)
        predicted = design[i] @ inverse @ x.T @ y
        assert found.predicted[i] == pytest.approx(predicted, rel=1e-8)
        uncertainty = design[i] @ inverse @ design[i] / scale[i] ** 2  # of the prediction, by that of the value itself
        assert found.studentised[i] == pytest.approx((values[i] - predicted) / np.sqrt(1 + uncertainty), rel=1e-7)


def test_few_wrong_values_do_not_move_the_readout():
    design, values, scale = problem(200)
    clean = leave_one_out(design, values, scale)
    wrong = np.arange(200) % 7 == 0
    spoilt = leave_one_out(design, values + 30.0 * wrong, scale, clean.penalty)
    assert np.abs(spoilt.studentised - clean.studentised)[~wrong].max() < 2.0
    assert np.abs(spoilt.studentised[wrong]).min() > 25.0


def test_what_no_geometry_explains_is_penalised_most():
    rng = np.random.default_rng(1)
    design, _, scale = problem(60, 30)
    noise = leave_one_out(design, rng.normal(size=60), scale).penalty
    assert noise > leave_one_out(design, design[:, 1:] @ rng.normal(size=30), scale).penalty


def test_the_largest_penalty_leaves_the_model_as_it_is():
    """A model that knows all but the noise: no correction by features is better, and it has to be among the choices."""
    design, _, scale = problem(60, 30)
    values = np.random.default_rng(2).normal(size=60)
    found = leave_one_out(design, values, scale, max(readout.PENALTIES))
    assert found.studentised == pytest.approx(values - np.mean(values), abs=0.2)
    assert np.ptp(found.predicted) < 0.2


@pytest.mark.parametrize(("count", "most"), [(40, 2000), (3000, 2000), (500, 100)])
def test_neighbours_are_the_nearest_and_never_oneself(count, most, monkeypatch):
    monkeypatch.setattr(difficulty, "REFERENCES", most)
    monkeypatch.setattr(difficulty, "CHUNK", 128)
    place = np.random.default_rng(2).normal(size=(count, 3))
    found = Neighbours(place, 5)
    references = np.unique(found.of) if count > most else np.arange(count)
    assert len(references) <= most
    for i in range(0, count, 1 + count // 500):
        others = references[references != i]
        apart = np.linalg.norm(place[i] - place[others], axis=1)
        nearest = others[np.argsort(apart)[:5]]
        assert sorted(found.of[i]) == sorted(nearest)
        assert found.distance[i] == pytest.approx(np.sqrt(np.mean(np.square(np.sort(apart)[:5]))))


@pytest.mark.parametrize("place", [np.zeros((50, 3)), np.zeros((50, 0))], ids=["one place", "no features"])
def test_configurations_that_are_all_alike_have_others_for_neighbours(place):
    found = Neighbours(place, 5)
    assert found.of.shape == (50, 5)
    assert not (found.of == np.arange(50)[:, None]).any()
    assert not found.distance.any()


def test_a_few_wrong_labels_make_no_hard_region_and_a_hard_region_does():
    near, values = Neighbours(np.zeros((17, 1)), 16), np.zeros(17)
    values[1:5] = 9.0
    assert near.middle_mean(values)[0] == 0.0
    values[1:] = 2.0
    assert near.middle_mean(values)[0] == 2.0


def test_far_from_all_others_expectations_are_uncertain():
    place = np.random.default_rng(3).normal(size=(200, 2))
    place[7] = 100.0
    uncertainty = Neighbours(place, 5).uncertainty(3.0)
    assert uncertainty.argmax() == 7
    assert uncertainty[7] > 10
    assert np.median(uncertainty) < 1.1


@pytest.mark.parametrize("tail", TAILS)
def test_tails_are_densities_and_pulls_their_slopes(tail):
    y = np.sinh(np.linspace(-25, 25, 400_001))
    assert trapezoid(np.exp(tail.log(y**2)), y) == pytest.approx(1.0, abs=2e-3)
    x = np.linspace(0.5, 30.0, 50)
    step = 1e-4
    slope = (tail.log((x + step) ** 2) - tail.log((x - step) ** 2)) / (2 * step)
    np.testing.assert_allclose(tail.pull(x**2), -slope / x, rtol=0.1, atol=2e-3)
    assert (np.diff(tail.log(np.expm1(GRID))) < 0).all()


@pytest.mark.parametrize("nu", [2.5, 4.0, 40.0])
def test_student_is_that_of_scipy(nu):
    y = np.sqrt(np.expm1(GRID[::10]))
    np.testing.assert_allclose(Student(nu).log(y**2), t.logpdf(y, nu), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sd", [0.5, 0.8])
def test_scale_mixture_is_that_of_normal_distributions_of_all_widths(sd):
    y, log_width = np.linspace(0, 8, 30), np.linspace(-6, 6, 20_001) * sd
    density = norm.pdf(y[:, None], 0, np.exp(log_width)) * norm.pdf(log_width, 0, sd)
    np.testing.assert_allclose(np.exp(ScaleMixture(sd).log(y**2)), trapezoid(density, log_width, axis=1), rtol=0.02)


def test_where_values_are_densest():
    rng = np.random.default_rng(4)
    values = np.concatenate((rng.normal(3.0, 0.5, 6000), rng.normal(9.0, 0.5, 4000), [np.nan, 1e30]))
    zero, width = densest(values)
    assert zero == pytest.approx(3.0, abs=0.1)
    assert 0.4 < width < 2.0
    assert densest(np.full(3, np.nan)) == (0.0, 1.0)
    assert densest(np.full(9, 2.5)) == (2.5, pytest.approx(0.0, abs=1e-9))
