"""A fault of this package never ends a training: it is logged, and the training goes on."""

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def faults_logged(what: str, then: str = "the training goes on", passed_on: bool = False) -> Iterator[None]:
    """Log what is raised within the context, say what happens `then`, and leave the context.

    `passed_on`: raise it all the same, where other processes would wait for this one for ever.
    """
    try:
        yield
    except Exception as error:
        if passed_on:
            raise
        log_fault(what, error, then)


def log_fault(what: str, error: Exception, then: str = "the training goes on") -> None:
    """Log an error in one line, and where it was raised for those who log more."""
    logging.error(f"{what} ({in_one_line(error)}): {then}")
    logging.debug("".join(traceback.format_exception(type(error), error, error.__traceback__)))


def in_one_line(error: Exception) -> str:
    """Return kind and message of an error."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
