"""What is known of each training configuration: one row each, updated without reading anything back.

Memory is O(N) for N training configurations (41 bytes each, 49 where stress is trained), whatever the number of epochs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.labels import ALWAYS, LABEL_OF, RESIDUALS
from .distribution import bounded

MEMORY = 10  # epochs over which the mean weight of a configuration is taken
NOT_IN_TABLE = ("head", "times_seen", "mean_weight", "suspect_since", "by_property")


class Records:
    """The latest loss, weight, z-score and residuals of each training configuration, and when it was seen.

    Columns of `table` (N, C), float32 (whole numbers up to 2^24 are exact), each an attribute of shape (N,): `loss`
    (unit of the base loss; NaN: labels or loss were not finite), `weight` (in [0, 1]), `zscore` (sigmas), `time` of the
    last visit (epoch, and its fraction that had passed; -1: never seen), and the residuals of that visit, see
    `data.labels.RESIDUALS`: of energies and forces, and of what else is trained; NaN without a label. There is one
    table, so that a step writes once. Not in it, (N,): `head` (index), and what is updated once an epoch, `times_seen`
    (epochs), `mean_weight` (mean over the first MEMORY epochs, then an exponential moving average of that memory),
    `suspect_since` (epoch after which the weight fell below 1/2, and has been since; -1: it isn't) and `by_property`
    (N, properties), weights of the labels of each property that labels are judged by.

    Args:
        size: N.
        heads: (N,) which head each is of; None: there is one.
        labels: that are trained; beside energy and forces, each has a column.
    """

    UNSEEN = {"loss": 0.0, "weight": 1.0, "zscore": 0.0, "time": -1.0} | dict.fromkeys(LABEL_OF, torch.nan)

    def __init__(
        self,
        size: int,
        device: torch.device | str = "cpu",
        heads: np.ndarray | Sequence[int] | None = None,
        labels: Iterable[str] = (),
    ) -> None:
        left_out = RESIDUALS.keys() - {*ALWAYS, *labels}
        self.columns = tuple(name for name in self.UNSEEN if LABEL_OF.get(name) not in left_out)
        self.properties = [
            name for name in (LABEL_OF[column] for column in self.residual_names) if RESIDUALS[name].judged
        ]
        unseen = torch.tensor([self.UNSEEN[name] for name in self.columns], dtype=torch.float32, device=device)
        self.table = unseen.repeat(size, 1)
        self.head = torch.as_tensor(np.zeros(size) if heads is None else heads).to(device, torch.uint8)
        self.times_seen = torch.zeros(size, dtype=torch.int16, device=device)
        self.mean_weight = torch.ones(size, dtype=torch.float32, device=device)
        self.suspect_since = torch.full((size,), -1, dtype=torch.int16, device=device)
        self.by_property = torch.ones(size, len(self.properties), dtype=torch.float32, device=device)
        self.epoch, self.steps, self.step = 0, 1, 0

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> Tensor:
        """Return a column of the table (N,), by name; raises ValueError where there is none."""
        return self.table[:, self.columns.index(name)]

    loss = property(lambda self: self.column("loss"))
    weight = property(lambda self: self.column("weight"))
    zscore = property(lambda self: self.column("zscore"))
    time = property(lambda self: self.column("time"))
    last_epoch = property(lambda self: self.time.floor())
    residual_names = property(lambda self: self.columns[4:])
    nonfinite = property(lambda self: torch.isnan(self.loss))
    visited = property(lambda self: self.last_epoch == self.epoch)

    def observe(
        self,
        ids: Tensor,
        losses: Tensor,
        weights: Tensor | None = None,
        zscores: Tensor | None = None,
        residuals: Sequence[Tensor] = (),
    ) -> None:
        """Note the losses (B,) of the configurations `ids` (B,), what they were given, and residuals (B,) in order."""
        times = torch.full_like(losses, self.epoch + min(self.step / self.steps, 0.999))
        weights = self.weight[ids] if weights is None else weights
        zscores = self.zscore[ids] if zscores is None else zscores
        missing = [torch.full_like(losses, torch.nan)] * (len(self.residual_names) - len(residuals))
        rows = torch.stack((losses, weights, zscores, times, *residuals, *missing), dim=1)  # (B, C), of the widest type
        self.table[ids] = rows.to(self.table.dtype)
        self.step += 1

    def judge(
        self, which: Tensor, weights: Tensor, zscores: Tensor, by_property: dict[str, Tensor] | None = None
    ) -> None:
        """Set the weights (N,), z-scores (N,) and weights by property of the configurations in the mask `which` (N,).

        Losses read the weights from here: none that is NaN or not in [0, 1] gets in.
        """
        columns = [(self.weight, bounded(weights)), (self.zscore, zscores)]
        for name, of_property in (by_property or {}).items():
            if name in self.properties:
                columns.append((self.by_property[:, self.properties.index(name)], bounded(of_property)))
        for column, values in columns:
            column.copy_(torch.where(which, values.to(column.dtype), column))

    def factors(self, ids: Tensor, labels: Sequence[str]) -> dict[str, Tensor]:
        """Squared weights (B,) of each label of the configurations `ids`; that of all where it has none of its own."""
        factors, squares = dict.fromkeys(labels, self.weight[ids].square()), self.by_property[ids].square()
        return factors | {name: squares[:, k] for k, name in enumerate(self.properties) if name in factors}

    def known_of(self, head: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights and losses (M,) of the configurations of a head that were seen, on the host."""
        here = (self.head == head) & (self.time >= 0)
        return self.weight[here].cpu().numpy(), self.loss[here].cpu().numpy()

    def share_of_suspects(self, head: int) -> float:
        """Share of the configurations of a head, of those that can be judged, with a weight below 1/2."""
        weight = self.weight[(self.head == head) & (self.time >= 0) & (self.loss > 0)]  # NaN is not above 0
        return float((weight < 0.5).double().mean()) if len(weight) else 0.0

    # --- once an epoch -----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Count the visits that follow as those of an epoch of so many steps."""
        self.epoch, self.steps, self.step = epoch, max(steps, 1), 0

    def merge(self, sum_over_ranks: Callable[[Tensor], Tensor]) -> None:
        """Take over what the other processes saw in this epoch; all of them have to call it.

        A configuration that several processes saw, because a sampler repeats some to fill its last batches, gets the
        mean of what they noted.
        """
        seen_here = self.visited.unsqueeze(1)
        rows = torch.cat((self.table, torch.ones_like(seen_here)), dim=1)  # (N, C + 1)
        total = sum_over_ranks(torch.where(seen_here, rows, 0.0))
        visits = total[:, -1:]
        self.table = torch.where(visits > 0, total[:, :-1] / visits, self.table)

    def end_epoch(self) -> None:
        """Count this epoch's visits, and take their weights into the mean weight."""
        visited = self.visited
        self.times_seen += visited
        rate = visited / self.times_seen.clamp(1, MEMORY)
        self.mean_weight.lerp_(self.weight, rate.to(self.mean_weight.dtype))

    def note_suspects(self) -> None:
        """Note, after the judgement of an epoch, since when the weights that are below 1/2 have been."""
        low, since = self.weight < 0.5, self.suspect_since
        self.suspect_since = torch.where(low, torch.where(since < 0, self.epoch, since), -1).to(since.dtype)

    def visited_weights(self, head: int) -> Tensor:
        """Weights of this epoch's visits to `head`."""
        return self.weight[self.visited & (self.head == head)]

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all columns, as tensors of shape (N,)."""
        columns = {name: self.column(name).clone() for name in self.columns}
        return columns | {name: getattr(self, name).clone() for name in NOT_IN_TABLE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError, with nothing changed, where it is of another training set.

        A residual that the state has not, because another loss was trained, starts as one that was not seen yet.
        """
        state = {name: torch.full((len(self),), self.UNSEEN[name]) for name in self.residual_names} | state
        for name in (*self.columns, *NOT_IN_TABLE):
            if name not in state or len(state[name]) != len(self):
                raise ValueError(f"records: '{name}' is missing or is not of {len(self)} training configurations")
        if state["by_property"].shape != self.by_property.shape:  # another loss was trained
            state["by_property"] = torch.ones_like(self.by_property)
        state["weight"] = bounded(state["weight"])
        self.table = torch.stack([state[name].to(self.table) for name in self.columns], dim=1)
        for name in NOT_IN_TABLE:
            setattr(self, name, state[name].to(getattr(self, name)).clone())
