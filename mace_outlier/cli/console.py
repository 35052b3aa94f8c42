"""The console of the commands: text out of data files is shown as it is."""

import sys
from typing import Any

from rich.console import Console

PIPED_WIDTH = 200  # columns where the output is no terminal


class OurConsole(Console):
    """Rich's own would end the program, and the page would not be written."""

    def on_broken_pipe(self) -> None:
        """Leave it to `output.may_be_unread`."""
        raise BrokenPipeError


def console() -> Console:
    """Return a console that shows text as it is."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode
    options: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
    return OurConsole(**options) if sys.stdout.isatty() else OurConsole(width=PIPED_WIDTH, **options)
