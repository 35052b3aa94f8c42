"""What the modules of the plugin share: the registry of seams, and the run in progress."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..data import provenance
from ..run.training import RobustTraining
from . import seams

_register, SEAMS = seams.registry()

run: RobustTraining | None = None  # the robust training in progress, if any; set anew by check_args for every run


def always() -> bool:
    """A seam of plain trainings as well."""
    return True


def robust() -> bool:
    """A seam of robust trainings."""
    return run is not None


def tagging() -> bool:
    """A seam of the samples that a robust training makes, in worker processes as well."""
    return provenance.tagging


def training() -> bool:
    """A seam of what MACE's loop does in a robust training, between its begin and its end."""
    return run is not None and run.started and provenance.tagging


def seam(
    *places: str, when: Callable[[], bool] = robust, **relies_on: Any
) -> Callable[[seams.Function], seams.Function]:
    """Register a wrapper for these places, see seams.Seam; but `when` it says so, a call is passed on as it came."""

    def register(wrapper: seams.Function) -> seams.Function:
        @functools.wraps(wrapper)
        def gated(original: seams.Function, *args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs) if when() else original(*args, **kwargs)

        return _register(*places, **relies_on)(gated)

    return register


def current() -> RobustTraining:
    """The robust training in progress."""
    assert run is not None
    return run


def set_run(new: RobustTraining | None) -> None:
    """Begin a robust training, or (None) a plain one."""
    global run
    run, provenance.tagging = new, new is not None


@contextmanager
def tagging_until_the_end() -> Iterator[None]:
    """Stop tagging the samples that MACE makes when the block ends, however it ends."""
    try:
        yield
    finally:
        provenance.tagging = False
