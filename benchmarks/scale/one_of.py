"""The end of an epoch in one process of many, alone on its core: the others are imagined. CPU time and memory.

    python benchmarks/scale/one_of.py     # a quarter of an hour on a quiet core, up to 17 GB; writes one_of.json

As shared.py, whose processes have two cores between them and slow each other down. Here, one process has what the first
one would have: what it saw itself, the records of its share of the rows, the weights of all, and what is to be saved:
of all, or, from 10^7 on, a part of the table and of the state, which it writes. What others would send is made of what
it has itself, as much as they would send; how long that is under way is counted in run.py.
"""

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
    reset_peak,
    shared,
    timed,
    write,
)  # fmt: skip

from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.method.processes import Processes
from mace_outlier.results.files import TRAIN
from mace_outlier.run import parts
from mace_outlier.run.checkpoint import save_part
from mace_outlier.run.distributed import LARGE
from mace_outlier.run.fit_in_log import WholeGroups
from mace_outlier.run.nonfinite import NonfiniteNames
from mace_outlier.run.parts import Parts
from mace_outlier.run.tables import Split
from mace_outlier.run.weight_summary import summarise
from mace_outlier.weights.safety import Safety
from mace_outlier.weights.weigher import Weigher

SIZES, PROCESSES = [20_000, 200_000, 2_000_000, 20_000_000], [1, 8, 64, 1024]


class Imagined(Processes):
    """The first of so many processes, of a training of `size` configurations; the others see and say as much."""

    def __init__(self, number: int, size: int) -> None:
        self._number, self._size = number, size
        self.fewest_in_parts = LARGE if number > 1 else math.inf

    number = property(lambda self: self._number)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """See Processes."""
        return values * self._number

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """See Processes; row numbers are those of other shares."""
        own = self.share(self._size)
        number = self._size if len(rows) == own.stop - own.start else self._number * len(rows)
        every = np.resize(rows, (number, *rows.shape[1:]))
        if rows.ndim > 1 or rows.dtype != np.int64 or rows.max(initial=0) >= self._size:  # no row numbers
            return every
        shares = np.arange(len(every)) // max(len(rows), 1) * self._size // self._number
        return (every + shares) % self._size

    def exchange(self, rows: np.ndarray, to: NDArray[np.int64]) -> np.ndarray:
        """See Processes: as many rows as were given, of the share of this process; their numbers come first."""
        received = rows[np.argsort(to, kind="stable")]
        width = 8 // rows.itemsize  # columns that hold the bits of a number
        numbers = np.ascontiguousarray(received[:, :width]).view(np.int64) // self._number
        numbers = numbers.clip(max=self.share(self._size).stop - 1)
        return np.hstack((numbers.view(rows.dtype).reshape(-1, width), received[:, width:]))

    def kept(self, columns: Sequence[np.ndarray], size: int) -> list[np.ndarray]:
        """See Processes: the first one gets all."""
        return [np.resize(column, (size, *column.shape[1:])) for column in columns]


def see_part(weigher: Weigher, epoch: int, processes: int) -> None:
    """As after an epoch in the first of so many processes."""
    size = weigher.records.size
    order = torch.from_numpy(np.random.default_rng(epoch).permutation(size)[::processes].copy())
    weigher.begin_epoch(epoch, -(-size // BATCH))
    energy, force = errors_of(size, epoch)
    for rows in order.split(max(BATCH // processes, 1)):
        note(weigher, rows, energy, force)
        weigher.features.noted.add(rows, noted_of(rows, force[rows]))


def tell(weigher: Weigher, groups: NDArray[np.int64]) -> None:
    """What is counted for the log, see run.training.settle; `groups` (N,): the head and the file of each."""
    rows = SimpleNamespace(head=groups, heads=["Default"], source=groups, sources=["shard.h5"])
    NonfiniteNames(None, rows, (), str).look(weigher.records, [])
    WholeGroups().look(Split(TRAIN, rows, weigher.metadata, weigher.records), weigher.safety.tallies)
    [summarise(tally) for tally in weigher.safety.tallies]


def measure(rank: int, _: int, size: int, folder: str, processes: int) -> None:
    """Three epochs; leaves what it measured of the last in the folder."""
    weigher, groups = begun(rank, 1, size, folder, Imagined(processes, size)), np.zeros(size, dtype=np.int64)
    run = run_of(weigher, Path(folder, "run"))
    before, found = reset_peak(), {}
    for epoch in range(EPOCHS):
        see_part(weigher, epoch, processes)
        aside, writing, used = [0.0], [0.0], time.process_time()
        with timed(Safety, "_weigh", aside, time.process_time), timed(Parts, "save", writing, time.process_time):
            weigher.end_epoch()
            weigher.safety.begin(weigher.remembered, then=partial(save_part, run))
            weigher.safety.settle()
            tell(weigher, groups)
        found = {"cpu_seconds": time.process_time() - used, "cpu_seconds_aside": aside[0]}
    found |= {"cpu_seconds_writing": writing[0], "bytes_written": written(folder), "megabytes": peak() - before}
    leave(found, weigher, rank, folder)


def run_of(weigher: Weigher, prefix: Path) -> Any:
    """What of a run is asked for where a part is saved; those of the others are imagined."""
    parts.is_complete = lambda folder, number: True
    records, frames = weigher.records, np.arange(weigher.records.size)
    rows = Provenance(["Default"], [[Part("shard.h5", frames)]])
    saved = Parts(prefix, records.processes, records.size, lambda epoch: False)
    losses = {"stage_one": SimpleNamespace(distribution=weigher.distribution)}
    split = Split(TRAIN, rows, weigher.metadata, records)
    return SimpleNamespace(records=records, parts=saved, losses=losses, splits=[split])


def written(folder: str) -> int:
    """Bytes of the part of an epoch."""
    latest = sorted(Path(folder).glob(f"run_outliers.parts/epoch-{EPOCHS - 1}-*/*"))
    return sum(path.stat().st_size for path in latest)


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
