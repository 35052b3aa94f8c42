"""What commands may write to: files of their own, which replace nothing that is read."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import same_file


def refuse_folders(outputs: Mapping[str, Path]) -> None:
    """Raise ValueError for an output, by its flag, that is a folder."""
    for flag, path in outputs.items():
        if path.is_dir():
            raise ValueError(f"{flag} {path} is a folder: name a file")


def refuse_twins(outputs: Mapping[str, Path]) -> None:
    """Raise ValueError for two outputs, by their flags, that are one file."""
    for (flag, path), (other, another) in itertools.combinations(outputs.items(), 2):
        if same_file(path, another):
            raise ValueError(f"{flag} and {other} are the same file, {path}: name two")


def keep_inputs(outputs: Mapping[str, Path], inputs: Sequence[Path], which: str) -> None:
    """Raise ValueError where an output would replace what is read; `which`: in words, after "a file"."""
    for flag, path in outputs.items():
        if any(same_file(path, other) for other in inputs):
            raise ValueError(f"{flag} {path} is a file {which}, which is never replaced: name another one")
