"""Printing for somebody who may stop reading, as in `mace_outlier report ... | head`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def may_be_unread() -> Iterator[None]:
    """Print within the context; once the reader has closed the pipe, further output is dropped without an error."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
