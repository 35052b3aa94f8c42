"""What the processes of a distributed run share; the identity where there is one process."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import Tensor

from ..data.metadata import Metadata
from ..faults import faults_logged
from ..method.processes import ALONE, Processes
from ..weights.summed import Summed

LARGE = 1e7  # configurations from which each process saves its own


def active() -> bool:
    """True in a distributed run of more than one process."""
    dist = torch.distributed
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def shared_sum() -> Callable[[Tensor], Tensor] | None:
    """Return `sum_over_ranks`, or None where there is one process."""
    return sum_over_ranks if active() else None


def merge_metadata(metadata: Metadata, device: torch.device) -> None:
    """Take over what the other processes know of the configurations; all of them have to call this."""
    if active():
        metadata.merge(largest_over_ranks, gather, device)


def sum_over_ranks(tensor: Tensor, group: Any = None) -> Tensor:
    """Return the sum of `tensor` over all processes; `group`: of which it is a collective, None: that of the run."""
    if active():
        tensor = tensor.contiguous()
        torch.distributed.all_reduce(tensor, group=group)
    return tensor


def largest_over_ranks(tensor: Tensor) -> Tensor:
    """Return the element-wise maximum of `tensor` over all processes."""
    if active():
        tensor = tensor.contiguous()
        torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MAX)
    return tensor


def gather(value: Any) -> list[Any]:
    """Return the `value` of every process."""
    if not active():
        return [value]
    values = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def gather_rows(table: Tensor) -> Tensor:
    """Return the rows (V, C) of all processes, one after the other; each may have another number of them."""
    return torch.cat([rows.to(table.device) for rows in gather(table.cpu())]) if active() else table


def processes(device: torch.device) -> Processes:
    """Those of the run, for the judgement, which can be made beside a training if there is a group for that.

    All processes have to call it.
    """
    if not active():
        return ALONE
    group = _group_of_ours(device)
    return Ranks(device) if group is None else Ranks(torch.device("cpu"), group)


def _group_of_ours(device: torch.device) -> Any:
    """A group of all processes, in which nobody else has collectives, on the host; None: not all of them have one."""
    group = None
    with faults_logged("The judgement is not made beside the validation: the processes could not be joined by Gloo"):
        group = torch.distributed.new_group(backend="gloo")
    all_have_one = sum_over_ranks(torch.tensor([float(group is None)], device=device)).item() == 0
    return group if all_have_one else None


class Ranks(Summed):
    """Those of torch.distributed: rows go to the processes that they are for, and to no other.

    Args:
        device: where the group wants its tensors.
        group: that nobody else uses; None: that of the run.
    """

    def __init__(self, device: torch.device, group: Any = None) -> None:
        # torch.distributed ends its groups with the run. A reference would keep the threads of this one until Python
        # itself ends, which may then wait for them for ever (https://github.com/pytorch/pytorch/issues/190489)
        known: Callable[[], Any] = (lambda: None) if group is None else weakref.ref(group)
        super().__init__(lambda tensor: sum_over_ranks(tensor, known()), device)
        self._known = known
        self._place = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self._sends: bool | None = None  # whether the backend can, once that is known
        self.fewest_in_parts = LARGE

    _group = property(lambda self: self._known())
    may_work_aside = property(lambda self: self._group is not None)

    def _gathered(self, own: Tensor, number: NDArray[np.int64]) -> Tensor:
        """See Summed; all get as many rows as the process that has most."""
        every = own.new_empty((self.number, int(number.max()), *own.shape[1:]))
        every[self.rank, : len(own)] = own
        torch.distributed.all_gather(list(every), every[self.rank].clone(), group=self._group)
        return torch.cat([rows[:some] for rows, some in zip(every, number.tolist(), strict=True)])

    def exchange(self, rows: np.ndarray, to: NDArray[np.int64]) -> np.ndarray:
        """See Processes."""
        if not self._can_send():
            return super().exchange(rows, to)
        self._check()
        given = np.bincount(to, minlength=self.number)
        taken = self._sent(given, [1] * self.number, [1] * self.number)
        return self._sent(rows[np.argsort(to, kind="stable")], given.tolist(), taken.tolist())

    def kept(self, columns: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """See Processes; it is the first process that saves."""
        if not self._can_send():
            return super().kept(columns, size)
        self._check()
        shares, nothing = np.diff(self.ends(size)).tolist(), [0] * self.number
        given, taken = [shares[self.rank], *nothing[1:]], nothing if self.rank else shares
        sent = [self._sent(column, given, taken) for column in columns]
        return list(columns) if self.rank else sent

    def _sent(self, rows: np.ndarray, given: list[int], taken: list[int]) -> np.ndarray:
        """Rows from all processes, in their order, of which this one gives and takes so many to and from each."""
        width = rows.itemsize * int(np.prod(rows.shape[1:]))
        own = np.ascontiguousarray(rows).reshape(-1).view(np.uint8).reshape(len(rows), width)  # any backend sends bytes
        received = torch.empty((sum(taken), width), dtype=torch.uint8, device=self._device)
        torch.distributed.all_to_all_single(
            received, torch.from_numpy(own).to(self._device), taken, given, group=self._group
        )
        every = np.asarray(received.cpu().numpy()).reshape(-1).view(rows.dtype)
        return every.reshape(-1, *rows.shape[1:])

    def _can_send(self) -> bool:
        """Whether the backend sends rows to single processes; it says the same in all."""
        if self._sends is None:
            try:
                self._sent(np.zeros(self.number), [1] * self.number, [1] * self.number)
                self._sends = True
            except RuntimeError:  # NotImplementedError is one
                self._sends = False
        return self._sends
