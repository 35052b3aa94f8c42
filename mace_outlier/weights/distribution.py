"""How losses are distributed, one distribution for each head: what a training asks of any. Torch only; knows no host.

Symbols: B configurations in a batch, H heads, l loss of a configuration (the unit of the host's loss), z in sigmas,
w in [0, 1] with 1 = trusted and 0 = outlier.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..method.processes import ALONE, Processes
from ..method.seen import Seen


def widest(device: torch.device) -> torch.dtype:
    """The most precise type of a device: float64, but float32 on Apple's MPS, which has no other."""
    return torch.float32 if device.type == "mps" else torch.float64


class Weighted(NamedTuple):
    """What a distribution says of a batch of configurations."""

    weight: Tensor  # (B,) in [0, 1]
    zscore: Tensor  # (B,) in sigmas
    by_property: dict[str, Tensor] | None = None  # (B,) each in [0, 1]; None: properties are not told apart


def bounded(weights: Tensor) -> Tensor:
    """Weights as a loss may have them: in [0, 1], and 1 in place of NaN; doesn't wait for the device."""
    return weights.nan_to_num(1.0).clamp(0.0, 1.0)


class Remembered(NamedTuple):
    """What is known of N configurations after their last visit.

    Of several processes, each has n of them, those of its share of the rows, and what it has seen itself of m others.
    """

    losses: Tensor  # (n,)
    heads: Tensor  # (n,) integer
    usable: Tensor  # (n,) boolean: seen, and with a finite loss above 0
    latest: Tensor  # (n,) boolean: seen in the latest epoch
    seen: Seen  # (m,) what else, on the host
    rows: NDArray[np.int64]  # (m,) which of the N these are, ascending for training configurations
    head_of: NDArray[np.int64]  # (m,) their heads; -1: not usable
    size: int  # N
    first: int = 0  # row of the share
    of: NDArray[np.int64] | None = None  # (n,) of a validation set, which all know: the rows in any order
    at_once: bool = False  # seen by a model that isn't trained any more: there won't be another look


class LossDistribution(ABC):
    """The distribution of the per-configuration losses, one for each head.

    Callers: `update` and `weigh` at every optimiser step, `refit` at the end of an epoch, from what is remembered of
    every training configuration, and `judge` for validation configurations, from which nothing is learnt.
    """

    @property
    def settled(self) -> bool:
        """Whether a training step takes the weights of the last `refit` instead of weighing its batch."""
        return False

    @property
    def some_are_wrong(self) -> bool:
        """Whether the data are known to hold wrong labels, of which not all may be found."""
        return False

    def update(self, losses: Tensor, heads: Tensor, usable: Tensor) -> None:
        """Learn from one batch: finite losses (B,), heads (B,) integer, usable (B,) boolean; others are ignored."""
        self.absorb(self.sums(losses, heads, usable))

    @abstractmethod
    def sums(self, losses: Tensor, heads: Tensor, usable: Tensor) -> Tensor:
        """What `absorb` needs to know of a batch; the sum over the processes of a distributed run is that of theirs."""

    @abstractmethod
    def absorb(self, sums: Tensor) -> None:
        """Learn from a batch by its `sums`."""

    @abstractmethod
    def weigh(self, losses: Tensor, heads: Tensor) -> Weighted:
        """Weights and z-scores of losses (B,) under heads (B,), by what has been learnt so far."""

    def refit(self, seen: Remembered, processes: Processes = ALONE) -> Weighted | None:
        """Learn from all remembered configurations at the end of an epoch, and judge the n; None: nothing to do so.

        `processes`: of a distributed run; all of them call this, as they do `judge`.
        """
        return None

    def judge(self, seen: Remembered, processes: Processes = ALONE) -> Weighted:
        """Weights and z-scores (n,) of other configurations, which one model has evaluated, alike in all processes."""
        return self.weigh(seen.losses, seen.heads)

    def follow(self, before: "LossDistribution") -> None:  # noqa: B027 (optional on purpose)
        """Take over what holds in the next stage of a training as well, where losses have another scale."""

    def carry(self, rows: np.ndarray, others: np.ndarray) -> None:  # noqa: B027 (optional on purpose)
        """Go on with other training and validation configurations: the row so far of each (n,), -1: new.

        They are those of the share of this process; after `load_state_dict`, rows are places among all.
        """

    def keep(self, processes: Processes, size: int, others: int) -> None:  # noqa: B027 (optional on purpose)
        """Tell whoever may save it what is known of `size` training and `others` validation configurations."""

    @abstractmethod
    def describe(self) -> list[dict[str, Any]]:
        """What the report draws, for each head: "kind", "location", "scale" and what belongs to that kind; waits."""

    def snapshot(self) -> Any:
        """How it is now, for `put_back`."""
        return self.state_dict()

    def put_back(self, snapshot: Any) -> None:
        """Make all as it was."""
        self.load_state_dict(snapshot)

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on: tensors and builtins only."""

    @staticmethod
    def apart(state: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """A `state_dict` without what it has for each training configuration, and that: nested, columns (n, ...)."""
        return state, []

    @staticmethod
    def together(state: dict[str, Any], rows: Any) -> dict[str, Any]:
        """A `state_dict` of what is `apart`."""
        return state

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError, with nothing changed, where it doesn't fit."""

    @abstractmethod
    def to(self, device: torch.device) -> "LossDistribution":
        """Move the state to `device`, in place."""
