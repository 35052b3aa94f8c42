"""Two populations of losses: found where they are, not found where they aren't, and weighed as Bayes has it."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm, t

from mace_outlier.mixture import MixtureDistribution, histogram
from mace_outlier.populations import BACKGROUND, Fit, Guard, choose, fit_one, fit_two, lower_density

HEADS = torch.zeros(1, dtype=torch.long)


def losses(share, size=400, gap=2.3, seed=0, width=0.3):
    """Losses of right labels, log-normal with a longer tail above, a share of them raised by exp(gap); and which."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(size) < 0.5, -np.abs(rng.normal(0, 0.40, size)), np.abs(rng.standard_t(5, size)) * 0.44)
    bad = np.zeros(size, dtype=bool)
    bad[: round(share * size)] = True
    x[bad] = gap + rng.normal(0, width, bad.sum())
    return torch.tensor(np.exp(x - 1.5)), torch.tensor(bad)


def fitted(values, **options):
    distribution = MixtureDistribution(**options)
    heads = HEADS.expand(len(values))
    distribution.refit(values, heads, torch.ones(len(values), dtype=torch.bool))
    return distribution, distribution.weigh(values, heads)


def test_the_lower_density_is_a_density():
    def density(x):
        return float(lower_density(np.array([x]), np.array([0.3]), np.array([0.4]), np.array([0.7]))[0])

    assert quad(density, -20, 0.3)[0] + quad(density, 0.3, 200)[0] == pytest.approx(1, abs=1e-6)
    assert density(0.3 - 1e-9) == pytest.approx(density(0.3 + 1e-9))
    assert density(0.3 + 0.7) / density(0.3) == pytest.approx(t.pdf(1, 5) / t.pdf(0, 5))
    assert density(0.3 - 0.4) / density(0.3) == pytest.approx(norm.pdf(1) / norm.pdf(0))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.3, 0.43])
def test_the_share_is_found_and_the_weights_tell_right_from_wrong(share, seed):
    values, bad = losses(share, seed=seed)
    distribution, (weight, _) = fitted(values)
    assert distribution.fits[0, 0].item() == pytest.approx(share, abs=0.02)
    suspects = weight < 0.5
    assert suspects[bad].double().mean() >= 0.95
    assert suspects[~bad].double().mean() <= 0.03  # those of the right tail
    assert weight[~bad].mean() > 0.98


@pytest.mark.parametrize("seed", range(8))
def test_one_population_keeps_its_weights(seed):
    values, _ = losses(0.0, seed=seed)
    distribution, (weight, _) = fitted(values)
    assert distribution.fits[0, 0] == 0
    assert weight.mean() > 0.99


def test_a_gross_error_alone_is_caught_and_does_not_hide_the_others():
    values, _ = losses(0.0)
    values[3] = 1e14
    distribution, (weight, _) = fitted(values)
    assert distribution.fits[0, 0] == 0
    assert weight[3] < 1e-3
    assert weight.sum() > 0.99 * 399
    values, bad = losses(0.15)
    values[-1] = 1e14
    _, (weight, _) = fitted(values)
    assert weight[-1] < 0.05
    assert weight[bad].mean() < 0.1


def test_the_weight_is_the_posterior_and_never_rises_with_the_loss():
    values, _ = losses(0.3)
    distribution, _ = fitted(values)
    share, mode, left, right, high, scale = distribution.fits[:, 0].tolist()
    x = np.linspace(mode - 3, high + 8, 400)
    weight, zscore = distribution.weigh(torch.tensor(np.exp(x)), HEADS.expand(400))
    assert (weight.diff() <= 1e-12).all()
    assert (zscore.diff() > 0).all()
    assert weight[x <= mode].min() > 1 - 1e-12
    for i in np.flatnonzero((x > mode) & (x < high))[::20]:
        lower = (1 - share) * lower_density(x[[i]], *(np.array([v]) for v in (mode, left, right)))[0]
        upper = share * norm.pdf(x[i], high, scale)
        expected = lower / (lower + upper + BACKGROUND) * norm.cdf(8 - (x[i] - mode) / right)
        assert weight[i].item() == pytest.approx(expected, rel=1e-9)
    assert (weight**2 * torch.tensor(np.exp(x)))[-100:].max() < 1e-2  # no say for gross errors, however large


def test_the_histogram_counts_what_is_asked_for():
    values = torch.tensor([1.0, 0.0, 2.0, 2.0, 1e9, 4.0], dtype=torch.float64)
    x, counts = histogram(values, torch.tensor([True, False, True, True, False, True]))
    assert counts.tolist() == [1, 2, 1]
    np.testing.assert_allclose(x, np.log([1, 2, 4]), atol=np.log(4) / 400)


def test_fits_are_deterministic_and_do_not_care_for_the_order():
    values, _ = losses(0.3)
    first = fitted(values)[0].fits
    assert torch.equal(first, fitted(values)[0].fits)
    torch.testing.assert_close(first, fitted(values.flip(0))[0].fits)


def test_the_evidence_and_the_distance_both_have_to_be_there():
    values, _ = losses(0.3)
    x, counts = histogram(values, values > 0)
    one, two = fit_one(x, counts), fit_two(x, counts)
    gain = 2 * (two.log_likelihood - one.log_likelihood) - 3 * np.log(400)
    assert choose(x, counts, Guard(gain - 1, 2.5)).share > 0
    assert choose(x, counts, Guard(gain + 1, 2.5)) == one
    assert choose(x, counts, Guard(10, two.distance + 0.1)) == one
    assert Fit(0.0, 1.0, 0.3, 0.4, 0.2, 2.0, 0.3).distance == pytest.approx(1 / np.sqrt(0.125))


def test_two_populations_that_were_found_are_kept_near_the_limit():
    values, _ = losses(0.3)
    x, counts = histogram(values, values > 0)
    distance = fit_two(x, counts).distance
    before = MixtureDistribution(guard=Guard(10.0, distance + 0.5))
    heads, usable = HEADS.expand(400), torch.ones(400, dtype=torch.bool)
    before.refit(values, heads, usable)
    assert before.fits[0, 0] == 0
    before.refit(losses(0.3, gap=5.0)[0], heads, usable)
    assert before.fits[0, 0] > 0
    before.refit(values, heads, usable)
    assert before.fits[0, 0] > 0
    before.refit(losses(0.0)[0], heads, usable)
    assert before.fits[0, 0] == 0


def test_heads_are_fitted_apart_and_small_ones_stay_as_they_were():
    right, bad = losses(0.3)
    values = torch.cat((right, 1000 * losses(0.0, seed=3)[0], torch.ones(20, dtype=torch.float64)))
    heads = torch.tensor([0] * 400 + [1] * 400 + [2] * 20)
    distribution = MixtureDistribution(num_heads=3)
    distribution.update(values, heads, torch.ones(820, dtype=torch.bool))
    distribution.refit(values, heads, torch.ones(820, dtype=torch.bool))
    assert distribution.fits[0].tolist() == [pytest.approx(0.3, abs=0.02), 0, -1]
    assert [own["kind"] for own in distribution.describe()] == ["mixture", "mixture", "lognormal"]
    weight, _ = distribution.weigh(values, heads)
    assert weight[:400][bad].mean() < 0.05
    assert weight[400:].mean() > 0.99


def test_until_the_first_fit_only_gross_errors_are_caught():
    values, _ = losses(0.15)
    distribution = MixtureDistribution(warmup=0)
    heads, usable = HEADS.expand(400), torch.ones(400, dtype=torch.bool)
    for _ in range(50):
        distribution.update(values, heads, usable)
    assert distribution.weigh(values, heads).weight.min() > 0.9
    assert distribution.weigh(torch.tensor([1e14]), HEADS).weight < 1e-6
    assert distribution.weigh(torch.zeros(1), HEADS).weight == 1


def test_an_infinite_threshold_never_weighs():
    values, _ = losses(0.3)
    assert fitted(values, threshold=float("inf"))[1].weight.eq(1).all()


def test_state_goes_round():
    values, _ = losses(0.3)
    distribution, (weight, _) = fitted(values)
    other = MixtureDistribution()
    other.load_state_dict(distribution.state_dict())
    assert torch.equal(other.weigh(values, HEADS.expand(400)).weight, weight)
    with pytest.raises(ValueError, match="no mixture of 2 head"):
        MixtureDistribution(num_heads=2).load_state_dict(distribution.state_dict())
    with pytest.raises(ValueError, match="no mixture of 1 head"):
        other.load_state_dict({"mean": torch.zeros(1)})


def test_nothing_usable_is_no_fault():
    distribution, _ = fitted(torch.zeros(100, dtype=torch.float64))
    assert distribution.fits[0, 0] == -1
    assert fitted(torch.full((100,), 2.0))[0].fits[0, 0] in (-1, 0)


def test_modes_that_are_close_are_no_wrong_labels():
    """Losses that fall during an epoch: two narrow modes, less than a factor of two apart."""
    rng = np.random.default_rng(0)
    x = np.concatenate((rng.normal(0.59, 0.08, 130), rng.normal(0.95, 0.08, 110)))
    assert fitted(torch.tensor(np.exp(x)))[0].fits[0, 0] == 0
    x[130:] += 1
    assert fitted(torch.tensor(np.exp(x)))[0].fits[0, 0] > 0


def test_a_model_that_gets_worse_is_not_left_without_data():
    values, bad = losses(0.3)
    distribution, _ = fitted(values)
    heads, usable = HEADS.expand(10), torch.ones(10, dtype=torch.bool)
    worse = 20 * values[~bad]
    worse[3] = 1e14
    for batch in worse[:200].split(10):
        distribution.update(batch, heads, usable)
    weight = distribution.weigh(worse, HEADS.expand(len(worse))).weight
    assert weight[3] < 1e-6
    assert weight.sum() > 0.99 * (len(worse) - 1)
    for batch in values[torch.randperm(400, generator=torch.Generator().manual_seed(0))].split(10):
        distribution.update(batch, heads, usable)
    assert distribution.weigh(values, HEADS.expand(400)).weight[bad].mean() < 0.1
