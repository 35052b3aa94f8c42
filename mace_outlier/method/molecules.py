"""What the energies of a molecule have in common that geometry doesn't explain: no label is wrong by it. Numpy only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .densest import densest_halves
from .processes import Processes
from .sample import mixed
from .seen import Array


class Typical(NamedTuple):
    """Where what is not explained of each of M molecules is densest, alike in all processes."""

    names: NDArray[np.int64]  # (M,) ascending
    values: Array  # (M,)

    def of(self, molecules: NDArray[np.int64]) -> Array:
        """That of the molecule of each of n configurations; 0: it has too few."""
        place = np.searchsorted(self.names, molecules).clip(max=len(self.names) - 1)
        return np.where(self.names[place] == molecules, self.values[place], 0.0)


def typical_of(values: Array, molecules: NDArray[np.int64], smallest: int, processes: Processes) -> Typical | None:
    """The typical value of each molecule of at least `smallest` finite values (n,); None: no two can be compared.

    Each process gives values of its own, and looks at some of the molecules.
    """
    known = np.isfinite(values)
    values, molecules = values[known], molecules[known]
    if processes.number > 1:
        to = (mixed(molecules) % np.uint64(processes.number)).astype(np.int64)
        numbers, table = processes.exchange_with(molecules[:, None], values[:, None], to)
        molecules, values = numbers[:, 0], table[:, 0]
    names, number = np.unique(molecules, return_inverse=True)
    enough = np.bincount(number, minlength=len(names)) >= smallest
    there, compared = processes.sum(np.array([len(names), np.count_nonzero(enough)]))
    if there < 2 or not compared:
        return None
    own = enough[number]
    middle, _ = densest_halves(values[own], number[own], len(names))
    names, middle = processes.gather(names[enough]), processes.gather(middle[enough])
    order = np.argsort(names)
    return Typical(names[order], middle[order])
