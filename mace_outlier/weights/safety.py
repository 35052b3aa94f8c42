"""What keeps a bad fit from doing harm, whatever the distribution is: it is refused, and the last good weights stay."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..faults import in_one_line, log_fault
from ..method.settings import Settings
from .by_head import share_of_suspects
from .distribution import LossDistribution, Remembered, Weighted, bounded
from .records import Records
from .summed import processes_of

MOST = Settings().most  # share of a head that may be taken for wrong, by whatever distribution
MORE_IN_VALIDATION = 2.0  # suspects of a validation set over those of the training set, as shares of either
FEW_IN_VALIDATION = 0.1  # share of suspects up to which a validation set may have any multiple
ROUNDING = 1e-6  # by which a weight may miss [0, 1]
NOT_DESCRIBED = {"kind": "lognormal", "location": math.nan, "scale": math.nan, "threshold": math.nan}


class Validated(NamedTuple):
    """What is to be thought of validation configurations."""

    weight: Tensor  # (V,) in [0, 1]
    zscore: Tensor  # (V,) in sigmas, not NaN
    stock: bool  # True: what the distribution says of some of them isn't used, and these have weight 1


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
        self._processes = processes_of(sum_over_ranks, records.table.device)
        self.heads = list(heads)
        self.refused: dict[int, str] = {}  # heads whose last fit was, and why
        self._described: list[dict[str, Any]] = []  # the last good description, by head
        self._warned: set[int] = set()  # heads whose validation set was not judged

    def refit(self, seen: Remembered) -> None:
        """Fit to what was seen in an epoch, and weigh by what is not refused; never raises. Waits for the device."""
        state = self.distribution.state_dict()
        judged: Weighted | None = None
        refused: dict[int, str] = {}
        described: list[dict[str, Any]] = []
        try:
            self._described = self._described or self.distribution.describe()
            judged = self._processes.agree(lambda: self.distribution.refit(seen))
            refused = {} if judged is None else self._faults(judged, seen.heads, seen.usable)
            described = self.distribution.describe()
        except Exception as error:
            log_fault("The fit to the losses failed", error, "it is refused, the training goes on")
            refused = dict.fromkeys(range(len(self.heads)), f"the fit failed ({in_one_line(error)})")
        failed, refused = self._agreed(not described, refused, seen.losses.device)
        if failed:
            self.distribution.load_state_dict(state)
            self._described = self._described or [NOT_DESCRIBED] * len(self.heads)
            judged, described = None, self._described
        self._warn_of_new(refused)
        self.refused = refused
        self._described = [self._described[head] if head in refused else now for head, now in enumerate(described)]
        if judged is not None:
            self.records.judge(seen.usable & ~self._is_refused(seen.heads), *judged)
        self.records.note_suspects()

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
            judged = self._processes.agree(lambda: self.distribution.judge(seen))
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

    # --- details -----------------------------------------------------------------------------------------------------

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


def fault_of_fit(weight: Tensor, zscore: Tensor) -> str | None:
    """Why the weights and z-scores (N,) of all usable configurations of a head can't be right; None: they may be."""
    if not len(weight):
        return None
    if not bool((weight.isfinite() & zscore.isfinite()).all()):
        return "weights or z-scores are not finite"
    if float(weight.min()) < -ROUNDING or float(weight.max()) > 1 + ROUNDING:
        return "weights are not in [0, 1]"
    below, size = int((weight < 0.5).sum()), len(weight)
    if below > MOST * size:
        none_left = " and none be trusted" if below == size else ""
        return f"undecided: {below} of {size} labels ({100 * below / size:.0f} %) would be taken for wrong{none_left}"
    return None


def fault_of_validation(weight: Tensor, zscore: Tensor, in_training: float) -> str | None:
    """Why weights (V,) of a validation set can't be right, by the share of suspects in training; None: they may be."""
    if not len(weight):
        return None
    in_order = (weight >= -ROUNDING) & (weight <= 1 + ROUNDING) & ~zscore.isnan()  # NaN is neither above nor below
    if not bool(in_order.all()):
        return "weights or z-scores of the validation set are no numbers in their range"
    share = int((weight < 0.5).sum()) / len(weight)
    if share > max(FEW_IN_VALIDATION, MORE_IN_VALIDATION * in_training):
        percents = f"{100 * share:.0f} % of the validation set look wrong, but {100 * in_training:.1f} %"
        return f"{percents} of the training set"
    return None
