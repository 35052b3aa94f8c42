"""What the processes of a distributed run share; the identity where there is one process."""

from typing import Any

import torch.distributed
from torch import Tensor


def active() -> bool:
    """True in a distributed run of more than one process."""
    dist = torch.distributed
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


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


def mean_sizes(configurations: int, atoms: int, device: torch.device) -> tuple[float | Tensor, float | Tensor]:
    """Return configurations and atoms in a batch, averaged over all processes: MACE's losses average globally."""
    if not active():
        return configurations, atoms
    sizes = torch.tensor([configurations, atoms], dtype=torch.float64, device=device)
    mean = sum_over_ranks(sizes) / torch.distributed.get_world_size()
    return mean[0], mean[1]
