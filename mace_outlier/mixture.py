"""Two populations of configurations, of right and of wrong labels, told apart by what is remembered of every one.

A single normal distribution is widened by the outliers that it should expose. Two populations are fitted once an epoch
to the latest losses and energy errors of all configurations, each relative to those of its like (see `populations`).
Where the data show one population only, as clean data do, nothing is down-weighted but what no tail explains.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compared import compared, fit_without, relative_to, rows_of
from .described import describe_fit
from .populations import (
    Fit,
    Groups,
    Guard,
    agreement,
    both_sides,
    bunched,
    cells_of,
    choose,
    correct_majorities,
    fit_one,
    shift,
    start_from,
)
from .posterior import weigh_by_fit
from .weighting import GaussianDistribution, LossDistribution, Remembered, Weighted, widest

FIRST_THRESHOLD = 8.0  # until the first fit, in sigmas: the outliers themselves widen what they are measured by
FEWEST = 50  # configurations of a head that a fit needs
AGREEMENT = 0.5  # of what looks wrong with what did so one epoch before, see `agreement`
FEWEST_TO_SHIFT = 10  # configurations of a validation set that say how it lies as a whole
ENERGIES_ALIKE, LOSSES_ALIKE = 1.7, 1.5  # factors between the populations, below which they don't differ in that


class MixtureDistribution(LossDistribution):
    """Two populations for each head, or one; fitted at the end of an epoch.

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
        self.threshold, self.guard = threshold, guard
        self.fits: list[Fit | None] = [None] * num_heads
        self.groups: list[Groups | None] = [None] * num_heads
        self.wrong: Tensor | None = None  # (N,) what the last fit took for wrong, believed or not

    @property
    def settled(self) -> bool:
        """See LossDistribution."""
        return any(fit is not None for fit in self.fits)

    @property
    def some_are_wrong(self) -> bool:
        """See LossDistribution: a head has two populations."""
        return any(fit is not None and fit.share > 0 for fit in self.fits)

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
        result, before = self.weigh(seen.losses, seen.heads), self.wrong
        before = before.to(seen.usable.device) if before is not None and before.shape == seen.usable.shape else None
        self.wrong = torch.zeros_like(seen.usable)
        for head in range(len(self.fits)):
            rows = rows_of(head, seen)
            if len(rows) < FEWEST:
                continue
            own = seen.part(rows)
            known = np.zeros(len(rows), dtype=bool)
            if before is not None and (earlier := self.fits[head]) and earlier.share:
                known = before[rows].cpu().numpy()
            self.groups[head], fit, x, e = self._fit(own, known)
            judged = self._weigh(fit, x, e, rows)
            if fit.share:
                wrong = torch.zeros_like(seen.usable)
                wrong[rows] = judged.weight < 0.5
                self.wrong |= wrong
                behave = self._behave(own.times, wrong[rows], rows, before)
                believed = behave and (believable is None or believable(wrong))
                if not (believed and self._guard(known).decides(fit)):
                    undecided = fit.share if believed else 0.0
                    fit = fit_one(cells_of(x, e))._replace(undecided=undecided)
                    judged = self._weigh(fit, x, e, rows)
            self.fits[head] = fit
            result.weight[rows], result.zscore[rows] = judged
        return self._unless_infinite(result) if self.settled else None

    def _follow_heads_without_fit(self, seen: Remembered) -> None:
        """Let the running distribution of heads that are too small for a fit learn from this epoch."""
        fitted = torch.tensor([fit is not None for fit in self.fits], device=seen.heads.device)
        self.first.update(_log(seen.losses), seen.heads, seen.usable & (seen.losses > 0) & ~fitted[seen.heads])

    def _fit(self, seen: Remembered, before: np.ndarray) -> tuple[Groups, Fit, np.ndarray, np.ndarray]:
        """Measures of the groups, the fit, and what it was made to: relative log losses and energy errors (N,).

        `before`: mask (N,) of what the fit of the last epoch took for wrong.
        """
        guard = self._guard(before)
        groups, x, e = compared(seen)
        fit = choose(cells_of(x, e), guard, start_from(x, e, before))
        if before.any() and not fit.share:
            fit = choose(cells_of(x, e), self.guard)
        if fit.share:  # what is typical shows better without the wrong labels
            groups, fit, x, e = fit_without(self._wrong_in_groups(fit, groups, seen, x, e), seen, guard)
        sides = both_sides(e, self._wrong(fit, x, e)) if fit.share else None
        if sides is not None:
            groups, fit, x, e = fit_without(sides, seen, guard)
            if fit.share and both_sides(e, self._wrong(fit, x, e)) is not None:
                fit = fit_one(cells_of(x, e))._replace(undecided=fit.share)
        return groups, fit, x, e

    def _wrong(self, fit: Fit, x: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Mask (N,) of what a fit takes for wrong."""
        return (self._weigh(fit, x, e, torch.empty(0)).weight < 0.5).numpy()

    def _wrong_in_groups(self, fit: Fit, groups: Groups, seen: Remembered, x: np.ndarray, e: np.ndarray) -> np.ndarray:
        """The same, where a group may have more wrong labels than right ones."""
        wrong = self._wrong(fit, x, e)
        return correct_majorities(wrong, e, groups.group_of(seen.kinds), groups.relative_spread, fit)

    def _guard(self, known: np.ndarray) -> Guard:
        """What two populations need: less, where some configurations are `known` (N,) to be wrong."""
        return self.guard.relaxed() if known.any() else self.guard

    def _behave(self, times: Tensor, wrong: Tensor, rows: Tensor, before: Tensor | None) -> bool:
        """Whether those that look wrong, a mask (N,), do so at any time, and did so one epoch `before`."""
        if times.min() == times.max():  # one model has seen them all, and nothing changes
            return True
        if before is None:
            return False
        now, then = wrong.cpu().numpy(), before[rows].cpu().numpy()
        return not bunched(times.cpu().numpy(), now) and agreement(then, now) > AGREEMENT

    def _weigh(self, fit: Fit, x: np.ndarray, e: np.ndarray, like: Tensor) -> Weighted:
        """Weights on the device of the tensor `like`."""
        place = torch.empty(0, device=like.device, dtype=self.first.mean.dtype)
        return weigh_by_fit(fit, torch.from_numpy(x).to(place), torch.from_numpy(e).to(place), self.threshold)

    def judge(self, seen: Remembered) -> Weighted:
        """See the class; a set as a whole may lie higher or lower than the training set did."""
        result = self.weigh(seen.losses, seen.heads)
        for head, (fit, groups) in enumerate(zip(self.fits, self.groups, strict=True)):
            rows = rows_of(head, seen)
            if fit is None or groups is None or not len(rows):
                continue
            new = torch.from_numpy(groups.new_in(seen.kinds[rows.cpu().numpy()])).to(rows.device)
            for some, relative in ((rows[~new], relative_to), (rows[new], partial(self._among_themselves, fit))):
                if len(some):
                    x, e = relative(groups, seen.part(some))
                    by = shift(cells_of(x, e), fit) if len(x) >= FEWEST_TO_SHIFT else (0.0, 0.0)
                    result.weight[some], result.zscore[some] = self._weigh(fit, x - by[0], e - by[1], some)
        return self._unless_infinite(result)

    def _among_themselves(self, fit: Fit, groups: Groups, seen: Remembered) -> tuple[np.ndarray, np.ndarray]:
        """Log losses and energy errors (N,) of molecules that are not among the groups, relative to one another."""
        own, x, e = compared(seen, trend=groups.trend)
        if fit.share:  # right labels to right ones
            own, x, e = compared(seen, ~self._wrong(fit, x, e), groups.trend)
            own, x, e = compared(seen, ~self._wrong_in_groups(fit, own, seen, x, e), groups.trend)
        return x, e

    def _unless_infinite(self, result: Weighted) -> Weighted:
        return Weighted(torch.ones_like(result.weight), result.zscore) if self.threshold == torch.inf else result

    def follow(self, before: LossDistribution) -> None:
        """See the class: which labels look wrong does not depend on the stage."""
        self.wrong = before.wrong if isinstance(before, MixtureDistribution) else None

    def stands_out(self) -> list[tuple[bool, bool]]:
        """See the class: by how far the populations are apart."""
        apart = [
            (fit.error_factor > ENERGIES_ALIKE, fit.loss_factor > LOSSES_ALIKE) if fit and fit.share else (False, False)
            for fit in self.fits
        ]
        return [(energies or not losses, losses or not energies) for energies, losses in apart]

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "mixture" and parameters for each head, "lognormal" until its first fit; all of the log loss.

        Energy errors are in eV/atom, for a molecule of typical spread.
        """
        fitted = zip(self.first.describe(), self.fits, self.groups, strict=True)
        return [
            describe_fit(fit, groups) | {"threshold": self.threshold}
            if fit and groups
            else early | {"kind": "lognormal"}
            for early, fit, groups in fitted
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return the running distribution, the fits and the measures of the groups."""
        fits = [None if fit is None else list(fit) for fit in self.fits]
        groups = [None if own is None else own.to_dict() for own in self.groups]
        wrong = None if self.wrong is None else self.wrong.clone()
        return {"first": self.first.state_dict(), "fits": fits, "groups": groups, "wrong": wrong}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where it is of another distribution or number of heads."""
        if len(state.get("fits", ())) != len(self.fits) or "groups" not in state:
            raise ValueError(f"loss distribution: no mixture of {len(self.fits)} head(s)")
        self.first.load_state_dict(state["first"])
        self.fits = [None if fit is None else Fit(*fit) for fit in state["fits"]]
        self.groups = [None if own is None else Groups.from_dict(own) for own in state["groups"]]
        self.wrong = state["wrong"]

    def to(self, device: torch.device) -> "MixtureDistribution":
        """Move to `device`, in place."""
        self.first.to(device)
        return self


def _log(losses: Tensor) -> Tensor:
    """Logarithm of losses, in double precision where there is one; that of 0 is very low, but finite."""
    return losses.to(widest(losses.device)).clamp_min(1e-30).log()
