"""What wrong labels leave behind in an optimiser: Adam divides each step by what it remembers of gradients' squares.

That memory is a running mean over a thousand steps, with AMSGrad, which MACE uses, the largest that it ever was. Large
gradients of labels that have no weight any more would keep all later steps small. So it begins anew once these labels
are known, as it begins in the first step of a training.
"""

import logging
from typing import Any

import torch
from torch import Tensor

HALF = 0.5  # of the loss, which goes as the squares of its gradients: steps are smaller than they should be by 1.4


class Moments:
    """How much of the loss that an optimiser remembers is of labels that have lost their weight since.

    Args:
        renewed: whether it is to forget its gradients once that is more than half of it; False: never.
    """

    def __init__(self, renewed: bool = True) -> None:
        self.renewed = renewed
        self.left = 1.0  # of that loss

    def outlive(self, left: float, optimizer: Any) -> None:
        """Note what is left of the loss since the last time, see `loss_left`; in all processes alike."""
        self.left *= left
        if not self.renewed or self.left >= HALF:
            return
        share, self.left = 1 - self.left, 1.0
        if forget_gradients(optimizer):
            logging.info(f"{share:.0%} of the loss have lost their weight: the moments of the optimiser begin anew")


@torch.no_grad()
def forget_gradients(optimizer: Any) -> bool:
    """Make the moments of Adam or AdamW and its count of steps what they are at first; return whether it has any."""
    if not isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        return False
    for own in optimizer.state.values():
        for name, value in own.items():
            own[name] = value.zero_() if isinstance(value, Tensor) else type(value)(0)
    return bool(optimizer.state)
