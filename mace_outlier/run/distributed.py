"""What the processes of a distributed run share; the identity where there is one process."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from ..data.metadata import Metadata


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


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Return the sum of `tensor` over all processes."""
    if active():
        tensor = tensor.contiguous()
        torch.distributed.all_reduce(tensor)
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
