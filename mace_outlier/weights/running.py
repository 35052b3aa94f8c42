"""The method: how the losses of configurations are distributed, and what weight follows. Torch only; knows no MACE.

Symbols: B configurations in a batch, H heads, l loss of a configuration (the unit of the host's loss), z in sigmas,
w in [0, 1] with 1 = trusted and 0 = outlier.
"""

import math
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..method.seen import Seen


def widest(device: torch.device) -> torch.dtype:
    """The most precise type of a device: float64, but float32 on Apple's MPS, which has no other."""
    return torch.float32 if device.type == "mps" else torch.float64


class Weighted(NamedTuple):
    """What a distribution says of a batch of configurations."""

    weight: Tensor  # (B,) in [0, 1]
    zscore: Tensor  # (B,) in sigmas
    by_property: dict[str, Tensor] | None = None  # (B,) each in [0, 1]; None: properties are not told apart


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


def bounded(weights: Tensor) -> Tensor:
    """Weights as a loss may have them: in [0, 1], and 1 in place of NaN; doesn't wait for the device."""
    return weights.nan_to_num(1.0).clamp(0.0, 1.0)


class Remembered(NamedTuple):
    """What is known of N configurations after their last visit."""

    losses: Tensor  # (N,)
    heads: Tensor  # (N,) integer
    usable: Tensor  # (N,) boolean: finite, and seen
    seen: Seen  # what else, on the host
    rows: Tensor | None = None  # (N,) of a validation set of `size` configurations; -1: not known which
    size: int = 0


class LossDistribution(ABC):
    """The distribution of the per-configuration losses, one for each head.

    Callers: `update` and `weigh` at every optimiser step, `refit` at the end of an epoch, from what is remembered of
    every training configuration, and `judge` for validation configurations, from which nothing is learnt.
    """

    @property
    def settled(self) -> bool:
        """Whether a training step takes the weights of the last `refit` instead of weighing its batch."""
        return False

    @property
    def some_are_wrong(self) -> bool:
        """Whether the data are known to hold wrong labels, of which not all may be found."""
        return False

    def update(self, losses: Tensor, heads: Tensor, usable: Tensor) -> None:
        """Learn from one batch: finite losses (B,), heads (B,) integer, usable (B,) boolean; others are ignored."""
        self.absorb(self.sums(losses, heads, usable))

    @abstractmethod
    def sums(self, losses: Tensor, heads: Tensor, usable: Tensor) -> Tensor:
        """What `absorb` needs to know of a batch; the sum over the processes of a distributed run is that of theirs."""

    @abstractmethod
    def absorb(self, sums: Tensor) -> None:
        """Learn from a batch by its `sums`."""

    @abstractmethod
    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """Weights and z-scores of losses (B,) under heads (B,), by what has been learnt so far."""

    def refit(self, seen: Remembered) -> Weighted | None:
        """Learn from all remembered configurations at the end of an epoch, and judge them; None: nothing to do so."""
        return None

    def judge(self, seen: Remembered) -> Weighted:
        """Weights and z-scores (N,) of other configurations, which one model has evaluated."""
        return self.weigh(seen.losses, seen.heads)

    def follow(self, before: "LossDistribution") -> None:  # noqa: B027 (optional on purpose)
        """Take over what holds in the next stage of a training as well, where losses have another scale."""

    @abstractmethod
    def describe(self) -> list[dict[str, Any]]:
        """What the report draws, for each head: "kind", "location", "scale" and what belongs to that kind; waits."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: tensors and builtins only."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError, with nothing changed, where it doesn't fit."""

    @abstractmethod
    def to(self, device: torch.device) -> "LossDistribution":
        """Move the state to `device`, in place."""


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
        self,
        num_heads: int = 1,
        threshold: float = 2.0,
        alpha: float = 0.9,
        variance: str = "running",
        warmup: int = 0,
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
        dtype = self.mean.dtype
        counted = usable.to(dtype)  # (B,)
        shifted = (losses.to(dtype) - self._of(self.mean, heads)) * counted
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
        """See the class. One call is one step of the moving average; a head absent from the batch keeps its state."""
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
        """See the class. sigma = 0 (one value seen so far) makes z 0, or infinite for any other value."""
        mean, deviation = self.location_and_scale()
        deviation = deviation.clamp_min(torch.finfo(mean.dtype).tiny)
        zscore = (losses.to(mean.dtype) - self._of(mean, heads)) / self._of(deviation, heads)
        warm = self._of(self.seen <= self.warmup, heads)
        return Weighted(soft_weight(zscore, self.threshold).masked_fill(warm, 1.0), zscore)

    def location_and_scale(self) -> tuple[Tensor, Tensor]:
        """Return mu (H,) and sigma (H,)."""
        return self.mean, self.variance.sqrt()

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "normal", location, scale and threshold for each head."""
        rows = torch.stack(self.location_and_scale()).T.tolist()
        return [{"kind": "normal", "location": mu, "scale": sigma, "threshold": self.threshold} for mu, sigma in rows]

    def state_dict(self) -> dict[str, Any]:
        """Return mean, variance and the number of configurations seen, each (H,)."""
        return {"mean": self.mean.clone(), "variance": self.variance.clone(), "seen": self.seen.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where a tensor is missing or belongs to another number of heads."""
        for name in ("mean", "variance", "seen"):
            if name not in state or state[name].shape != self.mean.shape:
                raise ValueError(f"loss distribution: '{name}' is missing or is not of {len(self.mean)} head(s)")
        for name in ("mean", "variance", "seen"):
            setattr(self, name, state[name].to(self.mean).clone())

    def to(self, device: torch.device) -> "GaussianDistribution":
        """Move to `device`, in its widest type."""
        dtype = widest(torch.device(device))
        for name in ("mean", "variance", "seen"):
            setattr(self, name, getattr(self, name).to(device=device, dtype=dtype))
        return self
