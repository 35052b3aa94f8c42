"""Writing a file so that a kill at any moment leaves the old one or the new one, never half of one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it takes the place of `path` when the block ends well.

    The temporary name keeps the suffix, by which writers choose their format. A link stays one: its target is replaced.
    A device or a pipe is no file that could be, and is yielded itself.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve() if path.is_symlink() else path
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the content
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def same_file(path: Path, other: Path) -> bool:
    """Tell whether two names are, or would be, one file."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))
