"""The published scheme: losses of a head are normal, followed from batch to batch. Torch only; knows no host."""

import math
from typing import Any

import torch
from torch import Tensor

from .distribution import LossDistribution, Weighted, widest

STATE = ("mean", "variance", "seen")


def soft_weight(zscore: Tensor, threshold: float) -> Tensor:
    """Weight of a configuration whose loss lies z standard deviations above the mean.

    w = 1/2 (1 + erf((t - z) / sqrt 2)), i.e. the probability that a unit normal variable lies below t - z.

    Args:
        zscore: z, any shape, in sigmas.
        threshold: t, in sigmas; `inf` gives 1 for every finite or infinite z.

    Source: arXiv:2602.08849.
    """
    if threshold == math.inf:
        return torch.ones_like(zscore)
    return torch.special.ndtr(threshold - zscore)  # the same function, in one kernel


class GaussianDistribution(LossDistribution):
    """One normal distribution for each head, tracked by an exponential moving average over batches.

        m = mean_i l_i              v = mean_i (l_i - m)^2                            (the head's share of the batch)
        mu     <- alpha mu     + (1 - alpha) m
        sigma2 <- alpha sigma2 + (1 - alpha) v                                        variance="batch", as published
        sigma2 <- alpha sigma2 + (1 - alpha) (v + alpha (m - mu_before)^2)            variance="running"
        z_i = (l_i - mu) / sigma,   w_i = 1/2 (1 + erf((t - z_i) / sqrt 2))

    The first batch sets mu = m and sigma2 = v. Differences from the paper: `variance="running"` adds the spread between
    batches, so that sigma2 is the exact variance of the exponentially weighted sample about its running mean, for any
    batch size (the published v is 0 for a batch of one configuration); statistics are kept for each head; the first
    `warmup` configurations of a head have weight 1. `variance="batch", warmup=0` with one head is the paper's scheme.

    Args:
        num_heads: H.
        threshold: t, in sigmas; `inf` never down-weights.
        alpha: weight of the previous statistics at a step, in [0, 1).
        variance: "running" or "batch".
        warmup: configurations of a head that are seen before its first weight below 1.

    Source: arXiv:2602.08849; exact exponentially weighted variance: law of total variance for the mixture
    alpha * (past) + (1 - alpha) * (batch).
    """

    def __init__(
        self, num_heads: int = 1, threshold: float = 2.0, alpha: float = 0.9, variance: str = "running", warmup: int = 0
    ) -> None:
        if variance not in ("running", "batch"):
            raise ValueError(f"variance must be 'running' or 'batch', got {variance!r}")
        self.threshold, self.alpha, self.variance_kind, self.warmup = threshold, alpha, variance, warmup
        self.mean = torch.zeros(num_heads, dtype=torch.float64)  # (H,)
        self.variance = torch.zeros(num_heads, dtype=torch.float64)  # (H,)
        self.seen = torch.zeros(num_heads, dtype=torch.float64)  # (H,) configurations; float64 is exact to 2^53

    @torch.no_grad()
    def sums(self, losses: Tensor, heads: Tensor, usable: Tensor) -> Tensor:
        """For each head, configurations, and first and second moments about the running mean, (3, H)."""
        counted = usable.to(self.mean.dtype)  # (B,)
        shifted = (losses.to(self.mean.dtype) - self._of(self.mean, heads)) * counted
        terms = torch.stack((counted, shifted, shifted.square()))  # (3, B)
        if len(self.mean) == 1:
            return terms.sum(1, keepdim=True)
        return terms.new_zeros(3, len(self.mean)).index_add_(1, heads, terms)

    @staticmethod
    def _of(values: Tensor, heads: Tensor) -> Tensor:
        """What each configuration's head has, (B,); one head, the common case, needs no look-up."""
        return values if len(values) == 1 else values[heads]

    @torch.no_grad()
    def absorb(self, sums: Tensor) -> None:
        """Take one step of the moving average, by the sums of a batch; a head absent from it keeps its state."""
        count, first, second = sums.unbind()
        at_least_one = count.clamp_min(1.0)
        shift, second = first / at_least_one, second / at_least_one  # shift = m - mu_before
        new = 1.0 - self.alpha * self.seen.sign()  # the first batch sets the statistics,
        new = new * count.sign()  # an absent head keeps them
        step = new * shift
        # about the running mean: second - new shift^2 = v + alpha shift^2; within the batch: second - shift^2 = v
        spread = torch.addcmul(second, step if self.variance_kind == "running" else shift, shift, value=-1.0)
        self.mean = self.mean + step
        self.variance = torch.lerp(self.variance, spread.clamp_min(0.0), new)
        self.seen = self.seen + count

    @torch.no_grad()
    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """Weights and z-scores (B,). sigma = 0 (one value seen so far) makes z 0, or infinite for any other value."""
        deviation = self.variance.sqrt().clamp_min(torch.finfo(self.mean.dtype).tiny)
        zscore = (losses.to(self.mean.dtype) - self._of(self.mean, heads)) / self._of(deviation, heads)
        warm = self._of(self.seen <= self.warmup, heads)
        return Weighted(soft_weight(zscore, self.threshold).masked_fill(warm, 1.0), zscore)

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "normal", location, scale and threshold for each head."""
        rows = torch.stack((self.mean, self.variance.sqrt())).T.tolist()
        return [{"kind": "normal", "location": mu, "scale": sigma, "threshold": self.threshold} for mu, sigma in rows]

    def state_dict(self) -> dict[str, Any]:
        """Return mean, variance and the number of configurations seen, each (H,)."""
        return {name: getattr(self, name).clone() for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where a tensor is missing or belongs to another number of heads."""
        for name in STATE:
            if name not in state or state[name].shape != self.mean.shape:
                raise ValueError(f"loss distribution: '{name}' is missing or is not of {len(self.mean)} head(s)")
        for name in STATE:
            setattr(self, name, state[name].to(self.mean).clone())

    def to(self, device: torch.device) -> "GaussianDistribution":
        """Move to `device`, in its widest type."""
        for name in STATE:
            setattr(self, name, getattr(self, name).to(device=device, dtype=widest(torch.device(device))))
        return self
