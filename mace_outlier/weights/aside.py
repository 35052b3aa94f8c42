"""Work that is done beside a training: what it waits for is asked for later."""

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

T = TypeVar("T")
THREADS: weakref.WeakSet[threading.Thread] = weakref.WeakSet()  # that a fork waits for


def _let_them_end() -> None:
    """Wait for the threads: a fork (of a data loader's workers) amid a matrix product of OpenBLAS never lets it end."""
    for thread in list(THREADS):
        if thread is not threading.current_thread():
            thread.join()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_let_them_end)


class Aside(Generic[T]):
    """Work that a thread begins at once, or, not `threaded`, that is done where its result is asked for.

    The thread uses the GPU that is the present one here, and doesn't keep a program from ending. A fork waits for it.
    """

    def __init__(self, work: Callable[[], T], threaded: bool) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else None
        self._thread = threading.Thread(target=self._run, name="mace-outlier", daemon=True) if threaded else None
        if self._thread:
            self._thread.start()
            THREADS.add(self._thread)

    def _run(self) -> None:
        try:
            with contextlib.nullcontext() if self._gpu is None else torch.cuda.device(self._gpu):
                self._result.append(self._work())
        except BaseException as error:  # raised again by `result`
            self._error = error

    def result(self) -> T:
        """Return what the work returns, once it is done; raises what it raised."""
        if self._thread is None:
            return self._work()
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]
