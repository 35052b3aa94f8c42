"""The loss distribution and the weight, against closed forms and a slow reference."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mace_outlier.weights.running import GaussianDistribution, soft_weight


class Reference:
    """The equations of the paper in plain NumPy, one head at a time, for one configuration after the other."""

    def __init__(self, heads, threshold, alpha, variance, warmup):
        self.threshold, self.alpha, self.variance, self.warmup = threshold, alpha, variance, warmup
        self.mu, self.sigma2, self.seen = [None] * heads, [None] * heads, [0] * heads

    def step(self, losses, heads, usable):
        for h in range(len(self.mu)):
            batch = [x for x, g, u in zip(losses, heads, usable, strict=True) if g == h and u]
            if not batch:
                continue
            self.seen[h] += len(batch)
            m = np.mean(batch)
            v = np.mean((np.array(batch) - m) ** 2)
            if self.mu[h] is None:
                self.mu[h], self.sigma2[h] = m, v
                continue
            between = self.alpha * (m - self.mu[h]) ** 2 if self.variance == "running" else 0.0
            self.mu[h] = self.alpha * self.mu[h] + (1 - self.alpha) * m
            self.sigma2[h] = self.alpha * self.sigma2[h] + (1 - self.alpha) * (v + between)
        return np.array([self.weight(x, h) for x, h in zip(losses, heads, strict=True)])

    def weight(self, loss, head):
        if self.seen[head] <= self.warmup:
            return 1.0
        return norm.cdf(self.threshold - (loss - self.mu[head]) / math.sqrt(self.sigma2[head]))


def random_batch(rng, heads=2):
    size = int(rng.integers(2, 12))
    return rng.lognormal(0, 1.5, size), rng.integers(0, heads, size), rng.random(size) > 0.15


@pytest.mark.parametrize("variance", ["running", "batch"])
@pytest.mark.parametrize("warmup", [0, 60])
def test_matches_the_reference_over_200_batches(variance, warmup):
    rng = np.random.default_rng(1)
    fast = GaussianDistribution(2, threshold=1.5, alpha=0.9, variance=variance, warmup=warmup)
    slow = Reference(2, 1.5, 0.9, variance, warmup)
    below_one = 0
    for _ in range(200):
        losses, heads, usable = random_batch(rng)
        fast.update(torch.tensor(losses), torch.tensor(heads), torch.tensor(usable))
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = slow.step(losses, heads, usable)
        weight = fast.weigh(torch.tensor(losses), torch.tensor(heads)).weight
        known = [slow.sigma2[h] not in (None, 0.0) for h in heads]
        np.testing.assert_allclose(weight.numpy()[known], expected[known], rtol=1e-10, atol=1e-13)
        below_one += int((weight < 0.9).sum())
    np.testing.assert_allclose(fast.mean.numpy(), slow.mu, rtol=1e-12)
    np.testing.assert_allclose(fast.variance.numpy(), slow.sigma2, rtol=1e-11)
    assert fast.seen.tolist() == slow.seen
    assert below_one > 100


def test_weight_of_published_values():
    z = torch.tensor([2.0, -30.0, 30.0, 1.0], dtype=torch.float64)
    expected = [0.5, 1.0, 0.0, norm.cdf(1.0)]
    np.testing.assert_allclose(soft_weight(z, 2.0).numpy(), expected, atol=1e-15)
    assert soft_weight(torch.tensor([math.inf, -math.inf]), math.inf).tolist() == [1.0, 1.0]


def feed(distribution, batch, head=0):
    losses = torch.tensor(batch, dtype=torch.float64)
    heads = torch.full((len(batch),), head)
    distribution.update(losses, heads, torch.ones(len(batch), dtype=torch.bool))
    return distribution.weigh(losses, heads)


def test_closed_forms_of_the_first_two_batches():
    distribution = GaussianDistribution(alpha=0.8)
    feed(distribution, [1.0, 3.0])
    assert (distribution.mean.item(), distribution.variance.item()) == (2.0, 1.0)
    feed(distribution, [4.0, 4.0])
    assert distribution.mean.item() == pytest.approx(0.8 * 2 + 0.2 * 4)
    assert distribution.variance.item() == pytest.approx(0.8 * 1 + 0.2 * (0 + 0.8 * 2**2))
    published = GaussianDistribution(alpha=0.8, variance="batch")
    feed(published, [1.0, 3.0])
    feed(published, [4.0, 4.0])
    assert published.variance.item() == pytest.approx(0.8 * 1)


def test_running_variance_is_that_of_the_exponentially_weighted_sample():
    rng = np.random.default_rng(2)
    distribution, alpha = GaussianDistribution(alpha=0.7), 0.7
    samples, weights = np.empty(0), np.empty(0)
    for step in range(30):
        batch = rng.lognormal(size=3)
        feed(distribution, batch.tolist())
        new = np.full(3, (1.0 if step == 0 else 1 - alpha) / 3)
        samples, weights = np.append(samples, batch), np.append(weights * alpha, new)
    mean = np.average(samples, weights=weights)
    assert distribution.mean.item() == pytest.approx(mean)
    assert distribution.variance.item() == pytest.approx(np.average((samples - mean) ** 2, weights=weights))


def test_mean_stays_within_the_losses_and_weights_within_0_and_1():
    rng = np.random.default_rng(3)
    distribution = GaussianDistribution()
    everything = []
    for _ in range(100):
        batch = (10 ** rng.uniform(-12, 12, 4)).tolist()
        everything += batch
        weight, zscore, _ = feed(distribution, batch)
        assert min(everything) <= distribution.mean.item() <= max(everything)
        assert distribution.variance.item() >= 0
        assert torch.isfinite(zscore).all()
        assert ((weight >= 0) & (weight <= 1)).all()


@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_finds_outliers_at_any_batch_size(batch_size):
    rng = np.random.default_rng(4)
    bad = rng.random(10_000) < 0.1
    losses = rng.lognormal(0, 0.5, bad.size) * np.where(bad, 20.0, 1.0)
    distribution = GaussianDistribution(warmup=100)
    weights = [
        feed(distribution, losses[i : i + batch_size].tolist()).weight.numpy() for i in range(0, bad.size, batch_size)
    ]
    weights, bad = np.concatenate(weights)[200:], bad[200:]
    assert roc_auc_score(bad, -weights) >= 0.99
    assert weights[~bad].mean() > 0.95
    assert weights[bad].mean() < 0.6


def test_published_variance_fails_for_one_configuration_a_batch():
    """The reason for variance="running": the published sigma is 0 here, so every loss above the mean is thrown out."""
    rng = np.random.default_rng(5)
    published, running = GaussianDistribution(variance="batch"), GaussianDistribution(warmup=10)
    clean = rng.lognormal(0, 0.5, 500)
    thrown_out = sum(feed(published, [loss]).weight.item() < 0.5 for loss in clean)
    kept = sum(feed(running, [loss]).weight.item() > 0.5 for loss in clean)
    assert published.variance.item() == pytest.approx(0, abs=1e-15)
    assert thrown_out > 200
    assert kept > 450


def test_heads_have_statistics_of_their_own():
    distribution = GaussianDistribution(num_heads=3)
    feed(distribution, [1.0, 2.0], head=0)
    feed(distribution, [1000.0, 2000.0], head=2)
    assert distribution.mean.tolist() == [1.5, 0.0, 1500.0]
    assert distribution.seen.tolist() == [2.0, 0.0, 2.0]
    alone = distribution.weigh(torch.tensor([5.0]), torch.tensor([1])).weight
    assert alone.item() == 1.0  # nothing known of head 1


def test_two_ranks_that_sum_equal_one_process():
    rng = np.random.default_rng(6)
    one, parts = GaussianDistribution(2), [GaussianDistribution(2), GaussianDistribution(2)]
    for _ in range(20):
        batches = [tuple(map(torch.tensor, random_batch(rng))) for _ in parts]
        one.update(*(torch.cat(columns) for columns in zip(*batches, strict=True)))
        total = sum(rank.sums(*batch) for rank, batch in zip(parts, batches, strict=True))
        for rank in parts:
            rank.absorb(total)
    for rank in parts:
        np.testing.assert_allclose(rank.mean, one.mean, rtol=1e-12)
        np.testing.assert_allclose(rank.variance, one.variance, rtol=1e-10)


def test_state_goes_round_and_is_checked_before_it_is_taken():
    old, new = GaussianDistribution(2), GaussianDistribution(2)
    feed(old, [1.0, 2.0, 4.0], head=1)
    new.load_state_dict(old.state_dict())
    assert feed(new, [2.0], head=1).zscore == feed(old, [2.0], head=1).zscore
    before = new.state_dict()
    with pytest.raises(ValueError, match=r"variance.*2 head"):
        new.load_state_dict({**before, "variance": torch.zeros(3)})
    with pytest.raises(ValueError, match="seen"):
        new.load_state_dict({k: v + 1 for k, v in before.items() if k != "seen"})
    assert all(torch.equal(new.state_dict()[k], before[k]) for k in before)


def test_statistics_keep_double_precision_under_a_float32_default():
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        distribution = GaussianDistribution(alpha=0.9)
        feed(distribution, [1.0])
        feed(distribution, [2.0])
        assert distribution.mean.item() == pytest.approx(1.1, abs=1e-14)
    finally:
        torch.set_default_dtype(previous)


def test_unknown_variance_is_refused():
    with pytest.raises(ValueError, match=r"running.*batch.*'total'"):
        GaussianDistribution(variance="total")
