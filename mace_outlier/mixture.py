"""Two populations of losses, of right and of wrong labels, told apart by what is remembered of every configuration.

A single normal distribution is widened by the outliers that it should expose. Two populations are fitted once an epoch
to the latest losses of all configurations (see `populations`). Where the data show one population only, as clean data
do, nothing is down-weighted but what no tail explains.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .populations import BACKGROUND, LEFT, RIGHT, ROOT_TWO_PI, Fit, Guard, choose, fit_one
from .weighting import GaussianDistribution, LossDistribution, Weighted, soft_weight

BINS = 400
FEWEST = 50  # configurations of a head that a fit needs
MEMORY = 100  # configurations over which the mean weight runs
PARAMETERS = ("share", "mode", "left", "right", "high_mean", "high_scale")
UNFITTED = (-1.0, 0.0, 1.0, 1.0, 0.0, 1.0)


class MixtureDistribution(LossDistribution):
    """Two populations of log losses x = log l for each head, or one; fitted at the end of an epoch.

        w = P(lower population | x) 1/2 (1 + erf((t - z) / sqrt 2)),      P = (1 - share) A h(x) / (p(x) + b)

    b: density of gross errors; see Fit for the rest. P is 1 below the mode, and constant above the mean of the upper
    population, so that w never rises with the loss; z is relative to the lower population. The second factor keeps
    gross errors from having a say even where the tail can't exclude them. Until the first fit, x is taken to be normal,
    tracked by a moving average.

    The fit is that of the epoch before. Should the model get worse since, all losses rise, and without weights it could
    not get better again: where the weights of the last hundred configurations are on average below half of what the fit
    leads one to expect, all but those of gross errors are 1 until they recover.

    Args:
        num_heads: H.
        threshold: t, in sigmas; `inf` never down-weights.
        alpha, variance, warmup, sum_over_ranks: until the first fit, see GaussianDistribution.
        guard: what two populations need, see `choose`.

    Source: the idea of Arazo et al., arXiv:1904.11238 (a beta mixture of losses) and DivideMix, arXiv:2002.07394.
    """

    def __init__(
        self,
        num_heads: int = 1,
        threshold: float = 8.0,
        alpha: float = 0.9,
        variance: str = "running",
        warmup: int = 0,
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
        guard: Guard = Guard(),  # noqa: B008 (immutable)
    ) -> None:
        self.first = GaussianDistribution(num_heads, threshold, alpha, variance, warmup, sum_over_ranks)
        self.threshold, self.guard = threshold, guard
        self.fits = torch.tensor(UNFITTED, dtype=torch.float64).unsqueeze(1).repeat(1, num_heads)  # (6, H)
        self.running = torch.ones(num_heads, dtype=torch.float64)  # (H,) mean weight of the last configurations
        self.all_fitted = False  # on the host: a step must not wait for the device
        # what was learnt from last is weighed next: losses, their logarithms, and what the fit says of them
        self._latest: tuple[Tensor, Tensor, Weighted] | None = None

    def update(self, losses: Tensor, heads: Tensor, usable: Tensor) -> None:
        """See the class; a batch teaches the running distribution, as long as it is needed, and the mean weight."""
        x = _log(losses)
        if not self.all_fitted:
            self.first.update(x, heads, usable)
        fitted = self._by_fit(x, heads)
        self._track(fitted.weight, heads, usable)
        self._latest = (losses, x, fitted)

    @torch.no_grad()
    def _track(self, weights: Tensor, heads: Tensor, usable: Tensor) -> None:
        """Take the weights of a batch into their running mean."""
        terms = torch.stack((usable, weights * usable)).to(self.running.dtype)  # (2, B)
        if len(self.running) == 1:
            sums = terms.sum(1, keepdim=True)
        else:
            sums = terms.new_zeros(2, len(self.running)).index_add_(1, heads, terms)
        count, total = self.first.sum_over_ranks(sums)
        self.running = (MEMORY * self.running + total) / (MEMORY + count)

    def refit(
        self,
        losses: Tensor,
        heads: Tensor,
        usable: Tensor,
        believable: Callable[[Tensor], bool] | None = None,
    ) -> None:
        """Fit each head to the latest losses of its configurations; waits for the device."""
        for head in range(self.fits.shape[1]):
            which = usable & (heads == head) & (losses > 0)
            x, counts = histogram(losses, which)
            if counts.sum() < FEWEST or len(x) < 3:
                continue
            fit = choose(x, counts, self.guard.relaxed() if self.fits[0, head] > 0 else self.guard)
            self._set(head, fit)
            if fit.share > 0 and believable is not None:
                outliers = which & (self._by_fit(_log(losses), heads).weight < 0.5)
                if not believable(outliers):
                    self._set(head, fit_one(x, counts))
        self.all_fitted = bool((self.fits[0] >= 0).all())
        self.running, self._latest = torch.ones_like(self.running), None

    def _set(self, head: int, fit: Fit) -> None:
        self.fits[:, head] = torch.tensor([getattr(fit, name) for name in PARAMETERS], dtype=self.fits.dtype)

    @torch.no_grad()
    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """See the class."""
        latest, self._latest = self._latest, None
        if latest is not None and latest[0] is losses:
            _, x, fitted = latest
        else:
            x = _log(losses)
            fitted = self._by_fit(x, heads)
        if self.threshold == torch.inf:
            return self.first.weigh(x, heads)
        lost = self.running < 0.5 * (1 - self.fits[0])  # (H,)
        lost = lost if len(lost) == 1 else lost[heads]
        weight = torch.where(lost, soft_weight(fitted.zscore, 4 * self.threshold), fitted.weight)
        fitted = Weighted(weight, fitted.zscore)
        if self.all_fitted:
            return fitted
        early, done = self.first.weigh(x, heads), self.fits[0, heads] >= 0
        return Weighted(*(torch.where(done, late, now) for late, now in zip(fitted, early, strict=True)))

    def _by_fit(self, x: Tensor, heads: Tensor) -> Weighted:
        fits = self.fits if self.fits.shape[1] == 1 else self.fits[:, heads]
        share, mode, left, right, high_mean, high_scale = fits
        zscore = (x - mode) / torch.where(x < mode, left, right)
        z = torch.where(share > 0, torch.minimum(x, high_mean), x).sub(mode).div(right).clamp_min(0.0)
        lower = (1 - share) * (1 + 0.2 * z.square()) ** -3 / (left * LEFT + right * RIGHT)
        apart = (torch.minimum(x, high_mean) - high_mean) / high_scale
        upper = share * torch.exp(-0.5 * apart.square()) / (high_scale * ROOT_TWO_PI)
        weight = torch.where(z > 0, lower / (lower + upper + BACKGROUND), 1.0)
        return Weighted(weight * soft_weight(zscore, self.threshold), zscore)

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "mixture" and parameters for each head, "lognormal" until its first fit; all of the log loss."""
        heads: list[dict[str, Any]] = []
        for early, values in zip(self.first.describe(), self.fits.T.tolist(), strict=True):
            fit = dict(zip(PARAMETERS, values, strict=True))
            if fit["share"] < 0:
                heads.append(early | {"kind": "lognormal"})
            else:
                common = {"location": fit["mode"], "scale": fit["right"], "threshold": self.threshold}
                heads.append({"kind": "mixture"} | common | fit)
        return heads

    def state_dict(self) -> dict[str, Any]:
        """Return the running distribution and the fits (6, H)."""
        return {"first": self.first.state_dict(), "fits": self.fits.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where it is of another distribution or number of heads."""
        if "fits" not in state or state["fits"].shape != self.fits.shape:
            raise ValueError(f"loss distribution: no mixture of {self.fits.shape[1]} head(s)")
        self.first.load_state_dict(state["first"])
        self.fits, self._latest = state["fits"].to(self.fits).clone(), None
        self.all_fitted = bool((self.fits[0] >= 0).all())

    def to(self, device: torch.device) -> "MixtureDistribution":
        """Move to `device`, in place."""
        self.first.to(device)
        for name in ("fits", "running"):
            setattr(self, name, getattr(self, name).to(device=device, dtype=self.first.mean.dtype))
        return self


def _log(losses: Tensor) -> Tensor:
    """Logarithm of losses, in double precision where there is one; that of 0 is very low, but finite."""
    kind = torch.float32 if losses.device.type == "mps" else torch.float64
    return losses.to(kind).clamp_min(1e-30).log()


def histogram(losses: Tensor, which: Tensor) -> tuple[Any, Any]:
    """Centres and counts of the occupied of BINS equal bins of the log of losses (N,), those in the mask `which` (N,).

    So that a fit costs the same for any number; masks instead of selections, and single precision, because N is large.
    """
    x = losses.float().clamp_min(1e-30).log()
    lowest, highest = x.masked_fill(~which, torch.inf).min().item(), x.masked_fill(~which, -torch.inf).max().item()
    if lowest > highest:
        return np.zeros(0), np.zeros(0)
    width = max(highest - lowest, 1e-6) / BINS
    places = x.sub_(lowest).div_(width).clamp_(0, BINS - 1).masked_fill_(~which, BINS).int()
    counts = torch.bincount(places, minlength=BINS + 1)[:BINS].double().cpu().numpy()
    centres = lowest + width * (np.arange(BINS) + 0.5)
    return centres[counts > 0], counts[counts > 0]
