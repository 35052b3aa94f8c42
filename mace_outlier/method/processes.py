"""The processes of a distributed run, as the judgement needs them: each does its share. Numpy only."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Processes:
    """A process that is alone. Of several, all call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """Which of them this one is."""
        return 0

    @property
    def number(self) -> int:
        """How many there are."""
        return 1

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum of the arrays, alike in all processes."""
        return values

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The rows (n, ...) of all processes, in their order; n may differ, and where it is 0, so may the columns."""
        return rows

    def agree(self, work: Callable[[], T]) -> T:
        """Do what may fail, exchanges among it; where it does in any process, raise in all: they would wait for ever.

        Not to be nested.
        """
        return work()

    def share(self, size: int) -> slice:
        """Which of `size` rows this process is to work on."""
        return slice(self.rank * size // self.number, (self.rank + 1) * size // self.number)


ALONE = Processes()
