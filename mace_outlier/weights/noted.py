"""What a process notes of the configurations that it sees, in the order in which it sees them."""

import torch
from torch import Tensor

TOGETHER = 50  # columns that are put in order together


class Noted:
    """Rows of N configurations and columns of each, noted in an epoch; memory for those that this process sees.

    Nothing is read back while they are added, unless some come more often than all of them together once would.

    Args:
        size: N.
    """

    def __init__(self, size: int) -> None:
        self.size, self.count = size, 0
        self._rows, self._columns = torch.empty(0, dtype=torch.long), torch.empty(0, 0)
        self._latest: tuple[Tensor, Tensor] | None = None  # once they were asked for

    def clear(self) -> None:
        """Begin anew, in the same memory."""
        self.count, self._latest = 0, None

    @property
    def columns(self) -> Tensor:
        """All that was noted (n, C), in the order in which it was."""
        return self._columns[: self.count]

    def add(self, rows: Tensor, columns: Tensor) -> None:
        """Note columns (B, C), the same C in every call, of the rows (B,)."""
        if self.count + len(rows) > len(self._rows):
            if self.count >= self.size:
                self._keep_latest()
            if self.count + len(rows) > len(self._rows):
                self._grow(self.count + len(rows), columns)
        place = slice(self.count, self.count + len(rows))
        self._rows[place], self._columns[place] = rows, columns
        self.count, self._latest = self.count + len(rows), None

    def latest(self) -> tuple[Tensor, Tensor]:
        """Rows (n,), ascending, and the places (n,) in `columns` of what was noted last of each; waits for the device.

        They hold until more is added.
        """
        if self._latest is None:
            rows, order = self._rows[: self.count].sort(stable=True)
            last = torch.ones_like(rows, dtype=torch.bool)
            last[:-1] = rows[1:] != rows[:-1]
            self._latest = rows[last], order[last]
        return self._latest

    def _keep_latest(self) -> None:
        """Forget what was noted before the latest of each row, some columns at a time."""
        rows, places = self.latest()
        self._rows[: len(rows)] = rows
        for first in range(0, self._columns.shape[1], TOGETHER):
            some = self._columns[:, first : first + TOGETHER]
            some[: len(rows)] = some.index_select(0, places)
        self.count, self._latest = len(rows), None

    def _grow(self, needed: int, columns: Tensor) -> None:
        """Make room for as many as there are, if that is enough; some that are repeated take a quarter more.

        So that what was noted before is forgotten every so many of them, not with each batch.
        """
        repeated = max(self.size // 4, len(columns)) if needed > self.size else 0
        capacity = max(needed, min(2 * len(self._rows), self.size) + repeated)
        rows, kept = self._rows[: self.count], self._columns[: self.count]
        self._rows = torch.empty(capacity, dtype=torch.long, device=columns.device)
        self._columns = columns.new_empty(capacity, columns.shape[1])
        if self.count:
            self._rows[: self.count], self._columns[: self.count] = rows, kept
