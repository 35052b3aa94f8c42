"""How much of the loss is left once labels have lost their weight."""

import torch
from torch import Tensor

from ..method.processes import Processes
from .distribution import widest


def loss_left(losses: Tensor, before: Tensor, after: Tensor, processes: Processes) -> float:
    """Return the loss of the configurations of all processes by their new weights, over that by those of before.

        left = sum_i w'_i^2 l_i / sum_i w_i^2 l_i

    1 where they lost nothing. Waits for the device.

    Args:
        losses: (n,) l_i of those in the share of this process; 0 where there is none.
        before, after: (n,) w_i and w'_i.
        processes: of a distributed run; called in all of them.
    """
    losses = losses.to(widest(losses.device))
    sums = torch.stack([(weight.square() * losses).sum() for weight in (before, after)])
    of_before, of_now = processes.sum(sums.cpu().double().numpy())
    return float(of_now / of_before) if of_before > 0 else 1.0
