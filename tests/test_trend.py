"""Configurations with larger forces are harder, which is no wrong label."""

import numpy as np
import pytest
import torch

from mace_outlier.mixture import MixtureDistribution
from mace_outlier.populations import Groups, Trend, log_predicted_forces, measure_trend
from mace_outlier.provenance import force_size
from mace_outlier.weighting import Remembered

SLOPES = {"level": 0.9, "error": 0.5, "spread": 0.7}


def made_up(size=3000, wrong=0.0, seed=0, slopes=SLOPES):
    """Log forces of relaxed and of hot geometries, and log losses and energy errors that follow them."""
    rng = np.random.default_rng(seed)
    hot = rng.random(size) < 0.3
    forces = np.where(hot, 0.1, -0.7) + rng.normal(0, 0.2, size)
    e = rng.normal(0, 1, size) * np.exp(slopes["spread"] * forces) + slopes["error"] * forces
    x = rng.normal(0, 0.4, size) + slopes["level"] * forces
    bad = rng.random(size) < wrong
    return forces, x + 2.5 * bad, e - 8 * bad, bad


def test_slopes_are_found_though_labels_are_wrong():
    for wrong in (0.0, 0.4):
        trend = measure_trend(*made_up(wrong=wrong)[:3])
        for name, slope in SLOPES.items():
            assert getattr(trend, name) == pytest.approx(slope, abs=0.2), name


def test_wrong_labels_of_some_forces_only_are_not_taken_for_a_trend():
    forces, x, e, _ = made_up(slopes=dict.fromkeys(SLOPES, 0.0))
    largest = forces > np.quantile(forces, 0.85)
    moved = measure_trend(forces, x + 3 * largest, e - 10 * largest)
    by = x + 3 * largest - moved.removed(forces, x + 3 * largest, e)[0]
    assert np.ptp(by) < 0.5


def test_no_trend_where_the_data_show_none():
    found = [measure_trend(*made_up(seed=seed, slopes=dict.fromkeys(SLOPES, 0.0))[:3]) for seed in range(20)]
    for name in SLOPES:
        assert sum(getattr(trend, name) != 0 for trend in found) <= 5, name
    forces, x, e, _ = made_up(size=100)
    assert measure_trend(forces, x, e) == Trend()
    assert measure_trend(np.full(3000, np.nan), *made_up()[1:3]) == Trend()
    assert measure_trend(np.zeros(3000), *made_up()[1:3])[3:] == (0, 0, 0)


def test_what_is_removed():
    trend = Trend(middle=0.0, lowest=-1.0, highest=0.5, level=2.0, error=3.0, spread=np.log(2))
    x, e = trend.removed(np.array([-1.0, 0.5, 7.0, np.nan]), np.ones(4), np.full(4, 5.0))
    assert x.tolist() == [3.0, 0.0, 0.0, 1.0]  # 7 counts as 0.5
    assert e == pytest.approx([16.0, 3.5 / 2**0.5, 3.5 / 2**0.5, 5.0])
    assert Trend().removed(np.ones(1), np.ones(1), np.ones(1)) == (1.0, 1.0)


def test_forces_of_predictions_from_labels_and_residuals():
    """Wrong labels: right forces and an error that knows nothing of them."""
    rng = np.random.default_rng(0)
    right, wrong = rng.normal(0, 0.8, (500, 3)), rng.normal(0, 1.0, (500, 3))
    label, residual = force_size(right + wrong), force_size(wrong)
    assert log_predicted_forces(np.array([label]), np.array([residual])) == pytest.approx(
        np.log(force_size(right)), abs=0.1
    )
    unknown = log_predicted_forces(np.array([0.0, 1.0, 1.0]), np.array([1.0, np.nan, 2.0]))
    assert np.isnan(unknown).tolist() == [True, True, False]
    assert unknown[2] == pytest.approx(np.log(0.3))
    assert force_size(np.full((2, 3), np.inf)) == force_size(None) == force_size(np.zeros((0, 3))) == 0.0


def remembered(forces, x, e, known):
    """As of a molecule; labels and residuals (hardly any) that make these forces."""
    size = len(x)
    pairs = torch.tensor(np.column_stack((np.exp(forces), np.full(size, 1e-6))))
    return Remembered(
        torch.tensor(np.exp(x)),
        torch.tensor(0.004 * e),
        torch.zeros(size, dtype=torch.long),
        torch.ones(size, dtype=torch.bool),
        torch.zeros(size),
        np.ones((size, 2), dtype=np.int64),
        pairs if known else None,
    )


def conformations(wrong, seed=0):
    """Of SPICE's kind: some are hot, four times as hard, and the energies of these are too low."""
    return made_up(wrong=wrong, seed=seed, slopes={"level": 1.9, "error": 2.5, "spread": 0.6})


def test_hot_geometries_are_not_wrong_labels():
    forces, x, e, _ = conformations(0.0)
    fits = []
    for known in (False, True):
        distribution = MixtureDistribution()
        distribution.refit(remembered(forces, x, e, known))
        fits.append(distribution.fits[0])
    assert fits[0].share > 0.2  # this is what they would be taken for
    assert fits[1].share == 0


def test_wrong_labels_are_found_among_hot_geometries_and_in_another_set():
    forces, x, e, bad = conformations(0.15)
    distribution = MixtureDistribution()
    weight = distribution.refit(remembered(forces, x, e, True)).weight.numpy()
    assert distribution.fits[0].share == pytest.approx(0.15, abs=0.02)
    assert ((weight < 0.5) == bad).mean() > 0.98
    forces, x, e, bad = conformations(0.15, seed=1)
    judged = distribution.judge(remembered(forces[:300], x[:300], e[:300], True)).weight.numpy()
    assert ((judged < 0.5) == bad[:300]).mean() > 0.98


def test_a_trend_is_kept_in_a_checkpoint():
    distribution, other = MixtureDistribution(), MixtureDistribution()
    distribution.refit(remembered(*conformations(0.15)[:3], True))
    other.load_state_dict(distribution.state_dict())
    assert other.heads[0].fits[0].groups.trend == distribution.heads[0].fits[0].groups.trend != Trend()
    older = distribution.heads[0].fits[0].groups.to_dict()
    del older["trend"]
    assert Groups.from_dict(older).trend == Trend()
