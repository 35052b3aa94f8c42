"""The end of an epoch in one process of many, alone on its core: the others are imagined. CPU time and memory.

    python benchmarks/scale/one_of.py     # a quarter of an hour on a quiet core, up to 17 GB; writes one_of.json

As shared.py, whose processes have two cores between them and slow each other down. Here, one process has what it would
have: records of all configurations, features of those that it saw, and its share of the rows. What others would send
is made of what it has itself, as much as they would send; how long that is under way is counted in run.py.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from shared import (
    BATCH,
    EPOCHS,
    HERE,
    arguments,
    begun,
    errors_of,
    leave,
    note,
    noted_of,
    peak,
    shared,
    timed,
    write,
)  # fmt: skip

from mace_outlier.method.processes import Processes
from mace_outlier.weights.safety import Safety
from mace_outlier.weights.weigher import Weigher

SIZES, PROCESSES = [20_000, 200_000, 2_000_000, 20_000_000], [1, 8, 64, 1024]


class Imagined(Processes):
    """The first of so many processes, of a training of `size` configurations; the others see and say as much."""

    def __init__(self, number: int, size: int) -> None:
        self._number, self._size = number, size

    number = property(lambda self: self._number)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """See Processes."""
        return values * self._number

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """See Processes; row numbers are those of other shares."""
        every = np.tile(rows, (self._number, *[1] * (rows.ndim - 1)))
        if rows.ndim > 1 or rows.dtype != np.int64:
            return every
        return (every + np.repeat(np.arange(self._number) * self._size // self._number, len(rows))) % self._size

    def exchange(self, rows: np.ndarray, to: NDArray[np.int64]) -> np.ndarray:
        """See Processes: as many rows as were given, of the share of this process; their numbers come first."""
        received = rows[np.argsort(to, kind="stable")]
        numbers = received[:, 0].copy().view(np.int64) // self._number
        return np.column_stack((numbers.view(np.float64), received[:, 1:]))

    def kept(self, columns: list[np.ndarray]) -> list[np.ndarray]:
        """See Processes: the first one gets all."""
        return [np.array(column) for column in columns]


def see_all(weigher: Weigher, epoch: int, processes: int) -> None:
    """As after an epoch of so many processes: losses and errors of all are known, features of what this one saw."""
    size = len(weigher.records)
    order = torch.from_numpy(np.random.default_rng(epoch).permutation(size))
    weigher.begin_epoch(epoch, -(-size // BATCH))
    energy, force = errors_of(size, epoch)
    for rows in order.split(BATCH):
        note(weigher, rows, energy, force)
        own = rows[::processes]
        weigher.features.noted.add(own, noted_of(own, force[own]))


def measure(rank: int, _: int, size: int, folder: str, processes: int) -> None:
    """Three epochs; leaves what it measured of the last in the folder."""
    weigher, before, found = begun(rank, 1, size, folder), peak(), {}
    if processes > 1:
        weigher.distribution.processes = Imagined(processes, size)
    for epoch in range(EPOCHS):
        see_all(weigher, epoch, processes)
        aside, used = [0.0], time.process_time()
        with timed(Safety, "_fit", aside, time.process_time):
            if processes > 1:
                weigher.records.merge(lambda tensor: tensor)
            weigher.end_epoch()
            weigher.safety.refit(weigher.remembered)
        found = {"cpu_seconds": time.process_time() - used, "cpu_seconds_aside": aside[0]}
    leave(found | {"megabytes": peak() - before}, weigher, rank, folder)


def main() -> None:
    options = arguments(__doc__, SIZES, PROCESSES, HERE / "one_of.json")
    rows = []
    for size in options.sizes:
        for processes in options.processes:
            row, _ = shared(size, 1, measure, processes)
            rows.append(row | {"processes": processes})
            print(rows[-1], flush=True)
    write(options.out, "one_of", rows)


if __name__ == "__main__":
    main()
