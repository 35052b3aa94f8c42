"""Where each training configuration comes from and what it is, so that a weight can be tied to a frame of a file.

A row is a configuration of the user: (head, source file, frame). Several positions of the training set can hold the
same row (multi-head fine-tuning repeats its data), and rows have an order of their own, by head, file name and frame,
because the order of positions is not stable: hosts list the files of a folder as they like, and splits shuffle.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .clean import clean


class Part(NamedTuple):
    """Consecutive positions of the training set that come from one source."""

    source: str
    frames: np.ndarray  # (positions,) integer


def by_file_name(source: str) -> tuple[str, str]:
    """What sources are sorted by: the file's name first, so that data staged to another folder keep their order."""
    return os.path.basename(source), source


class Provenance:
    """Rows of a training set.

    Args:
        heads: names of the heads.
        parts: for each head, in the same order, its parts of the training set in the order of positions.

    Attributes: `head` (N,) index, `source` (N,) index into `sources`, `frame` (N,); `row_of_position` (P,) for the P
    positions of the training set, `position_of_row` (N,) one of those that hold it.
    """

    def __init__(self, heads: Sequence[str], parts: Sequence[Sequence[Part]]) -> None:
        import pandas

        self.heads = list(heads)
        labelled = [(head, part) for head, parts_of_head in enumerate(parts) for part in parts_of_head]
        self.sources = sorted({part.source for _, part in labelled}, key=by_file_name)
        index = {name: i for i, name in enumerate(self.sources)}
        columns = [
            np.column_stack(np.broadcast_arrays(head, index[part.source], part.frames)) for head, part in labelled
        ]
        keys = np.concatenate(columns or [np.zeros((0, 3))]).astype(np.int64)  # (P, 3)
        self.row_of_position = pandas.DataFrame(keys).groupby([0, 1, 2]).ngroup().to_numpy()
        self.position_of_row = np.unique(self.row_of_position, return_index=True)[1]
        self.head, self.source, self.frame = keys[self.position_of_row].T

    def __len__(self) -> int:
        return len(self.frame)

    def common(self, other: "Provenance") -> int:
        """How many rows are frames of a file that are rows of another one as well, whatever the head."""
        files = {os.path.realpath(name): code for code, name in enumerate(other.sources) if os.path.exists(name)}
        code = np.array([files.get(os.path.realpath(name), -1) for name in self.sources], dtype=np.int64)[self.source]
        places = [
            codes.astype(np.int64) << 40 | frames for codes, frames in ((code, self.frame), (other.source, other.frame))
        ]
        return int(np.isin(*places).sum())

    def name(self, row: int) -> str:
        """A configuration as the user knows it."""
        name = f"{clean(self.sources[self.source[row]], 200)} frame {self.frame[row]}"
        return name if len(self.heads) == 1 else f"{name} (head {self.heads[self.head[row]]})"
