"""Two populations of configurations, of right and of wrong labels, told apart by what is remembered of every one.

A single normal distribution is widened by the outliers that it should expose. Two populations are fitted once an epoch
to the latest losses and energy errors of all configurations, each relative to those of its like (see `populations`).
Where the data show one population only, nothing is down-weighted but what no tail explains.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .compared import rows_of
from .head_populations import FEWEST, HeadPopulations
from .populations import Fit, Guard
from .weighting import GaussianDistribution, LossDistribution, Remembered, Weighted, widest

FIRST_THRESHOLD = 8.0  # until the first fit, in sigmas: the outliers themselves widen what they are measured by


class MixtureDistribution(LossDistribution):
    """Two populations for each head, or one, or more (see HeadPopulations); fitted at the end of an epoch.

        w = (1 - share) A h T / ((1 - share) A h T + share N W + b)  *  1/2 (1 + erf((t - z) / sqrt 2))

    See Fit for A h(x) T(e) and N(x) W(e). x: log loss, e: energy error for each atom, both relative to configurations
    of the same molecule at the same time, with forces of the same size (see Trend); b: density of gross errors; z: x in
    scales of the lower population. Losses below the mode count as the mode, and those above the mean of the upper
    population as that, so that w never rises with the loss. The second factor keeps gross errors from having a say even
    where the tail can't exclude them.

    The weights hold for the epoch that follows. Until the first fit, at the end of the first epoch, log losses are
    taken for normal, tracked by a moving average, and weigh each batch (t at most 8). Two populations are not believed
    where the wrong ones were visited one after the other, or are others than in the epoch before: it is the model that
    is wrong then, not the labels.

    Args:
        num_heads: H.
        threshold: t, in sigmas; `inf` never down-weights.
        alpha, variance, warmup: until the first fit, see GaussianDistribution.
        guard: what two populations need, see `choose`.

    Source: the idea of Arazo et al., arXiv:1904.11238 (a beta mixture of losses) and DivideMix, arXiv:2002.07394.
    """

    def __init__(
        self,
        num_heads: int = 1,
        threshold: float = 20.0,
        alpha: float = 0.9,
        variance: str = "running",
        warmup: int = 0,
        guard: Guard = Guard(),  # noqa: B008 (immutable)
    ) -> None:
        first = threshold if threshold == torch.inf else min(threshold, FIRST_THRESHOLD)
        self.first = GaussianDistribution(num_heads, first, alpha, variance, warmup)
        self.threshold = threshold
        self.heads = [HeadPopulations(threshold, guard) for _ in range(num_heads)]
        self.wrong: Tensor | None = None  # (N,) by which fit of the last epoch, from 1; believed or not

    @property
    def fits(self) -> list[Fit | None]:
        """The first fit of each head, None until there is one."""
        return [head.fit for head in self.heads]

    @property
    def settled(self) -> bool:
        """See LossDistribution."""
        return any(fit is not None for fit in self.fits)

    @property
    def some_are_wrong(self) -> bool:
        """See LossDistribution: a head has two populations."""
        return any(head.are_two for head in self.heads)

    def sums(self, losses: Tensor, heads: Tensor, usable: Tensor) -> Tensor:
        """See the class."""
        return self.first.sums(_log(losses), heads, usable)

    def absorb(self, sums: Tensor) -> None:
        """See the class."""
        self.first.absorb(sums)

    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """See the class."""
        return self.first.weigh(_log(losses), heads)

    def refit(self, seen: Remembered, believable: Callable[[Tensor], bool] | None = None) -> Weighted | None:
        """See the class; waits for the device."""
        if self.settled:
            self._follow_heads_without_fit(seen)
        result, before = self.weigh(seen.losses, seen.heads), self._wrong_before(seen)
        self.wrong = torch.zeros_like(seen.usable, dtype=torch.uint8)
        for number, head in enumerate(self.heads):
            rows = rows_of(number, seen)
            if len(rows) < FEWEST:
                continue

            def can_be_wrong(own: Tensor, rows: Tensor = rows) -> bool:
                return believable is None or believable(torch.zeros_like(seen.usable).index_put((rows,), own))

            then = None if before is None else before[rows].cpu().numpy()
            judged, self.wrong[rows] = head.refit(seen.part(rows), then, can_be_wrong)
            result.weight[rows], result.zscore[rows] = judged
        return self._unless_infinite(result) if self.settled else None

    def _follow_heads_without_fit(self, seen: Remembered) -> None:
        """Let the running distribution of heads that are too small for a fit learn from this epoch."""
        fitted = torch.tensor([fit is not None for fit in self.fits], device=seen.heads.device)
        self.first.update(_log(seen.losses), seen.heads, seen.usable & (seen.losses > 0) & ~fitted[seen.heads])

    def _wrong_before(self, seen: Remembered) -> Tensor | None:
        """What looked wrong one epoch earlier, if that was of the same configurations."""
        same = self.wrong is not None and self.wrong.shape == seen.usable.shape
        return self.wrong.to(seen.usable.device) if self.wrong is not None and same else None

    def judge(self, seen: Remembered) -> Weighted:
        """See the class."""
        result = self.weigh(seen.losses, seen.heads)
        for number, head in enumerate(self.heads):
            rows = rows_of(number, seen)
            if head.fit is not None and len(rows):
                result.weight[rows], result.zscore[rows] = head.judge(seen.part(rows))
        return self._unless_infinite(result)

    def _unless_infinite(self, result: Weighted) -> Weighted:
        return Weighted(torch.ones_like(result.weight), result.zscore) if self.threshold == torch.inf else result

    def follow(self, before: LossDistribution) -> None:
        """See the class: which labels look wrong does not depend on the stage."""
        self.wrong = before.wrong if isinstance(before, MixtureDistribution) else None

    def stands_out(self) -> list[tuple[bool, bool]]:
        """See the class: by how far the populations are apart."""
        return [head.stand_out() for head in self.heads]

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "mixture" and parameters for each head, "lognormal" until its first fit; all of the log loss.

        Energy errors are in eV/atom, for a molecule of typical spread.
        """
        return [
            head.describe() | {"threshold": self.threshold} if head.fit else early | {"kind": "lognormal"}
            for early, head in zip(self.first.describe(), self.heads, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return the running distribution, the fits and the measures of the groups."""
        wrong = None if self.wrong is None else self.wrong.clone()
        return {"first": self.first.state_dict(), "heads": [head.state_dict() for head in self.heads], "wrong": wrong}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where it is of another distribution or number of heads."""
        if len(state.get("heads", ())) != len(self.heads):
            raise ValueError(f"loss distribution: no mixture of {len(self.heads)} head(s)")
        self.first.load_state_dict(state["first"])
        for head, fits in zip(self.heads, state["heads"], strict=True):
            head.load_state_dict(fits)
        self.wrong = state["wrong"]

    def to(self, device: torch.device) -> "MixtureDistribution":
        """Move to `device`, in place."""
        self.first.to(device)
        return self


def _log(losses: Tensor) -> Tensor:
    """Logarithm of losses, in double precision where there is one; that of 0 is very low, but finite."""
    return losses.to(widest(losses.device)).clamp_min(1e-30).log()
