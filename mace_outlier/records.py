"""What is known of each training configuration: one row of tensors each, updated without reading anything back.

Memory is O(N) for N training configurations (23 bytes each), whatever the number of epochs.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class HeadSummary(NamedTuple):
    """The configurations of one head that were visited in one epoch."""

    visited: int
    mean_weight: float
    share_below_half: float  # in [0, 1]


class Records:
    """Latest loss, z-score and weight of each training configuration, when it was seen, and whether it was finite.

    Columns, each of shape (N,): `loss` (unit of the base loss), `zscore` (sigmas), `weight` (in [0, 1]), `times_seen`,
    `last_epoch` (-1: never seen), `head` (index), `nonfinite` (labels or loss were NaN or infinite at least once).
    """

    COLUMNS = {
        "loss": torch.float32,
        "zscore": torch.float32,
        "weight": torch.float32,
        "times_seen": torch.int32,
        "last_epoch": torch.int32,
        "head": torch.int16,
        "nonfinite": torch.bool,
    }

    def __init__(self, size: int, device: torch.device | str = "cpu") -> None:
        for name, dtype in self.COLUMNS.items():
            setattr(self, name, torch.zeros(size, dtype=dtype, device=device))
        self.weight.fill_(1.0)
        self.last_epoch.fill_(-1)
        self.epoch = 0

    loss: Tensor
    zscore: Tensor
    weight: Tensor
    times_seen: Tensor
    last_epoch: Tensor
    head: Tensor
    nonfinite: Tensor

    def __len__(self) -> int:
        return len(self.loss)

    def observe(self, ids: Tensor, heads: Tensor, losses: Tensor, finite: Tensor) -> None:
        """Note the losses (B,) of the configurations `ids` (B,); a non-finite one keeps its last finite loss."""
        largest = torch.finfo(torch.float32).max  # a finite loss stays finite here
        self.loss[ids] = torch.where(finite, losses.clamp_max(largest).to(torch.float32), self.loss[ids])
        self.nonfinite[ids] |= ~finite
        self.times_seen[ids] += 1
        self.last_epoch[ids] = self.epoch
        self.head[ids] = heads.to(torch.int16)

    def judge(self, ids: Tensor, weights: Tensor, zscores: Tensor) -> None:
        """Note the weights (B,) and z-scores (B,) that the configurations `ids` (B,) were given."""
        self.weight[ids] = weights.to(torch.float32)
        self.zscore[ids] = zscores.to(torch.float32)

    def summary(self, head: int) -> HeadSummary:
        """Summarise the current epoch's visits to `head`; waits for the device, so call it once an epoch."""
        visited = (self.last_epoch == self.epoch) & (self.head == head)
        count = visited.sum()
        mean = torch.where(visited, self.weight, 0.0).sum(dtype=torch.float64) / count
        below = (visited & (self.weight < 0.5)).sum() / count
        values = torch.stack((count.double(), mean, below.double())).tolist()
        return HeadSummary(int(values[0]), values[1], values[2])

    def state_dict(self) -> dict[str, Any]:
        """Return the columns, as tensors."""
        return {name: getattr(self, name).clone() for name in self.COLUMNS}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError, with nothing changed, where it is of another training set."""
        for name in self.COLUMNS:
            if name not in state or len(state[name]) != len(self):
                raise ValueError(f"records: '{name}' is missing or is not of {len(self)} training configurations")
        for name in self.COLUMNS:
            setattr(self, name, state[name].to(getattr(self, name)).clone())

    def to(self, device: torch.device) -> "Records":
        """Move to `device`, in place."""
        for name in self.COLUMNS:
            setattr(self, name, getattr(self, name).to(device))
        return self
