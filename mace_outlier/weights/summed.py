"""The processes of a distributed run, as the judgement needs them, by nothing but a sum over them."""

import secrets
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..method.processes import ALONE, Processes

SLOTS = 2**20  # random numbers of processes: two of 1,024 are the same every second time
T = TypeVar("T")


def processes_of(sum_over_ranks: Callable[[Tensor], Tensor] | None, device: torch.device) -> Processes:
    """Those of a distributed run, or, without a sum over them, this process alone."""
    return ALONE if sum_over_ranks is None else Summed(sum_over_ranks, device)


class FailedElsewhereError(RuntimeError):
    """What another process was to give will not come."""


class Summed(Processes):
    """Those of a distributed run; before each exchange, they ask whether all are well.

    Args:
        sum_over_ranks: returns the sum of a tensor over the processes; called in all alike.
        device: where it wants its tensors.
    """

    def __init__(self, sum_over_ranks: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._sum, self._device = sum_over_ranks, device
        self._place: tuple[int, int] | None = None  # rank and number, once they are asked for

    may_work_aside = property(lambda self: False)
    rank = property(lambda self: self._found()[0])
    number = property(lambda self: self._found()[1])

    def _found(self) -> tuple[int, int]:
        """Which of how many processes this is: its place among random numbers, one each, once no two are the same."""
        while self._place is None:
            own = secrets.randbelow(SLOTS)  # leaves the random numbers of the training alone
            taken = self._summed(np.bincount([own], minlength=SLOTS))
            if taken.max() == 1:
                self._place = int(taken[:own].sum()), int(taken.sum())
        return self._place

    def sum(self, values: np.ndarray) -> np.ndarray:
        """See Processes."""
        self._check()
        return self._summed(values)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """See Processes."""
        number, rank = self.number, self.rank
        self._check()
        shapes = np.zeros((number, 2), dtype=np.int64)
        shapes[rank] = len(rows), rows[:1].nbytes
        shapes = self._summed(shapes)
        if not shapes[:, 0].any():
            return rows
        own = np.zeros((0, int(shapes[:, 1].max())), dtype=np.uint8)
        if len(rows):
            own = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
        gathered = self._gathered(torch.from_numpy(own).to(self._device), shapes[:, 0]).cpu().numpy().view(rows.dtype)
        return gathered.reshape(len(gathered), *(rows.shape[1:] if len(rows) else (-1,) * (rows.ndim - 1)))

    def _gathered(self, own: Tensor, number: NDArray[np.int64]) -> Tensor:
        """Bytes (n, k) of all processes, of `number` rows each: they are added to zeros of the others."""
        ends = np.append(0, np.cumsum(number))
        every = own.new_zeros((int(ends[-1]), own.shape[1]))
        every[ends[self.rank] : ends[self.rank + 1]] = own
        return self._sum(every)

    def agree(self, work: Callable[[], T]) -> T:
        """See Processes; raises FailedElsewhereError where only another one fails."""
        try:
            result = work()
        except FailedElsewhereError:
            raise
        except Exception:
            self._check(failed=True)
            raise
        self._check()
        return result

    def _check(self, failed: bool = False) -> None:
        """Tell the others whether this process has failed, and raise where one of them has."""
        if self._summed(np.array([float(failed)]))[0] > failed:
            raise FailedElsewhereError("it failed in another process")

    def _summed(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(self._sum(torch.from_numpy(values).to(self._device)).cpu().numpy())
