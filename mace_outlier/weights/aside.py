"""Work that is done beside a training: what it waits for is asked for later."""

import threading
from collections.abc import Callable


class Aside:
    """Work that a thread begins at once, or, not `threaded`, that is done where its end is waited for.

    The thread doesn't keep a program from ending.
    """

    def __init__(self, work: Callable[[], None], threaded: bool) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mace-outlier", daemon=True) if threaded else None
        if self._thread:
            self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # raised again by `wait`
            self._error = error

    def wait(self) -> None:
        """Return when it is done; raises what it raised."""
        if self._thread is None:
            return self._work()
        self._thread.join()
        if self._error is not None:
            raise self._error
