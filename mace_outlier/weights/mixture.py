"""The default of a training: labels are judged once an epoch, by what geometry can't explain. Torch around numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..method.judge import HeadJudge, Verdict
from ..method.processes import ALONE, Processes
from ..method.settings import Settings
from .distribution import LossDistribution, Remembered, Weighted, widest
from .in_numbers import in_numbers, log_of
from .running import GaussianDistribution

OF_ROWS = "evidence", "looked"  # in the state of a judge, of the training configurations
FIRST_THRESHOLD = 8.0  # until the first fit, in sigmas of the log loss: gross errors only


class MixtureDistribution(LossDistribution):
    """Right and wrong labels of each head, told apart by what no function of the geometry explains; see `method`.

        w = probability that all labels of a configuration are right,    by property: that this one is

    Judged at the end of every epoch, for the next one; within the first, gross errors alone lose weight: log losses are
    taken for normal, tracked by a moving average, and weigh each batch.

    Args:
        num_heads: H.
        threshold: t in the first epoch; `inf` never down-weights.
        alpha, variance, warmup: in the first epoch, see GaussianDistribution.
        settings: of the judgement.
    """

    def __init__(
        self,
        num_heads: int = 1,
        threshold: float = FIRST_THRESHOLD,
        alpha: float = 0.9,
        variance: str = "running",
        warmup: int = 0,
        settings: Settings = Settings(),  # noqa: B008 (immutable)
    ) -> None:
        self.first = GaussianDistribution(num_heads, threshold, alpha, variance, warmup)
        self.never = threshold == torch.inf
        self.heads = [HeadJudge(settings) for _ in range(num_heads)]
        self._described: list[dict[str, Any]] = [{} for _ in range(num_heads)]

    @property
    def settled(self) -> bool:
        """See LossDistribution."""
        return any(head.populations is not None for head in self.heads)

    @property
    def some_are_wrong(self) -> bool:
        """See LossDistribution."""
        return not self.never and any(head.some_are_wrong for head in self.heads)

    def sums(self, losses: Tensor, heads: Tensor, usable: Tensor) -> Tensor:
        """Sums of a batch that the distribution of the first epoch learns from."""
        return self.first.sums(log_of(losses), heads, usable)

    def absorb(self, sums: Tensor) -> None:
        """Learn from the sums of a batch, in the first epoch."""
        self.first.absorb(sums)

    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """Weights of a batch in the first epoch: below 1/2 for likely gross errors, and exactly 1 for all others."""
        weight, zscore, _ = self.first.weigh(log_of(losses), heads)
        return Weighted(weight.masked_fill(weight >= 0.5, 1.0), zscore)

    def refit(self, seen: Remembered, processes: Processes = ALONE) -> Weighted | None:
        """Judge all configurations that were usable in the latest epoch, head by head; waits for the device."""
        result = _untouched(seen)
        for number, head in enumerate(self.heads):
            own = seen.head_of == number
            judged = head.refit(seen.rows[own], seen.seen.part(own), seen.size, processes, seen.at_once)
            if judged is not None:
                rows, verdict = judged
                _put(result, rows - seen.first, verdict)
                self._described[number] = head.describe() | in_numbers(seen, number, *judged, processes)
        return self._allowed(result) if self.settled else None

    def judge(self, seen: Remembered, processes: Processes = ALONE) -> Weighted:
        """Judge validation configurations beside those of the last epoch, head by head; others have weight 1."""
        result = _untouched(seen)
        of, heads = seen.rows if seen.of is None else seen.of, seen.heads.cpu().numpy()
        for number in np.unique(heads[seen.usable.cpu().numpy()]).tolist():
            own = np.flatnonzero(seen.head_of == number)
            judged = self.heads[number].judge(seen.rows[own], seen.seen.part(own), seen.size, processes)
            if judged is not None:
                rows, verdict = judged
                place = np.searchsorted(rows, of).clip(max=len(rows) - 1)
                found = (heads == number) & (rows[place] == of)
                _put(result, np.flatnonzero(found), verdict.part(place[found]))
        return self._allowed(result)

    def _allowed(self, result: Weighted) -> Weighted:
        """Weights of 1 where none is ever to be lower."""
        return Weighted(torch.ones_like(result.weight), result.zscore) if self.never else result

    def follow(self, before: LossDistribution) -> None:
        """Go on with the evidence of the stage before: errors don't depend on the stage."""
        if isinstance(before, MixtureDistribution):
            for head, earlier in zip(self.heads, before.heads, strict=True):
                head.put_back(earlier.snapshot())
            self._described = list(before._described)

    def carry(self, rows: np.ndarray, others: np.ndarray) -> None:
        """See LossDistribution."""
        for head in self.heads:
            head.carry(rows, others)

    def keep(self, processes: Processes, size: int, others: int) -> None:
        """See LossDistribution."""
        for head in self.heads:
            head.keep(processes, size)
            head.others.keep(processes, others)

    def describe(self) -> list[dict[str, Any]]:
        """Return kind "mixture" and what `HeadJudge.describe` says for each head, "lognormal" until it is judged."""
        return [
            {"kind": "mixture"} | judged if judged else early | {"kind": "lognormal"}
            for early, judged in zip(self.first.describe(), self._described, strict=True)
        ]

    def snapshot(self) -> Any:
        """See LossDistribution."""
        return self.first.snapshot(), [head.snapshot() for head in self.heads], list(self._described)

    def put_back(self, snapshot: Any) -> None:
        """See LossDistribution."""
        first, heads, self._described = snapshot
        self.first.put_back(first)
        for head, before in zip(self.heads, heads, strict=True):
            head.put_back(before)

    def state_dict(self) -> dict[str, Any]:
        """Return the running distribution, and what is known of each head."""
        return {
            "first": self.first.state_dict(),
            "judges": [
                _converted(head.to_dict(), np.ndarray, lambda array: torch.from_numpy(array.copy()))
                for head in self.heads
            ],
            "described": [dict(of_head) for of_head in self._described],
        }

    @staticmethod
    def apart(state: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """See LossDistribution."""
        judges = [{name: own for name, own in judge.items() if name not in OF_ROWS} for judge in state["judges"]]
        return state | {"judges": judges}, [{name: judge[name] for name in OF_ROWS} for judge in state["judges"]]

    @staticmethod
    def together(state: dict[str, Any], rows: Any) -> dict[str, Any]:
        """See LossDistribution."""
        return state | {"judges": [judge | own for judge, own in zip(state.get("judges", ()), rows, strict=True)]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where it is of another distribution or number of heads."""
        if len(state.get("judges", ())) != len(self.heads):
            raise ValueError(f"loss distribution: not of this kind, or not of {len(self.heads)} head(s)")
        self.first.load_state_dict(state["first"])
        for head, judged in zip(self.heads, state["judges"], strict=True):
            head.load(_converted(judged, Tensor, lambda tensor: tensor.cpu().numpy()))
        self._described = [dict(of_head) for of_head in state["described"]]

    def to(self, device: torch.device) -> "MixtureDistribution":
        """Move to `device`, in place."""
        self.first.to(device)
        return self


def _untouched(seen: Remembered) -> Weighted:
    """Weights of 1: when in doubt, a label is right."""
    one = torch.ones_like(seen.losses, dtype=widest(seen.losses.device))
    return Weighted(one, torch.zeros_like(one), {name: one.clone() for name in seen.seen.errors})


def _put(result: Weighted, rows: np.ndarray, verdict: Verdict) -> None:
    """Put what is thought of some rows among the others."""
    assert result.by_property is not None
    places = torch.from_numpy(rows).to(result.weight.device)
    columns = [(result.weight, verdict.weight), (result.zscore, verdict.zscore)]
    columns += [(result.by_property[name], weights) for name, weights in verdict.by_property.items()]
    for column, values in columns:
        column[places] = torch.from_numpy(values).to(column)


def _converted(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    """A state with everything of a kind converted."""
    if isinstance(value, dict):
        return {name: _converted(part, kind, convert) for name, part in value.items()}
    return convert(value) if isinstance(value, kind) else value
