"""What is known of each training configuration: one row each, updated without reading anything back.

Memory is O(N) for N training configurations (42 bytes each, 50 where stress is trained), whatever the number of epochs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.labels import ALWAYS, LABEL_OF, RESIDUALS
from .continued import continued
from .distribution import bounded
from .whose_fault import are_set_aside, codes_of, has_nothing, is_broken

MEMORY = 10  # epochs over which the mean weight of a configuration is taken
NOT_IN_TABLE = ("times_seen", "mean_weight", "suspect_since", "by_property")


class Records:
    """The latest loss, weight, z-score and residuals of each training configuration, and when it was seen.

    Columns of `table` (C, N), float32 (whole numbers up to 2^24 are exact), each an attribute of shape (N,): `loss`
    (unit of the base loss; not finite, or 0: see `codes`), `weight` (in [0, 1]), `zscore` (sigmas), `time` of the last
    visit (epoch, and its fraction that had passed; -1: never seen), and the residuals of that visit, see
    `data.labels.RESIDUALS`: of energies and forces, and of what else is trained; NaN without a label. There is one
    table, so that a step writes once; each column is in one piece, so that going through it is quick. Not in it, (N,):
    `head` (index), and what is updated once an epoch, `times_seen` (epochs), `mean_weight` (mean over the first MEMORY
    epochs, then an exponential moving average of that memory), `suspect_since` (epoch after which the weight fell below
    1/2, and has been since; -1: it isn't) and `by_property` (N, properties), weights of the labels of each property
    that labels are judged by. `not_finite_since`: the epoch since which the model is finite for nothing of a head.

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
        self.table = unseen.unsqueeze(1).repeat(1, size)
        self.head = torch.as_tensor(np.zeros(size) if heads is None else heads).to(device, torch.int16)
        self.times_seen = torch.zeros(size, dtype=torch.int16, device=device)
        self.mean_weight = torch.ones(size, dtype=torch.float32, device=device)
        self.suspect_since = torch.full((size,), -1, dtype=torch.int16, device=device)
        self.by_property = torch.ones(size, len(self.properties), dtype=torch.float32, device=device)
        self.not_finite_since: dict[int, int] = {}
        self.epoch, self.steps, self.step = 0, 1, 0
        stays = [name not in ("loss", "time") for name in self.columns]  # where a loss is not finite
        self._stays = torch.tensor(stays, device=device).unsqueeze(1)

    def __len__(self) -> int:
        return self.table.shape[1]

    def column(self, name: str, rows: Tensor | None = None) -> Tensor:
        """Return a column of the table (N,), or of some of its rows (C, B); raises ValueError where there is none."""
        return (self.table if rows is None else rows)[self.columns.index(name)]

    loss = property(lambda self: self.column("loss"))
    weight = property(lambda self: self.column("weight"))
    zscore = property(lambda self: self.column("zscore"))
    time = property(lambda self: self.column("time"))
    last_epoch = property(lambda self: self.time.floor())
    residual_names = property(lambda self: self.columns[4:])
    nonfinite = property(lambda self: ~self.loss.isfinite())
    visited = property(lambda self: self.last_epoch == self.epoch)

    def observe(
        self,
        ids: Tensor,
        losses: Tensor,
        weights: Tensor | None = None,
        zscores: Tensor | None = None,
        residuals: Sequence[Tensor] = (),
        bad: Tensor | None = None,
        before: Tensor | None = None,
    ) -> None:
        """Note the losses (B,) of the configurations `ids` (B,), what they were given, and residuals (B,) in order.

        Where a loss is not finite (`bad`, if that is known), all that was known before stays, until the end of the
        epoch shows whose fault that is. `before`: their rows of the table (C, B), if these are known.
        """
        before = self.table[:, ids] if before is None else before
        times = torch.full_like(losses, self.epoch + min(self.step / self.steps, 0.999))
        weights = self.column("weight", before) if weights is None else weights
        zscores = self.column("zscore", before) if zscores is None else zscores
        missing = len(self.residual_names) - len(residuals)
        unknown = [torch.full_like(losses, torch.nan)] * missing if missing else []
        rows = torch.stack((losses, weights, zscores, times, *residuals, *unknown))  # (C, B), of the widest type
        bad = ~losses.isfinite() if bad is None else bad
        self.table[:, ids] = torch.where(bad & self._stays, before, rows.to(self.table.dtype))
        self.step += 1

    @property
    def codes(self) -> Tensor:
        """What became of each configuration (N,), see `whose_fault`."""
        broken = torch.zeros_like(self.visited)
        for head, epoch in self.not_finite_since.items():
            broken |= (self.head == head) & (self.last_epoch >= epoch)
        return codes_of(self.loss, self.time >= 0, broken)

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

    # --- once an epoch -----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Count the visits that follow as those of an epoch of so many steps."""
        self.epoch, self.steps, self.step = epoch, max(steps, 1), 0

    def merge(self, sum_over_ranks: Callable[[Tensor], Tensor]) -> None:
        """Take over what the other processes saw in this epoch; all of them have to call it.

        What several saw, because a sampler repeats some to fill its last batches, gets the mean of what they noted.
        """
        seen_here, own = self.visited, self.table.new_empty(len(self.columns) + 1, len(self))
        own[:-1].copy_(self.table).masked_fill_(~seen_here, 0.0)
        own[-1] = seen_here
        total = sum_over_ranks(own)
        noted, visits = total[:-1], total[-1]
        self.table = torch.where(visits > 0, noted.div_(visits), self.table)

    def end_epoch(self) -> None:
        """Count this epoch's visits, take their weights into the mean weight, and set aside what can't be judged."""
        visited = self.visited
        self._set_aside(visited)
        self.times_seen += visited
        rate = visited / self.times_seen.clamp(1, MEMORY)
        self.mean_weight.lerp_(self.weight, rate.to(self.mean_weight.dtype))

    def _set_aside(self, visited: Tensor) -> None:
        """Give weight 0 to what has no finite loss, unless the model is at fault, and 1 to what has none; waits."""
        for head in self.head[visited].int().bincount().nonzero().flatten().tolist():
            here = visited & (self.head == head)
            broken = is_broken(self.loss[here], self.time[here])
            if broken:
                self.not_finite_since.setdefault(head, self.epoch)
            elif broken is False:
                self.not_finite_since.pop(head, None)
        codes = self.codes
        aside = are_set_aside(codes)
        self.weight.masked_fill_(aside, 0.0).masked_fill_(has_nothing(codes), 1.0)
        self.zscore.masked_fill_(aside, 0.0)
        self.table[-len(self.residual_names) :].masked_fill_(aside, torch.nan)

    def note_suspects(self) -> None:
        """Note, after the judgement of an epoch, since when the weights that are below 1/2 have been."""
        low, since = self.weight < 0.5, self.suspect_since
        self.suspect_since = torch.where(low, torch.where(since < 0, self.epoch, since), -1).to(since.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return all columns, as tensors of shape (N,), and `not_finite_since`."""
        columns = {name: self.column(name).clone() for name in self.columns}
        columns |= {name: getattr(self, name).clone() for name in ("head", *NOT_IN_TABLE)}
        return columns | {"not_finite_since": dict(self.not_finite_since)}

    def load_state_dict(self, state: dict[str, Any], rows: np.ndarray | None = None) -> None:
        """Continue from `state`, see `continued`; raises ValueError, with nothing changed, where it doesn't fit."""
        now = continued(self.state_dict(), state, rows)
        self.table = torch.stack([now[name] for name in self.columns])
        for name in (*NOT_IN_TABLE, "not_finite_since"):
            setattr(self, name, now[name])

    def forget(self, which: Tensor) -> None:
        """Begin anew with the rows of a mask (N,), whose labels are others than those that were judged."""
        self.zscore.masked_fill_(which, 0.0)
        self.times_seen.masked_fill_(which, 1)
        for column in (self.weight, self.mean_weight, self.by_property):
            column[which] = 1.0
