"""Our commands, run in this process."""

import contextlib
import io
from pathlib import Path
from typing import Any, NamedTuple

from conftest import within

from mace_outlier.__main__ import main


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    error: str  # on stderr, or the text that ended it


def command(folder: Path, *arguments: Any) -> Said:
    """Run a command of ours in a folder. What isn't SystemExit is a traceback, and comes through."""
    out, error = io.StringIO(), io.StringIO()
    with within(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main([str(argument) for argument in arguments])
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
    text = code if isinstance(code, str) else error.getvalue()
    return Said(1 if isinstance(code, str) else code, out.getvalue(), text)


def is_one_line(said: Said, of: str) -> bool:
    """Whether an error is said as one line that names the command."""
    return said.error.startswith(f"mace_outlier {of}: error: ") and len(said.error.strip().splitlines()) == 1
