"""What keeps a bad fit from doing harm, whatever the distribution is: it is refused, and the last good weights stay."""

import logging
import math
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .distribution import LossDistribution, Remembered, Weighted, bounded
from .faults import fault_of_fit, fault_of_validation
from .records import Records

NOT_DESCRIBED = {"kind": "lognormal", "location": math.nan, "scale": math.nan, "threshold": math.nan}

Share = Callable[[Tensor], Tensor]  # sums a tensor over the processes of a distributed run


class Accepted(NamedTuple):
    """What a fit says that may be acted on."""

    which: Tensor  # (N,) boolean: the configurations for which it holds
    judged: Weighted  # (N,)


class Validated(NamedTuple):
    """What is to be thought of validation configurations."""

    weight: Tensor  # (V,) in [0, 1]
    zscore: Tensor  # (V,) in sigmas, not NaN
    stock: bool  # True: what the distribution says of some of them isn't used, and these have weight 1


class Safety:
    """Stands between a loss distribution and what acts on it: refuses a fit, head by head, that can't be right.

    A fit is refused where it fails, where a weight or z-score is not finite or a weight not in [0, 1], and where more
    than half of the usable configurations of a head, or all, would have a weight below 1/2. The configurations of that
    head then keep their weights, and its description is the last good one, with the reason as "refused".

    Args:
        num_heads: H.
        names: of the heads, for the log.
    """

    def __init__(self, num_heads: int = 1, names: Sequence[str] = ()) -> None:
        self.names = list(names) or [str(head) for head in range(num_heads)]
        self.refused: dict[int, str] = {}  # heads whose last fit was, and why
        self._described: list[dict[str, Any]] = []  # the last good metadata, by head
        self._warned: set[int] = set()  # heads whose validation set was

    def refit(
        self,
        distribution: LossDistribution,
        seen: Remembered,
        share: Share | None = None,
    ) -> Accepted | None:
        """Fit to what was seen, see LossDistribution.refit; never raises. None: nothing follows for any configuration.

        `share`: in a distributed run. What one process refuses, all do; all of them have to call this.
        """
        before, known = distribution.state_dict(), self._described
        try:
            known = known or distribution.describe()
            which = seen.usable & (seen.losses > 0)
            judged = distribution.refit(seen)
            refused = {} if judged is None else self._faults(judged, seen.heads, which)
            described = distribution.describe()
        except Exception as error:
            _log_failure("The fit to the losses", error, "it is refused")
            judged, refused, described = None, self._all_heads(f"the fit failed ({_named(error)})"), []
        failed = not described
        anywhere, refused = self._agree(failed, refused, seen.losses.device, share)
        if anywhere:
            distribution.load_state_dict(before)
            described = known = known or [NOT_DESCRIBED] * len(self.names)
        stays = "its weights stay as they were" if distribution.settled else "it is weighed as before"
        self._warn_of_refused(refused, stays)
        self.refused = refused
        self._described = [known[head] if head in refused else own for head, own in enumerate(described)]
        if judged is None or anywhere:
            return None
        return Accepted(which & ~self._of_refused(seen.heads), judged)

    def describe(self) -> list[dict[str, Any]]:
        """Return what describes the weights in use, see LossDistribution.describe, with "refused" where a fit was."""
        reasons = [{"refused": self.refused[head]} if head in self.refused else {} for head in range(len(self.names))]
        return [own | reason for own, reason in zip(self._described, reasons, strict=True)]

    def judge(
        self,
        distribution: LossDistribution,
        seen: Remembered,
        last: Tensor,
        training: Records,
        share: Share | None = None,
    ) -> Validated:
        """Judge validation configurations; never raises.

        Where the last fit of a head was refused, they keep their weights. All have weight 1 where they can't be judged,
        or where the share of suspects is above 10 % and above twice that of the training set.

        Args:
            last: (V,) the weights that they had so far.
            training: what is known of the training set.
            share: in a distributed run; all processes have to call this.
        """
        judged = Weighted(torch.ones_like(last), torch.zeros_like(last))
        failed = False
        try:
            judged = distribution.judge(seen)
        except Exception as error:
            _log_failure("The validation set could not be judged: it", error, "all of it has weight 1")
            failed = True
        failed, _ = self._agree(failed, {}, last.device, share)
        weight = torch.ones_like(judged.weight) if failed else judged.weight.clone()
        refused, zscore, stock = self._of_refused(seen.heads), judged.zscore, failed
        weight = torch.where(refused, last.to(weight.dtype), weight)
        zscore = torch.where(refused, zscore.nan_to_num(0.0), zscore)
        for head in seen.heads.unique().tolist():
            own = seen.heads == head
            usable = own & seen.usable
            fault = fault_of_validation(weight[usable], zscore[usable], share_of_suspects(training, head))
            if fault:
                weight, stock = weight.masked_fill(own, 1.0), True
                self._warn_of_validation(head, fault)
        return Validated(bounded(weight), zscore.nan_to_num(0.0), stock)

    def state_dict(self) -> dict[str, Any]:
        """Return which heads are refused, and how all are described: builtins only."""
        return {"refused": dict(self.refused), "described": [dict(own) for own in self._described]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.refused, self._described = dict(state["refused"]), [dict(own) for own in state["described"]]

    # --- details -----------------------------------------------------------------------------------------------------

    def _all_heads(self, reason: str) -> dict[int, str]:
        return dict.fromkeys(range(len(self.names)), reason)

    def _faults(self, judged: Weighted, heads: Tensor, which: Tensor) -> dict[int, str]:
        """Why a fit must not be acted on, by head; those in order are not in it."""
        faults = {}
        for head in range(len(self.names)):
            own = which & (heads == head)
            fault = fault_of_fit(judged.weight[own], judged.zscore[own])
            if fault:
                faults[head] = fault
        return faults

    def _agree(
        self, failed: bool, refused: dict[int, str], device: torch.device, share: Share | None
    ) -> tuple[bool, dict[int, str]]:
        """Whether it failed in any process, and what is refused in any."""
        if share is None:
            return failed, refused
        own = [float(failed), *(float(head in refused) for head in range(len(self.names)))]
        anywhere, *heads = (share(torch.tensor(own, device=device)) > 0).tolist()
        elsewhere = "the fit is refused in another process"
        return anywhere, {head: refused.get(head, elsewhere) for head, is_refused in enumerate(heads) if is_refused}

    def _of_refused(self, heads: Tensor) -> Tensor:
        """Mask (N,) of the configurations of heads whose fit is refused."""
        refused = torch.tensor([head in self.refused for head in range(len(self.names))], device=heads.device)
        return refused[heads]

    def _warn_of_refused(self, refused: dict[int, str], then: str) -> None:
        """Once for as long as it lasts: the line of each epoch has it as well."""
        for head, reason in refused.items():
            if head not in self.refused:
                logging.warning(f"head {self.names[head]}: {reason}: the fit is refused, {then}")

    def _warn_of_validation(self, head: int, fault: str) -> None:
        if head not in self._warned:
            self._warned.add(head)
            logging.warning(
                f"head {self.names[head]}: {fault}: models are chosen by the stock loss of the validation set where "
                "that is so, and none of it is called wrong (said once)"
            )


def share_of_suspects(records: Records, head: int) -> float:
    """Share of the training configurations of a head, of those that can be judged, with a weight below 1/2."""
    which = (records.head == head) & (records.time >= 0) & (records.loss > 0)  # NaN is not above 0
    weight = records.weight[which]
    return float((weight < 0.5).double().mean()) if len(weight) else 0.0


def _named(error: Exception) -> str:
    """An exception, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _log_failure(what: str, error: Exception, then: str) -> None:
    logging.error(f"{what} failed ({_named(error)}): {then}, the training goes on")
    logging.debug("".join(traceback.format_exception(type(error), error, error.__traceback__)))
