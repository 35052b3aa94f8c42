"""What is known of configurations: a row each, updated without reading anything back.

Memory is O(n) for n configurations (42 bytes each, 50 where stress is trained), whatever the number of epochs.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.labels import ALWAYS, LABEL_OF, RESIDUALS
from .continued import continued
from .distribution import bounded
from .whose_fault import are_set_aside, codes_of, has_nothing

MEMORY = 10  # epochs over which the mean weight of a configuration is taken
NOT_IN_TABLE = ("times_seen", "mean_weight", "suspect_since", "by_property")
OF_A_VISIT = ("loss", "time")  # what is noted of a visit though its loss is not finite


class Rows:
    """The latest loss, weight, z-score and residuals of n configurations, and when each was seen.

    Columns of `table` (C, n), float32 (whole numbers up to 2^24 are exact), each an attribute of shape (n,): `loss`
    (unit of the base loss; not finite, or 0: see `codes`), `weight` (in [0, 1]), `zscore` (sigmas), `time` of the last
    visit (epoch, and its fraction that had passed; -1: never seen), and the residuals of that visit, see
    `data.labels.RESIDUALS`: of energies and forces, and of what else is trained; NaN without a label. Each column is
    in one piece, so that going through it is quick. Not in it, (n,): `head` (index), and what is updated once an epoch,
    `times_seen` (epochs), `mean_weight` (mean over the first MEMORY epochs, then an exponential moving average of that
    memory), `suspect_since` (epoch after which the weight fell below 1/2, and has been since; -1: it isn't) and
    `by_property` (n, properties), weights of the labels of each property that labels are judged by.
    `not_finite_since`: the epoch since which the model is finite for nothing of a head.

    Args:
        heads: (n,) which head each is of.
        device: where they are.
        labels: that are trained; beside energy and forces, each has a column.
    """

    UNSEEN = {"loss": 0.0, "weight": 1.0, "zscore": 0.0, "time": -1.0} | dict.fromkeys(LABEL_OF, torch.nan)

    def __init__(
        self, heads: np.ndarray | Sequence[int], device: torch.device | str = "cpu", labels: Iterable[str] = ()
    ) -> None:
        left_out = RESIDUALS.keys() - {*ALWAYS, *labels}
        self.columns = tuple(name for name in self.UNSEEN if LABEL_OF.get(name) not in left_out)
        self.properties = [
            name for name in (LABEL_OF[column] for column in self.residual_names) if RESIDUALS[name].judged
        ]
        unseen = torch.tensor([self.UNSEEN[name] for name in self.columns], dtype=torch.float32, device=device)
        self.head, size = torch.as_tensor(heads).to(device, torch.int16), len(heads)
        self.table = unseen.unsqueeze(1).repeat(1, size)
        self.times_seen = torch.zeros(size, dtype=torch.int16, device=device)
        self.mean_weight = torch.ones(size, dtype=torch.float32, device=device)
        self.suspect_since = torch.full((size,), -1, dtype=torch.int16, device=device)
        self.by_property = torch.ones(size, len(self.properties), dtype=torch.float32, device=device)
        self.not_finite_since: dict[int, int] = {}
        self.epoch = 0

    def __len__(self) -> int:
        return self.table.shape[1]

    def column(self, name: str) -> Tensor:
        """Return a column of the table (n,); raises ValueError where there is none."""
        return self.table[self.columns.index(name)]

    loss = property(lambda self: self.column("loss"))
    weight = property(lambda self: self.column("weight"))
    zscore = property(lambda self: self.column("zscore"))
    time = property(lambda self: self.column("time"))
    last_epoch = property(lambda self: self.time.floor())
    residual_names = property(lambda self: self.columns[4:])
    nonfinite = property(lambda self: ~self.loss.isfinite())
    visited = property(lambda self: self.last_epoch == self.epoch)

    @property
    def codes(self) -> Tensor:
        """What became of each configuration (n,), see `whose_fault`."""
        broken = torch.zeros_like(self.visited)
        for head, epoch in self.not_finite_since.items():
            broken |= (self.head == head) & (self.last_epoch >= epoch)
        return codes_of(self.loss, self.time >= 0, broken)

    def put(self, places: Tensor, visits: Tensor) -> None:
        """Note visits (m, C), columns as those of the table, of the configurations at `places` (m,), each once.

        Where a loss is not finite, all that was known before stays, until it is known whose fault that is; so does a
        z-score where that of the visit is NaN.
        """
        bad = ~visits[:, self.columns.index("loss")].isfinite()
        for name, column, new in zip(self.columns, self.table, visits.T, strict=True):
            if name not in OF_A_VISIT:
                stays = bad | new.isnan() if name == "zscore" else bad
                new = torch.where(stays, column[places], new)
            column[places] = new

    def judge(
        self, which: Tensor, weights: Tensor, zscores: Tensor, by_property: dict[str, Tensor] | None = None
    ) -> None:
        """Set the weights (n,), z-scores (n,) and weights by property of the configurations in the mask `which` (n,).

        Losses read the weights from here: none that is NaN or not in [0, 1] gets in.
        """
        columns = [(self.weight, bounded(weights)), (self.zscore, zscores)]
        for name, of_property in (by_property or {}).items():
            if name in self.properties:
                columns.append((self.by_property[:, self.properties.index(name)], bounded(of_property)))
        for column, values in columns:
            column.copy_(torch.where(which, values.to(column.dtype), column))

    # --- once an epoch -----------------------------------------------------------------------------------------------

    def count_visits(self) -> None:
        """Count this epoch's visits, take their weights into the mean weight, and set aside what can't be judged.

        What has no finite loss has weight 0, unless the model is at fault, and what has none has 1.
        """
        codes, visited = self.codes, self.visited
        aside = are_set_aside(codes)
        self.weight.masked_fill_(aside, 0.0).masked_fill_(has_nothing(codes), 1.0)
        self.zscore.masked_fill_(aside, 0.0)
        self.table[-len(self.residual_names) :].masked_fill_(aside, torch.nan)
        self.times_seen += visited
        rate = visited / self.times_seen.clamp(1, MEMORY)
        self.mean_weight.lerp_(self.weight, rate.to(self.mean_weight.dtype))

    def note_suspects(self) -> None:
        """Note, after the judgement of an epoch, since when the weights that are below 1/2 have been."""
        low, since = self.weight < 0.5, self.suspect_since
        self.suspect_since = torch.where(low, torch.where(since < 0, self.epoch, since), -1).to(since.dtype)

    def forget(self, which: Tensor) -> None:
        """Begin anew with the rows of a mask (n,), whose labels are others than those that were judged."""
        self.zscore.masked_fill_(which, 0.0)
        self.times_seen.masked_fill_(which, 1)
        for column in (self.weight, self.mean_weight, self.by_property):
            column[which] = 1.0

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return all columns, as tensors of shape (n,), and `not_finite_since`."""
        columns = {name: self.column(name).clone() for name in self.columns}
        columns |= {name: getattr(self, name).clone() for name in ("head", *NOT_IN_TABLE)}
        return columns | {"not_finite_since": dict(self.not_finite_since)}

    def continue_from(self, state: dict[str, Any], rows: np.ndarray, before: int) -> None:
        """Continue from `state`, see `continued`; raises ValueError, with nothing changed, where it doesn't fit."""
        now = continued(self.state_dict(), state, rows, before)
        self.table = torch.stack([now[name] for name in self.columns])
        for name in (*NOT_IN_TABLE, "not_finite_since"):
            setattr(self, name, now[name])
