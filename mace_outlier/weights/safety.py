"""What keeps a bad fit from doing harm, whatever the distribution is: it is refused, and the last good weights stay."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..faults import in_one_line, log_fault
from .aside import Aside
from .by_head import share_of_suspects
from .distribution import LossDistribution, Remembered, Weighted, bounded
from .implausible import fault_of_fit, fault_of_validation
from .records import Records

NOT_DESCRIBED = {"kind": "lognormal", "location": math.nan, "scale": math.nan, "threshold": math.nan}


class Validated(NamedTuple):
    """What is to be thought of validation configurations."""

    weight: Tensor  # (V,) in [0, 1]
    zscore: Tensor  # (V,) in sigmas, not NaN
    stock: bool  # True: what the distribution says of some of them isn't used, and these have weight 1


class _Fit(NamedTuple):
    """What became of a fit."""

    before: dict[str, Any]  # state of the distribution
    error: Exception | None = None  # why there is none, in this process or another
    seen: Remembered | None = None
    judged: Weighted | None = None
    faults: dict[int, str] = {}  # why it must not be acted on, by head
    described: list[dict[str, Any]] = []


class Safety:
    """Stands between a loss distribution and the records: refuses a fit, head by head, that can't be right.

    A fit is refused where it fails, where a weight or z-score is not finite or a weight not in [0, 1], and where more
    than half of the usable configurations of a head, or all, would have a weight below 1/2. The configurations of that
    head then keep their weights, and its description is the last good one, with the reason as "refused".

    Args:
        distribution: must have one entry for each head.
        records: of the training configurations.
        heads: their names, for the log.
        sum_over_ranks: in a distributed run, sums a tensor over the processes: what one of them refuses, all do. All
            have to call `refit` and `judge`.
    """

    def __init__(
        self,
        distribution: LossDistribution,
        records: Records,
        heads: Sequence[str] = ("0",),
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.distribution, self.records, self.sum_over_ranks = distribution, records, sum_over_ranks
        self.heads = list(heads)
        self.refused: dict[int, str] = {}  # heads whose last fit was, and why
        self._described: list[dict[str, Any]] = []  # the last good description, by head
        self._begun: Aside[_Fit] | None = None
        self._warned: set[int] = set()  # heads whose validation set was not judged

    def refit(self, remembered: Callable[[], Remembered]) -> None:
        """Fit to what was seen in an epoch, and weigh by what is not refused; never raises. Waits for the device."""
        self.begin(remembered)
        self.settle()

    def begin(self, remembered: Callable[[], Remembered], aside: bool = False) -> None:
        """Begin to fit to what is `remembered`; `aside`: beside what follows, until `settle`, where that can be."""
        self._begun = Aside(lambda: self._fit(remembered), aside and self.distribution.processes.may_work_aside)

    def _fit(self, remembered: Callable[[], Remembered]) -> _Fit:
        before = self.distribution.state_dict()
        try:
            self._described = self._described or self.distribution.describe()
            return self.distribution.processes.agree(lambda: self._fit_to(remembered(), before))
        except Exception as error:
            return _Fit(before, error)

    def _fit_to(self, seen: Remembered, before: dict[str, Any]) -> _Fit:
        judged = self.distribution.refit(seen)
        faults = {} if judged is None else self._faults(judged, seen.heads, seen.usable)
        return _Fit(before, None, seen, judged, faults, self.distribution.describe())

    def settle(self) -> bool:
        """Weigh by a fit that was begun; False: there is none. Never raises; waits for it and for the device."""
        begun, self._begun = self._begun, None
        if begun is None:
            return False
        before, error, seen, judged, refused, described = begun.result()
        if error is not None:
            log_fault("The fit to the losses failed", error, "it is refused, the training goes on")
            refused = dict.fromkeys(range(len(self.heads)), f"the fit failed ({in_one_line(error)})")
        failed, refused = self._agreed(error is not None, refused, self.records.table.device)
        if failed:
            self.distribution.load_state_dict(before)
            self._described = self._described or [NOT_DESCRIBED] * len(self.heads)
            judged, described = None, self._described
        self._warn_of_new(refused)
        self.refused = refused
        self._described = [self._described[head] if head in refused else now for head, now in enumerate(described)]
        if seen is not None and judged is not None:
            self.records.judge(seen.usable & ~self._is_refused(seen.heads), *judged)
        self.records.note_suspects()
        return True

    def describe(self) -> list[dict[str, Any]]:
        """Return what describes the weights in use, see LossDistribution.describe.

        With "refused", the reason, where a fit was; and "not_finite_since", an epoch, where the model isn't finite.
        """
        described = self._described or self.distribution.describe()
        broken = self.records.not_finite_since
        reasons = [
            ({"refused": self.refused[head]} if head in self.refused else {})
            | ({"not_finite_since": broken[head]} if head in broken else {})
            for head in range(len(described))
        ]
        return [of_head | reason for of_head, reason in zip(described, reasons, strict=True)]

    def judge(self, seen: Remembered, last: Tensor) -> Validated:
        """Judge validation configurations, whose weights (V,) were `last` so far; never raises.

        Where the last fit of a head was refused, they keep their weights. All have weight 1 where they can't be judged,
        or where the share of suspects is above 10 % and above twice that of the training set.
        """
        judged, failed = Weighted(torch.ones_like(last), torch.zeros_like(last)), False
        try:
            judged = self.distribution.processes.agree(lambda: self.distribution.judge(seen))
        except Exception as error:
            log_fault("The validation set could not be judged", error, "all of it has weight 1, the training goes on")
            failed = True
        stock, _ = self._agreed(failed, {}, last.device)
        refused, (weight, zscore, _) = self._is_refused(seen.heads), judged
        weight = torch.where(refused, last.to(weight.dtype), torch.ones_like(weight) if stock else weight)
        zscore = torch.where(refused, zscore.nan_to_num(0.0), zscore)
        for head in seen.heads.unique().tolist():
            of_head = seen.heads == head
            usable = of_head & seen.usable
            fault = fault_of_validation(weight[usable], zscore[usable], share_of_suspects(self.records, head))
            if fault:
                weight, stock = weight.masked_fill(of_head, 1.0), True
            if fault and head not in self._warned:
                self._warned.add(head)
                logging.warning(
                    f"head {self.heads[head]}: {fault}: models are chosen by the stock loss of the validation set "
                    "where that is so, and none of it is called wrong (said once)"
                )
        return Validated(bounded(weight), zscore.nan_to_num(0.0), stock)

    def state_dict(self) -> dict[str, Any]:
        """Return which heads are refused, and how all are described: builtins only."""
        return {"refused": dict(self.refused), "described": [dict(of_head) for of_head in self._described]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.refused, self._described = dict(state["refused"]), [dict(of_head) for of_head in state["described"]]

    def _faults(self, judged: Weighted, heads: Tensor, usable: Tensor) -> dict[int, str]:
        """Why a fit must not be acted on, by head; those in order are not in it."""
        of_heads = [usable & (heads == head) for head in range(len(self.heads))]
        faults = [fault_of_fit(judged.weight[of_head], judged.zscore[of_head]) for of_head in of_heads]
        return {head: fault for head, fault in enumerate(faults) if fault}

    def _agreed(self, failed: bool, refused: dict[int, str], device: torch.device) -> tuple[bool, dict[int, str]]:
        """Whether it failed in any process, and what is refused in any."""
        if self.sum_over_ranks is None:
            return failed, refused
        flags = [float(failed), *(float(head in refused) for head in range(len(self.heads)))]
        anywhere, *heads = (self.sum_over_ranks(torch.tensor(flags, device=device)) > 0).tolist()
        elsewhere = "the fit is refused in another process"
        return anywhere, {head: refused.get(head, elsewhere) for head, is_refused in enumerate(heads) if is_refused}

    def _is_refused(self, heads: Tensor) -> Tensor:
        """Mask (N,) of the configurations of heads whose fit is refused."""
        return torch.tensor([head in self.refused for head in range(len(self.heads))], device=heads.device)[heads]

    def _warn_of_new(self, refused: dict[int, str]) -> None:
        """Once for as long as it lasts: the line of each epoch has it as well."""
        stays = "its weights stay as they were" if self.distribution.settled else "it is weighed as before"
        for head, reason in refused.items():
            if head not in self.refused:
                logging.warning(f"head {self.heads[head]}: {reason}: the fit is refused, {stays}")
