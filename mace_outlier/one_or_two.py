"""One population of configurations or two: fitted to what is remembered of them, and what they are judged by."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compared import compared, fit_without, relative_to
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
from .weighting import Remembered, Weighted, widest

AGREEMENT = 0.5  # of what looks wrong with what did so one epoch before, see `agreement`
FEWEST_TO_SHIFT = 10  # configurations of a validation set that say how it lies as a whole
ENERGIES_ALIKE, LOSSES_ALIKE = 1.7, 1.5  # factors between the populations, below which they don't differ in that

Mask = np.ndarray  # (N,) boolean


class OneOrTwo:
    """One population of configurations or two, see MixtureDistribution.

    Args:
        threshold: t, in sigmas.
        guard: what two populations need, see `choose`.
    """

    def __init__(self, threshold: float, guard: Guard) -> None:
        self.threshold, self.guard = threshold, guard
        self.fit: Fit | None = None  # until there is one
        self.groups: Groups | None = None

    @property
    def are_two(self) -> bool:
        """Whether wrong labels are believed in."""
        return self.fit is not None and self.fit.share > 0

    def refit(
        self, own: Remembered, before: np.ndarray | None, number: int, believable: Callable[[Tensor], bool]
    ) -> tuple[Weighted, Tensor]:
        """Fit to configurations, all usable; return how they are judged, and which (N,) look wrong.

        `before`: numbers (N,) of the fits by which they did so one epoch earlier, if there was one, 0: none. `number`:
        that of this fit. `believable`: whether those in a mask (N,) can be wrong all together; where they can't, they
        only look so.
        """
        known = before == number if before is not None and self.are_two else np.zeros(len(own.losses), dtype=bool)
        self.groups, fit, x, e = self._find(own, known)
        judged = self._weigh(fit, x, e, own.losses.device)
        wrong = judged.weight < 0.5 if fit.share else torch.zeros_like(own.usable)
        if fit.share:
            by_any = None if before is None else before > 0  # a fit may find what another has found before
            believed = _behave(own.times, wrong, by_any) and believable(wrong)
            if not (believed and self._guard(known).decides(fit)):
                fit = fit_one(cells_of(x, e))._replace(undecided=fit.share if believed else 0.0)
                judged = self._weigh(fit, x, e, own.losses.device)
        self.fit = fit
        return judged, wrong

    def _find(self, seen: Remembered, before: Mask) -> tuple[Groups, Fit, np.ndarray, np.ndarray]:
        """Measures of the groups, the fit, and what it was made to: relative log losses and energy errors (N,).

        `before`: what is already known to be wrong.
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

    def _guard(self, known: Mask) -> Guard:
        """What two populations need: less, where some configurations are `known` to be wrong."""
        return self.guard.relaxed() if known.any() else self.guard

    def _wrong(self, fit: Fit, x: np.ndarray, e: np.ndarray) -> Mask:
        """What a fit takes for wrong."""
        return (self._weigh(fit, x, e, torch.device("cpu")).weight < 0.5).numpy()

    def _wrong_in_groups(self, fit: Fit, groups: Groups, seen: Remembered, x: np.ndarray, e: np.ndarray) -> Mask:
        """The same, where a group may have more wrong labels than right ones."""
        wrong = self._wrong(fit, x, e)
        return correct_majorities(wrong, e, groups.group_of(seen.kinds), groups.relative_spread, fit)

    def _weigh(self, fit: Fit, x: np.ndarray, e: np.ndarray, device: torch.device) -> Weighted:
        """Weights on a device, which may lack double precision."""
        x_there, e_there = (torch.from_numpy(values).to(device, widest(device)) for values in (x, e))
        return weigh_by_fit(fit, x_there, e_there, self.threshold)

    def judge(self, own: Remembered) -> Weighted:
        """Judge other configurations by the fit; as a whole they may lie higher or lower than the training set did."""
        fit, groups = self.fit, self.groups
        assert fit is not None
        assert groups is not None
        device = own.losses.device
        result = Weighted(*(torch.empty(len(own.losses), dtype=widest(device), device=device) for _ in range(2)))
        new = torch.from_numpy(groups.new_in(own.kinds)).to(device)
        for some, among_themselves in ((~new, False), (new, True)):
            if some.any():
                part = own.part(some)
                x, e = self._among_themselves(fit, groups, part) if among_themselves else relative_to(groups, part)
                by = shift(cells_of(x, e), fit) if len(x) >= FEWEST_TO_SHIFT else (0.0, 0.0)
                result.weight[some], result.zscore[some] = self._weigh(fit, x - by[0], e - by[1], device)
        return result

    def _among_themselves(self, fit: Fit, groups: Groups, seen: Remembered) -> tuple[np.ndarray, np.ndarray]:
        """Log losses and energy errors (N,) of molecules that are not among the groups, relative to one another."""
        own, x, e = compared(seen, trend=groups.trend)
        if fit.share:  # right labels to right ones
            own, x, e = compared(seen, ~self._wrong(fit, x, e), groups.trend)
            own, x, e = compared(seen, ~self._wrong_in_groups(fit, own, seen, x, e), groups.trend)
        return x, e

    def zscores(self, own: Remembered) -> Tensor:
        """Z-scores (N,) of configurations that are known to be wrong, by the distribution of right labels."""
        assert self.fit is not None
        assert self.groups is not None
        return self._weigh(self.fit, *relative_to(self.groups, own), own.losses.device).zscore

    def stand_out(self) -> tuple[bool, bool]:
        """Whether wrong labels do so in their energies, and in all else; where it is open, in both."""
        fit = self.fit
        if not (fit and fit.share):
            return True, True
        energies, losses = fit.error_factor > ENERGIES_ALIKE, fit.loss_factor > LOSSES_ALIKE
        return energies or not losses, losses or not energies

    def state_dict(self) -> dict[str, Any]:
        """Return the fit and the measures of its groups: builtins only."""
        fit, groups = self.fit, self.groups
        return {"fit": None if fit is None else list(fit), "groups": None if groups is None else groups.to_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        fit, groups = state["fit"], state["groups"]
        self.fit = None if fit is None else Fit(*fit)
        self.groups = None if groups is None else Groups.from_dict(groups)


def _behave(times: Tensor, wrong: Tensor, before: Mask | None) -> bool:
    """Whether those that look wrong, a mask (N,), do so at any time, and did so one epoch `before`."""
    if times.min() == times.max():  # one model has seen them all, and nothing changes
        return True
    if before is None:
        return False
    now = wrong.cpu().numpy()
    return not bunched(times.cpu().numpy(), now) and agreement(before, now) > AGREEMENT
