"""Processes of the judgement that are threads of this one: what each gives is gathered when all have."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mace_outlier.method.processes import Processes
from mace_outlier.weights.summed import FailedElsewhereError


class Thread(Processes):
    """One of several threads; raises where they don't ask for the same."""

    rank = number = None

    def __init__(self, rank, number, barrier, given):
        self.rank, self.number, self._barrier, self._given = rank, number, barrier, given

    def _all(self, what, own=None):
        self._given[self.rank] = (what, own)
        self._barrier.wait()
        given = list(self._given)
        self._barrier.wait()
        if what != "failed" and any(name == "failed" for name, _ in given):
            raise FailedElsewhereError("it failed in another process")
        assert len({name for name, _ in given} - {"failed"}) <= 1, given
        return [value for _, value in given]

    def sum(self, values):
        return np.sum(self._all("sum", values), axis=0)

    def gather(self, rows):
        return np.concatenate([own for own in self._all("gather", rows) if len(own)] or [rows])

    def kept(self, columns, size):
        whole = super().kept(columns, size)
        return whole if self.rank == 0 else list(columns)

    def agree(self, work):
        try:
            result = work()
        except FailedElsewhereError:
            raise
        except Exception:
            self._all("failed")
            raise
        self._all("done")
        return result


def in_threads(number, work):
    """What `work` returns, called with each of so many processes."""
    barrier, given = threading.Barrier(number, timeout=60), [None] * number
    with ThreadPoolExecutor(number) as pool:
        started = [pool.submit(work, Thread(rank, number, barrier, given)) for rank in range(number)]
        try:
            return [one.result() for one in started]
        finally:
            barrier.abort()
