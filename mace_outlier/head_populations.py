"""The populations of one head: that of right labels, and those of labels that are wrong, some by far more than others.

Two populations are told apart at a time. Once those that stand out are known, what is left is looked at again, until it
is one population.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .described import describe_fit
from .one_or_two import OneOrTwo
from .populations import Fit, Guard
from .weighting import Remembered, Weighted

FEWEST = 50  # configurations that a fit needs
DEEPEST = 4  # fits at most, each to what the one before it leaves


class HeadPopulations:
    """Fits of two populations, each to what those before it take for right; the last but for the first finds one.

        w = w_1 w_2 ...         of a configuration that only the k-th fit takes for wrong: w_1 ... w_k

    Args:
        threshold: t, in sigmas.
        guard: what two populations need, see `choose`.
    """

    def __init__(self, threshold: float, guard: Guard) -> None:
        self.threshold, self.guard = threshold, guard
        self.fits: list[OneOrTwo] = []

    @property
    def fit(self) -> Fit | None:
        """The first fit, None until there is one."""
        return self.fits[0].fit if self.fits else None

    @property
    def are_two(self) -> bool:
        """Whether wrong labels are believed in."""
        return bool(self._of_two)

    @property
    def _of_two(self) -> list[OneOrTwo]:
        """The fits that found wrong labels."""
        return [fit for fit in self.fits if fit.are_two]

    def refit(
        self, own: Remembered, before: np.ndarray | None, believable: Callable[[Tensor], bool]
    ) -> tuple[Weighted, Tensor]:
        """Fit to the configurations of the head, all usable; return how they are judged, and which (N,) look wrong.

        These are numbered by the fit that found them, from 1; 0: right labels. `before`: these numbers one epoch
        earlier, if there was one. `believable`: whether those in a mask (N,) can be wrong all together; where they
        can't, they only look so.
        """
        number = torch.zeros(len(own.losses), dtype=torch.uint8, device=own.losses.device)
        guard = self.guard
        for depth in range(DEEPEST):
            left = torch.nonzero(number == 0).flatten()
            fit = self._fit_at(depth, guard)

            def together(more: Tensor, left: Tensor = left) -> bool:
                return believable((number > 0).index_put((left,), more))

            then = None if before is None else before[left.cpu().numpy()]
            found, wrong = fit.refit(own.part(left), then, depth + 1, together)
            number[left[wrong]] = depth + 1
            if not depth:
                judged = found
            elif fit.are_two:
                judged = _sharpened(judged, own, left, found, fit)
            if fit.fit is None or not fit.are_two or (number == 0).sum() < FEWEST:
                break
            guard = guard.among_the_rest(fit.fit.share)
        del self.fits[depth + 1 :]
        return judged, number

    def _fit_at(self, depth: int, guard: Guard) -> OneOrTwo:
        """The fit to what `depth` others leave."""
        if depth == len(self.fits):
            self.fits.append(OneOrTwo(self.threshold, guard))
        self.fits[depth].guard = guard
        return self.fits[depth]

    def judge(self, own: Remembered) -> Weighted:
        """Judge other configurations by the fits; as a whole they may lie higher or lower than the training set did."""
        judged = self.fits[0].judge(own)
        for fit in self._of_two[1:]:
            left = torch.nonzero(judged.weight >= 0.5).flatten()
            if len(left):
                judged = _sharpened(judged, own, left, fit.judge(own.part(left)), fit)
        return judged

    def stand_out(self) -> tuple[bool, bool]:
        """Whether wrong labels do so in their energies, and in all else; where it is open, in both."""
        ways = [fit.stand_out() for fit in self._of_two]
        return (any(energies for energies, _ in ways), any(others for _, others in ways)) if ways else (True, True)

    def describe(self) -> dict[str, Any]:
        """Return what describes the first fit, `within` it that of what it takes for right, and so on; {}: no fit."""
        described: dict[str, Any] = {}
        for fit in reversed(self.fits):
            if fit.fit is not None and fit.groups is not None:
                described = describe_fit(fit.fit, fit.groups) | ({"within": described} if described else {})
        return described

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the fits and the measures of their groups."""
        return [fit.state_dict() for fit in self.fits]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Continue from `state`."""
        self.fits = []
        for depth, saved in enumerate(state):
            self._fit_at(depth, self.guard).load_state_dict(saved)


def _sharpened(judged: Weighted, own: Remembered, left: Tensor, found: Weighted, fit: OneOrTwo) -> Weighted:
    """Judgements of all (N,), given what a `fit` found in those at the places `left`; z-scores are by its right labels.

    So that they can be compared: the first fits take some wrong labels for right.
    """
    zscore = judged.zscore.index_put((left,), found.zscore)
    others = torch.ones_like(own.usable).index_fill(0, left, False)
    if others.any():
        zscore[others] = fit.zscores(own.part(others))
    return Weighted(judged.weight.index_put((left,), judged.weight[left] * found.weight), zscore)
