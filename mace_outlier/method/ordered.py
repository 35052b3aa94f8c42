"""Rows of a table in another order. Numpy only."""

from typing import Any

import numpy as np


class Ordered:
    """Rows (N, K) of a table, in any order, which are copied where they are computed with, and only there.

    Args:
        table: (M, K).
        order: (N,) which row of the table each one is.
    """

    def __init__(self, table: np.ndarray, order: np.ndarray) -> None:
        self._table, self._order = table, order

    def __len__(self) -> int:
        return len(self._order)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, K)."""
        return len(self._order), self._table.shape[1]

    def __getitem__(self, which: Any) -> "Ordered":
        return Ordered(self._table, self._order[which])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows = self._table[self._order]
        return rows if dtype is None else rows.astype(dtype, copy=False)
