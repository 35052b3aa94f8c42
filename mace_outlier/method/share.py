"""Columns of configurations, of which each process holds its share, and one that may save them all. Numpy only."""

from typing import Any

import numpy as np

from .processes import Processes

Columns = dict[str, np.ndarray]


class Shared:
    """Columns of N configurations, by name; of several processes, each goes on with those of its share of the rows.

    No column is changed in place, so that `vars` of it tell what it was.

    Args:
        unknown: what stands for a row of which nothing is known.
    """

    def __init__(self, unknown: float) -> None:
        self.unknown, self.own = unknown, Columns()  # (n,) of the share
        self._all: Columns | None = None  # (N,) in the process that may save them; None: own are all

    def keep(self, processes: Processes, size: int) -> None:
        """Tell whoever may save them what the columns of all `size` rows are; all processes have to call this."""
        if processes.number > 1:
            self._all = dict(zip(self.own, processes.kept(list(self.own.values()), size), strict=True))

    def carry(self, rows: np.ndarray) -> None:
        """Go on with other rows (n,), by the places of those so far; -1: nothing is known of it.

        After `load`, these are places among all rows, and the rows those of the share.
        """
        self.own = {name: _carried(own, rows, self.unknown) for name, own in self.own.items()}

    def to_dict(self) -> Columns:
        """The columns of all rows, in the process that may save them; of the share, where they were not kept."""
        return dict(self.own if self._all is None else self._all)

    def load(self, columns: dict[str, Any], kind: Any) -> None:
        """Continue from `to_dict`, with columns of a type."""
        self.own = {name: np.array(own, dtype=kind) for name, own in columns.items()}
        self._all = None


def _carried(values: np.ndarray, rows: np.ndarray, unknown: float) -> np.ndarray:
    carried = np.full(len(rows), unknown, dtype=values.dtype)
    return np.where(rows >= 0, values[rows], carried) if len(values) else carried
