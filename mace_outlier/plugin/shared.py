"""What the modules of the plugin share: the registry of seams, and the run in progress."""

from collections.abc import Iterator
from contextlib import contextmanager

from .. import provenance, seams
from ..training import RobustTraining

seam, SEAMS = seams.registry()

run: RobustTraining | None = None  # the robust training in progress, if any; set anew by check_args for every run


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
