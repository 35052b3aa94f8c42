"""Independent tasks in several processes, or in this one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Task], Result], tasks: Iterable[Task], processes: int) -> Iterator[Result]:
    """Results of a function of each task, as they come; with one process, here and in order.

    A process is started anew (spawned), and imports what it needs, which takes seconds where that is PyTorch.
    """
    if processes == 1:
        yield from map(function, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(function, tasks)
