"""Work that is done beside a training: what it waits for is asked for later."""

import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class Aside(Generic[T]):
    """Work that a thread begins at once, or, not `threaded`, that is done where its result is asked for.

    The thread uses the GPU that is the present one here, and doesn't keep a program from ending.
    """

    def __init__(self, work: Callable[[], T], threaded: bool) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else None
        self._thread = threading.Thread(target=self._run, name="mace-outlier", daemon=True) if threaded else None
        if self._thread:
            self._thread.start()

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
