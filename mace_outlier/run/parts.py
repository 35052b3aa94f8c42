"""Very many configurations: at the end of every epoch each process saves those of its share, so that none knows all.

    <results_dir>/<tag>_outliers.parts/epoch-<epoch>-<number>/table-<process>.parquet    a part of the table
                                                             /_state-<process>.pt        what a restart needs to know

A folder is named, by the checkpoint and by the description of the run, once all processes have written their parts: a
kill at any moment leaves those that were named. One that is named no more is removed.
"""

import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..faults import faults_logged
from ..files import replacing
from ..method.processes import ALONE, Processes
from ..results.files import parts_path
from ..results.writing import write_parquet
from .tables import Columns

STATE, TABLE = "_state-{:05}.pt", "table-{:05}.parquet"  # what begins with _ is no part of a Parquet data set
FOLDER = re.compile(r"epoch-(\d+)-\d+")


class Parts:
    """Saves what is known of the training configurations of a run in parts, where they are very many.

    Args:
        prefix: where the files of a run go, `<results_dir>/<tag>`, on a file system that all processes share; None: it
            writes none, and so no parts.
        processes: of the run.
        size: how many configurations there are.
        has_checkpoint: whether there may be one of an epoch.
    """

    def __init__(
        self,
        prefix: Path | None = None,
        processes: Processes = ALONE,
        size: int = 0,
        has_checkpoint: Callable[[int], bool] = lambda epoch: True,
    ) -> None:
        self.processes, self.size, self._has_checkpoint = processes, size, has_checkpoint
        self.root = None if prefix is None else parts_path(prefix)
        self.folder: Path | None = None  # the latest one, once it is complete
        if self.root is None:
            processes.fewest_in_parts = math.inf

    in_use = property(lambda self: self.processes.in_parts(self.size))

    @property
    def name(self) -> str:
        """Of the latest folder, as seen from that of the results; raises RuntimeError where it is not complete."""
        if self.folder is None:
            raise RuntimeError("not all processes have written their parts")
        return f"{self.folder.parent.name}/{self.folder.name}"

    def read(self, name: str, number: int) -> "Saved":
        """What a folder of that name holds, of so many processes; raises what Saved does, or FileNotFoundError."""
        if self.root is None:
            raise FileNotFoundError("the run has no folder of results")
        return Saved(self.root.parent / name, number)

    def save(self, epoch: int, table: Iterable[Columns], state: Callable[[], dict[str, Any]]) -> None:
        """Write the part of this process; a fault in any is logged, and what the others wrote isn't used then.

        All processes have to call it. Where the first one doesn't see what the others wrote, parts are not `in_use` any
        more: it has to save all.
        """
        assert self.root is not None
        first = self.processes.rank == 0
        if first:
            self.clean()  # before the others begin to write
        lost = first and self.folder is not None and not is_complete(self.folder, self.processes.number)
        number, some_lost = self.processes.sum(np.array([time.time_ns() // 1000 if first else 0, int(lost)])).tolist()
        if some_lost:
            self._give_up()
            return
        folder, is_written = self.root / f"epoch-{epoch}-{number}", False
        with faults_logged(f"A part of {folder} could not be written", "a restart does without the whole of it"):
            write_parquet(table, folder / TABLE.format(self.processes.rank))
            with replacing(folder / STATE.format(self.processes.rank)) as temporary:
                torch.save(state(), temporary)
            is_written = True
        written = int(self.processes.sum(np.array([int(is_written)]))[0])
        self.folder = folder if written == self.processes.number else None

    def add(self, table: Iterable[Columns]) -> None:
        """Write what comes after the parts of all processes; in the first one."""
        parts = list(table)
        if parts and self.folder is not None:
            write_parquet(parts, self.folder / TABLE.format(self.processes.number))

    def end(self) -> None:
        """Leave what checkpoints need, once the table is saved as a whole."""
        self.folder = None
        if self.in_use and self.processes.rank == 0:
            self.clean()

    def _give_up(self) -> None:
        if self.processes.rank == 0:
            logging.error(
                f"The first process does not see what others wrote to {self.folder}: is it on a file system that all "
                "nodes share? From now on, the first process saves what is known of all configurations"
            )
        self.processes.fewest_in_parts, self.folder = math.inf, None

    @faults_logged("Parts that are not needed any more could not be removed")
    def clean(self) -> None:
        """Remove folders that no checkpoint names, but for the latest one; in the first process."""
        assert self.root is not None
        for folder in sorted(self.root.glob("epoch-*")):
            found = FOLDER.fullmatch(folder.name)
            if found and folder != self.folder and not self._has_checkpoint(int(found[1])):
                shutil.rmtree(folder)


def is_complete(folder: Path, number: int) -> bool:
    """Whether all the parts of so many processes are there."""
    there = {path.name for path in folder.glob("*")}
    return there >= {name.format(rank) for name in (STATE, TABLE) for rank in range(number)}


# --- read again ------------------------------------------------------------------------------------------------------


class Saved:
    """What a folder of parts says of configurations; of columns, only the rows that are asked for are read.

    Raises OSError or ValueError where a part is missing or is none.
    """

    def __init__(self, folder: Path, number: int) -> None:
        paths = [folder / STATE.format(rank) for rank in range(number)]
        self._parts = [torch.load(path, map_location="cpu", weights_only=True, mmap=True) for path in paths]
        self.ends = np.cumsum([0, *(len(part["rows"]["name"]) for part in self._parts)])

    def identities(self) -> dict[str, Tensor]:
        """By which the rows of all parts are known again, see `known.identities`."""
        return _joined([part["rows"] for part in self._parts], [slice(None)] * len(self._parts))

    def of(self, rows: NDArray[np.int64]) -> tuple[dict[str, Any], NDArray[np.int64]]:
        """What is known of some rows (n,), -1: none; and where each is in that (n,)."""
        wanted = np.unique(rows[rows >= 0])
        of_part = np.split(wanted, np.searchsorted(wanted, self.ends[1:-1]))
        places = [torch.from_numpy(own - first) for own, first in zip(of_part, self.ends[:-1], strict=True)]
        return _joined(self._parts, places), np.where(rows >= 0, np.searchsorted(wanted, rows), -1)


def _joined(parts: Sequence[Any], places: Sequence[Any]) -> Any:
    """Nested columns of all parts, one after the other, at some places of each; what is no column is alike in all."""
    first = parts[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts], places) for name in first}
    if isinstance(first, list):
        return [_joined(own, places) for own in zip(*parts, strict=True)]
    if isinstance(first, Tensor):
        return torch.cat([part[place] for part, place in zip(parts, places, strict=True)])
    return first
