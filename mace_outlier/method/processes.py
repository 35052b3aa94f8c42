"""The processes of a distributed run, as the judgement needs them: each does its share. Numpy only."""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Processes:
    """A process that is alone. Of several, all call the same methods in the same order."""

    fewest_in_parts = math.inf  # rows, see `in_parts`

    @property
    def rank(self) -> int:
        """Which of them this one is."""
        return 0

    @property
    def number(self) -> int:
        """How many there are."""
        return 1

    @property
    def may_work_aside(self) -> bool:
        """Whether exchanges may be made by a thread, while others are by the training."""
        return True

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum of the arrays, alike in all processes."""
        return values

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The rows (n, ...) of all processes, in their order; n may differ, and where it is 0, so may the columns."""
        return rows

    def exchange(self, rows: np.ndarray, to: NDArray[np.int64]) -> np.ndarray:
        """The rows (n, k) of all processes that are for this one, in their order; `to` (n,): for which each is.

        k is alike in all, also where n is 0.
        """
        return self.gather(rows)[self.gather(to) == self.rank]

    def exchange_with(
        self, numbers: NDArray[np.int64], rows: np.ndarray, to: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], np.ndarray]:
        """The same of rows (n, k) to which whole numbers (n, m) belong, whose bits go among the floats of any size."""
        width = numbers.shape[1] * numbers.itemsize // rows.itemsize
        bits = np.ascontiguousarray(numbers).view(rows.dtype).reshape(len(numbers), width)
        received = self.exchange(np.hstack((bits, rows)), to)
        return np.ascontiguousarray(received[:, :width]).view(np.int64), received[:, width:]

    def agree(self, work: Callable[[], T]) -> T:
        """Do what may fail, exchanges among it; where it does in any process, raise in all: they would wait for ever.

        Not to be nested.
        """
        return work()

    def share(self, size: int) -> slice:
        """Which of `size` rows this process is to work on."""
        ends = self.ends(size)
        return slice(int(ends[self.rank]), int(ends[self.rank + 1]))

    def ends(self, size: int) -> NDArray[np.int64]:
        """Where the shares (W + 1) of `size` rows begin, and the last one ends."""
        return np.arange(self.number + 1) * size // self.number

    def owner(self, rows: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """In whose share each row (n,) of `size` ones is."""
        return np.searchsorted(self.ends(size)[:-1], rows, side="right") - 1

    def in_parts(self, size: int) -> bool:
        """Whether `size` rows are so many that each process saves those of its share, and none knows all of them."""
        return size >= self.fewest_in_parts

    def kept(self, columns: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """Columns (size, ...) of all, by those (n, ...) of the share of each process, in a process that may save them.

        In others they may be those of the share as well.
        """
        return [self.gather(column) for column in columns]


ALONE = Processes()
