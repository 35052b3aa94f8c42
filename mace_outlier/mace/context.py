"""The registry of seams, and what of the plugin outlives a call of MACE."""

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..data.tagging import TAGGING
from ..run.training import RobustTraining
from .seams import Function, Seam

SEAMS: dict[str, Seam] = {  # by place
    # not wrapped, but exchanged for the time of a loss
    "mace.modules.loss:reduce_loss": Seam(None, takes=("raw_loss", "ddp"), called_in="mace.modules.loss")
}


class Context:
    """What the seams have in common: MACE calls them as plain functions, to which nothing of ours can be handed.

    A process has one of these, CONTEXT; nothing else in the plugin outlives a call, but `data.tagging.TAGGING`.
    """

    def __init__(self) -> None:
        self.applied = False  # True once all seams are wrapped
        self.reading: Counter[str] = Counter()  # frames by what became of them when their file was read
        self.run: RobustTraining | None = None  # the robust training in progress; set anew by check_args for every run

    def begin(self, run: RobustTraining | None) -> None:
        """Begin a robust training, or (None) a plain one."""
        self.run, TAGGING.on = run, run is not None
        self.reading.clear()

    @property
    def current(self) -> RobustTraining:
        """The robust training in progress."""
        assert self.run is not None
        return self.run


CONTEXT = Context()


# --- when a seam takes part ------------------------------------------------------------------------------------------


def always() -> bool:
    """A seam of plain trainings as well."""
    return True


def robust() -> bool:
    """A seam of robust trainings."""
    return CONTEXT.run is not None


def tagging() -> bool:
    """A seam of the samples that a robust training makes, in worker processes as well."""
    return TAGGING.on


def training() -> bool:
    """A seam of what MACE's loop does in a robust training, between its begin and its end."""
    return CONTEXT.run is not None and CONTEXT.run.started and TAGGING.on


def seam(*places: str, when: Callable[[], bool] = robust, **relies_on: Any) -> Callable[[Function], Function]:
    """Register a wrapper for these places, see Seam; but `when` it says so, a call is passed on as it came."""

    def register(wrapper: Function) -> Function:
        @functools.wraps(wrapper)
        def gated(original: Function, *args: Any, **kwargs: Any) -> Any:
            return wrapper(original, *args, **kwargs) if when() else original(*args, **kwargs)

        SEAMS.update(dict.fromkeys(places, Seam(gated, **relies_on)))
        return gated

    return register
