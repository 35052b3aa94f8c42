"""What keeps a bad fit from doing harm, whatever the distribution is: it is refused, and the last good weights stay."""

import logging
import math
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..faults import in_one_line, log_fault
from .aside import Aside
from .by_head import NONE, tallied
from .distribution import LossDistribution, Remembered, Weighted, bounded
from .implausible import faults_of_fit, faults_of_validation
from .loss_left import loss_left
from .records import Records

NOT_DESCRIBED = {"kind": "lognormal", "location": math.nan, "scale": math.nan, "threshold": math.nan}


class Validated(NamedTuple):
    """What is to be thought of validation configurations."""

    weight: Tensor  # (V,) in [0, 1]
    zscore: Tensor  # (V,) in sigmas, not NaN
    stock: bool  # True: what the distribution says of some of them isn't used, and these have weight 1


class _Fit(NamedTuple):
    """What became of a fit, alike in all processes."""

    seen: Remembered
    judged: Weighted | None
    refused: dict[int, str]  # why it must not be acted on, by head
    described: list[dict[str, Any]]


class _Weighed(NamedTuple):
    """What became of the weights, alike in all processes."""

    refused: dict[int, str]  # heads whose fit was, and why
    left: float  # of the loss, see loss_left


class Safety:
    """Stands between a loss distribution and the records: refuses a fit, head by head, that can't be right.

    A fit is refused where it fails, where a weight or z-score is not finite or a weight not in [0, 1], and where more
    than half of the usable configurations of a head, or all, would have a weight below 1/2. The configurations of that
    head then keep their weights, and its description is the last good one, with the reason as "refused". The processes
    of a distributed run, those of the records, do all of this alike: where a fit fails in one, it does in all.

    Args:
        distribution: must have one entry for each head.
        records: of the training configurations.
        heads: their names, for the log.
    """

    def __init__(self, distribution: LossDistribution, records: Records, heads: Sequence[str] = ("0",)) -> None:
        self.distribution, self.records, self.heads = distribution, records, list(heads)
        self.refused: dict[int, str] = {}  # heads whose last fit was, and why
        self._described: list[dict[str, Any]] = []  # the last good description, by head
        self._begun: Aside[_Weighed] | None = None
        self._warned: set[int] = set()  # heads whose validation set was not judged
        self._before: Any = None  # how the distribution was before the fit
        self.tallies = [NONE] * len(self.heads)  # since the last fit

    processes = property(lambda self: self.records.processes)

    def refit(self, remembered: Callable[[], Remembered]) -> float:
        """Fit to what was seen in an epoch, and weigh by what is not refused; waits for the device. See `settle`."""
        self.begin(remembered)
        return self.settle()

    def begin(
        self, remembered: Callable[[], Remembered], aside: bool = False, then: Callable[[], None] = lambda: None
    ) -> None:
        """Begin to fit to what is `remembered`, and to do what is `then` to be done.

        `aside`: beside what follows, until `settle`, where that can be.
        """
        self._begun = Aside(lambda: self._weigh(remembered, then), aside and self.processes.may_work_aside)

    def settle(self) -> float:
        """Take what was begun, if anything was, for done; return what is left of the loss then, see `loss_left`.

        No fit makes it raise; waits for it and for the device.
        """
        begun, self._begun = self._begun, None
        if begun is None:
            return 1.0
        refused, left = begun.result()
        self._warn_of_new(refused)
        self.refused = refused
        return left

    def _weigh(self, remembered: Callable[[], Remembered], then: Callable[[], None]) -> _Weighed:
        """Fit, and weigh by what is not refused."""
        self._before = self.distribution.snapshot()
        losses = weight = torch.zeros_like(self.records.weight)  # of a fit that fails: no loss, none of it lost
        try:
            self._described = self._described or self.distribution.describe()
            seen, judged, refused, described = self.processes.agree(lambda: self._fit(remembered()))
            self._described = [self._described[head] if head in refused else now for head, now in enumerate(described)]
            if judged is not None:
                losses, weight = seen.losses * (seen.usable & seen.latest), self.records.weight.clone()
                self.records.judge(seen.usable & ~self._are_of(refused, seen.heads), *judged)
        except Exception as error:
            log_fault("The fit to the losses failed", error, "it is refused, the training goes on")
            self.distribution.put_back(self._before)
            self._described = self._described or [NOT_DESCRIBED] * len(self.heads)
            refused = dict.fromkeys(range(len(self.heads)), f"the fit failed ({in_one_line(error)})")
        self.records.note_suspects()
        left = self.processes.agree(lambda: self._tell(losses, weight))
        then()
        return _Weighed(refused, left)

    def _fit(self, seen: Remembered) -> _Fit:
        self._before = self.distribution.snapshot()  # to remember may be to begin anew with some
        judged, refused = self.distribution.refit(seen, self.processes), dict[int, str]()
        if judged is not None:
            of_heads = seen.heads, seen.usable, len(self.heads)
            refused = faults_of_fit(judged.weight, judged.zscore, *of_heads, self.processes)
        return _Fit(seen, judged, refused, self.distribution.describe())

    def _tell(self, losses: Tensor, before: Tensor) -> float:
        """Let all processes know what is thought now; return what is left of losses (n,) with weights (n,) before."""
        left = loss_left(losses, before, self.records.weight, self.processes)
        self.records.tell()
        self.records.keep()
        self.count()
        return left

    def count(self) -> None:
        """Count what the records say of each head now; in all processes."""
        self.tallies = tallied(self.records, len(self.heads))

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
        judged, stock = Weighted(torch.ones_like(last), torch.zeros_like(last)), False
        try:
            judged = self.processes.agree(lambda: self.distribution.judge(seen, self.processes))
        except Exception as error:
            log_fault("The validation set could not be judged", error, "all of it has weight 1, the training goes on")
            stock = True
        refused, (weight, zscore, _) = self._are_of(self.refused, seen.heads), judged
        weight = torch.where(refused, last.to(weight.dtype), torch.ones_like(weight) if stock else weight)
        zscore = torch.where(refused, zscore.nan_to_num(0.0), zscore)
        in_training = [tally.share_of_suspects for tally in self.tallies]
        for head, fault in faults_of_validation(weight, zscore, seen.heads, seen.usable, in_training).items():
            weight, stock = weight.masked_fill(seen.heads == head, 1.0), True
            if head not in self._warned:
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
        """Continue from `state`, with the records that belong to it."""
        self.count()
        self.refused, self._described = dict(state["refused"]), [dict(of_head) for of_head in state["described"]]

    def _are_of(self, refused: Container[int], heads: Tensor) -> Tensor:
        """Mask (N,) of the configurations of heads whose fit is refused."""
        return torch.tensor([head in refused for head in range(len(self.heads))], device=heads.device)[heads]

    def _warn_of_new(self, refused: dict[int, str]) -> None:
        """Once for as long as it lasts: the line of each epoch has it as well."""
        stays = "its weights stay as they were" if self.distribution.settled else "it is weighed as before"
        for head, reason in refused.items():
            if head not in self.refused:
                logging.warning(f"head {self.heads[head]}: {reason}: the fit is refused, {stays}")
