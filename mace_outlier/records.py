"""What is known of each training configuration: one row each, updated without reading anything back.

Memory is O(N) for N training configurations (24 bytes each), whatever the number of epochs.
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
    """The latest loss, weight and z-score of each training configuration, and when it was seen.

    Columns of `table` (N, 5), float32 (whole numbers up to 2^24 are exact), each an attribute of shape (N,): `loss`
    (unit of the base loss; NaN: labels or loss were not finite), `weight` (in [0, 1]), `zscore` (sigmas), `last_epoch`
    (-1: never seen), `head` (index). `times_seen` (N,) counts the epochs in which it was seen. There is one table, so
    that a step writes once.
    """

    COLUMNS = ("loss", "weight", "zscore", "last_epoch", "head")
    UNSEEN = (0.0, 1.0, 0.0, -1.0, 0.0)

    def __init__(self, size: int, device: torch.device | str = "cpu") -> None:
        self.table = torch.tensor(self.UNSEEN, dtype=torch.float32, device=device).repeat(size, 1)
        self.times_seen = torch.zeros(size, dtype=torch.int32, device=device)
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.table)

    def _column(self, name: str) -> Tensor:
        return self.table[:, self.COLUMNS.index(name)]

    loss = property(lambda self: self._column("loss"))
    weight = property(lambda self: self._column("weight"))
    zscore = property(lambda self: self._column("zscore"))
    last_epoch = property(lambda self: self._column("last_epoch"))
    head = property(lambda self: self._column("head"))
    nonfinite = property(lambda self: torch.isnan(self.loss))

    def observe(
        self, ids: Tensor, heads: Tensor, losses: Tensor, weights: Tensor | None = None, zscores: Tensor | None = None
    ) -> None:
        """Note the losses (B,) of the configurations `ids` (B,), and what they were given; None keeps what it was."""
        epochs = torch.full_like(losses, self.epoch)
        weights = self.weight[ids] if weights is None else weights
        zscores = self.zscore[ids] if zscores is None else zscores
        rows = torch.stack((losses, weights, zscores, epochs, heads), dim=1)  # (B, 5), the widest of their types
        self.table[ids] = rows.to(self.table.dtype)

    def judge(self, which: Tensor, weights: Tensor, zscores: Tensor) -> None:
        """Set the weights (N,) and z-scores (N,) of the configurations in the mask `which` (N,)."""
        self.weight.copy_(torch.where(which, weights.to(self.table.dtype), self.weight))
        self.zscore.copy_(torch.where(which, zscores.to(self.table.dtype), self.zscore))

    def end_epoch(self) -> None:
        """Count this epoch's visits."""
        self.times_seen += self.last_epoch == self.epoch

    def summary(self, head: int) -> HeadSummary:
        """Summarise the current epoch's visits to `head`; waits for the device, so call it once an epoch."""
        visited = (self.last_epoch == self.epoch) & (self.head == head)
        count = visited.sum()
        mean = torch.where(visited, self.weight, 0.0).sum(dtype=torch.float64) / count
        below = (visited & (self.weight < 0.5)).sum() / count
        values = torch.stack((count.double(), mean, below.double())).tolist()
        return HeadSummary(int(values[0]), values[1], values[2])

    def state_dict(self) -> dict[str, Any]:
        """Return the columns and `times_seen`, as tensors of shape (N,)."""
        columns = {name: self._column(name).clone() for name in self.COLUMNS}
        return columns | {"times_seen": self.times_seen.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError, with nothing changed, where it is of another training set."""
        for name in (*self.COLUMNS, "times_seen"):
            if name not in state or len(state[name]) != len(self):
                raise ValueError(f"records: '{name}' is missing or is not of {len(self)} training configurations")
        self.table = torch.stack([state[name].to(self.table) for name in self.COLUMNS], dim=1)
        self.times_seen = state["times_seen"].to(self.times_seen).clone()

    def to(self, device: torch.device) -> "Records":
        """Move to `device`, in place."""
        self.table, self.times_seen = self.table.to(device), self.times_seen.to(device)
        return self
