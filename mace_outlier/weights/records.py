"""What is known of each training configuration: noted step by step, put together once an epoch.

Of several processes, each notes what it sees, and keeps the records of its share of the rows; all know all weights.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..method.processes import ALONE, Processes
from .noted import Noted
from .rows import NOT_IN_TABLE, Rows
from .whose_fault import broken_heads


class Records(Rows):
    """Rows of N training configurations, of those in the share of this process: n, all where it is alone.

    Args:
        size: N.
        device: where they are.
        heads: (N,) which head each is of; None: there is one.
        labels: that are trained, see Rows.
        processes: of a distributed run.
        by_property: whether losses ask for the weights of single labels, see `factors`.
    """

    def __init__(
        self,
        size: int,
        device: torch.device | str = "cpu",
        heads: np.ndarray | Sequence[int] | None = None,
        labels: Iterable[str] = (),
        processes: Processes = ALONE,
        by_property: bool = False,
    ) -> None:
        self.size, self.processes, self.share = size, processes, processes.share(size)
        self.heads = np.zeros(size, dtype=np.int16) if heads is None else np.asarray(heads)
        self._labels, self._by_property = tuple(labels), by_property
        super().__init__(self.heads[self.share], device, self._labels)
        self.steps, self.step = 1, 0
        self.visits, self._put = Noted(size), True  # of this epoch, here; whether they are in the table
        self.newcomers: Tensor | None = None  # (N,) which were never seen; None: all were
        self._given = self._given_by_property = torch.ones(0)  # (N,), (N, properties), where there are others
        self._everyone: Rows | None = None
        self.tell()

    alone = property(lambda self: self.processes.number == 1)
    given = property(lambda self: self.weight if self.alone else self._given)
    given_by_property = property(lambda self: self.by_property if self.alone else self._given_by_property)

    @property
    def everyone(self) -> Rows | None:
        """Those of all N configurations, since `keep`, in the process that may save them; None in others."""
        return self if self.alone else self._everyone

    # --- in a step ---------------------------------------------------------------------------------------------------

    def note(
        self,
        ids: Tensor,
        losses: Tensor,
        weights: Tensor | None = None,
        zscores: Tensor | None = None,
        residuals: Sequence[Tensor] = (),
    ) -> None:
        """Note the losses (B,) of the configurations `ids` (B,), what they were given, and residuals (B,) in order.

        Weights of None are those that are known, z-scores of None as well. Where a loss is not finite, it says why, see
        `whose_fault`.
        """
        time = torch.full_like(losses, self.epoch + min(self.step / self.steps, 0.999))
        weights = self.given[ids] if weights is None else weights
        unknown = torch.full_like(losses, torch.nan)
        missing = [unknown] * (len(self.residual_names) - len(residuals))
        columns = losses, weights, unknown if zscores is None else zscores, time, *residuals, *missing
        self.visits.add(ids, torch.stack(columns, dim=1).to(self.table.dtype))
        self._put = False
        self.step += 1

    def factors(self, ids: Tensor, labels: Sequence[str]) -> dict[str, Tensor]:
        """Squared weights (B,) of each label of the configurations `ids`; that of all where it has none of its own."""
        factors, squares = dict.fromkeys(labels, self.given[ids].square()), self.given_by_property[ids].square()
        return factors | {name: squares[:, k] for k, name in enumerate(self.properties) if name in factors}

    # --- once an epoch; in all processes -----------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Count the visits that follow as those of an epoch of so many steps."""
        self.epoch, self.steps, self.step = epoch, max(steps, 1), 0
        self.visits.clear()
        self._put = True

    def seen(self) -> tuple[NDArray[np.int64], dict[str, Tensor]]:
        """Rows (m,) that were seen here in this epoch, ascending, and the columns (m,) of their latest visits."""
        rows, order = self.visits.latest()
        columns = self.visits.columns.T if len(rows) else self.table
        return rows.cpu().numpy(), {name: own[order] for name, own in zip(self.columns, columns, strict=True)}

    def merge(self) -> None:
        """Put what was seen since the last time, by whichever process, in its place.

        What several saw, because a sampler repeats some to fill its last batches, gets the mean of what they noted.
        """
        rows, visits = torch.empty(0, dtype=torch.long), torch.empty(0, len(self.columns))
        if not self._put:
            rows, order = self.visits.latest()
            visits = self.visits.columns.index_select(0, order)
        self._put = True
        if not self.alone:
            found = self._of_the_share(rows.cpu().numpy(), visits.cpu().numpy())
            rows, visits = (torch.from_numpy(own).to(self.table.device) for own in found)
        if len(rows):
            self.put(rows - self.share.start, visits)

    def _of_the_share(self, rows: NDArray[np.int64], visits: np.ndarray) -> tuple[NDArray[np.int64], np.ndarray]:
        """Rows (m,), ascending, and visits (m, C) of the share of this process, by whoever saw them."""
        numbers, visits = self.processes.exchange_with(rows[:, None], visits, self.processes.owner(rows, self.size))
        order = numbers[:, 0].argsort(kind="stable")
        rows, visits = numbers[order, 0], visits[order]
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        if len(first) < len(rows):
            times = np.diff(first, append=len(rows))[:, None]
            visits = (np.add.reduceat(visits, first, axis=0, dtype=np.float64) / times).astype(np.float32)
        return rows[first], visits

    def end_epoch(self) -> None:
        """Take over what was seen in this epoch, count it, and set aside what can't be judged; waits."""
        self.merge()
        visited = self.visited
        broken = broken_heads(self.head[visited], self.loss[visited], self.time[visited], self.processes)
        for head, is_broken in broken.items():
            if is_broken:
                self.not_finite_since.setdefault(head, self.epoch)
            else:
                self.not_finite_since.pop(head, None)
        self.count_visits()
        self.look_for_newcomers()

    def look_for_newcomers(self) -> None:
        """See which rows were never seen; waits."""
        new = self.time < 0
        some = self.processes.sum(np.array([int(new.any())]))[0]
        self.newcomers = self._of_all(new) if some else None

    def tell(self) -> None:
        """Let all processes know all weights."""
        if not self.alone:
            self._given = self._of_all(self.weight)
            self._given_by_property = self._of_all(self.by_property) if self._by_property else self._given[:, None]

    def _of_all(self, own: Tensor) -> Tensor:
        """A column (N, ...), by those (n, ...) of all processes."""
        return own if self.alone else torch.from_numpy(self.processes.gather(own.cpu().numpy())).to(own.device)

    def keep(self, however_many: bool = False) -> None:
        """Let the process that may save them know the columns of all configurations, unless each saves its own."""
        if self.alone or (self.processes.in_parts(self.size) and not however_many):
            return
        others = (getattr(self, name) for name in NOT_IN_TABLE)
        own = [part.cpu().numpy() for part in (*self.table, *others)]
        every = [torch.from_numpy(column) for column in self.processes.kept(own, self.size)]
        if len(every[0]) < self.size:
            return
        number = len(self.columns)
        known = dict(zip(NOT_IN_TABLE, every[number:], strict=True)) | {"table": torch.stack(every[:number])}
        known |= {"head": torch.as_tensor(self.heads).to(torch.int16)}
        self._everyone = Rows((), "cpu", self._labels)
        vars(self._everyone).update(known, epoch=self.epoch, not_finite_since=dict(self.not_finite_since))

    # --- state -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """That of Rows, of all configurations, in the process that may save them; of the share, if not kept."""
        return super().state_dict() if self.alone or self._everyone is None else self._everyone.state_dict()

    def load_state_dict(self, state: dict[str, Any], rows: np.ndarray | None = None) -> None:
        """Continue from `state`, see `continued`; `rows` (n,) of the share: None, those of all are the same.

        Raises ValueError, with nothing changed, where it doesn't fit.
        """
        before = self.size if rows is None else len(state["weight"])
        self.continue_from(state, np.arange(self.size)[self.share] if rows is None else rows, before)
        self.keep()
        self.look_for_newcomers()
        self.tell()

    def forget(self, which: Tensor) -> None:
        """See Rows; `which` (N,) of all."""
        super().forget(which[self.share])
        self.tell()
