"""How a configuration is known again at a restart: by its content, wherever it is, or by its name. No torch."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .provenance import Provenance

ODD = np.uint64(0x9E3779B97F4A7C15)  # its multiples by frame numbers differ, modulo 2^64


def content_of(numbers: Any, positions: Any, cell: Any, pbc: Any, properties: Mapping[str, Any]) -> int:
    """A number for the geometry, the conditions and all labels of a configuration, to the last bit; never 0.

    Args:
        numbers, positions, cell, pbc: as the file has them.
        properties: labels and conditions by name; None: it has no such.
    """
    digest = hashlib.blake2b(digest_size=8)
    labels = (part for name in sorted(properties) if properties[name] is not None for part in (name, properties[name]))
    for value in (numbers, positions, cell, pbc, *labels):
        digest.update(_bytes(value))
    return int.from_bytes(digest.digest(), "little") >> 1 | 1


def _bytes(value: Any) -> bytes:
    try:
        array = np.asarray(value)
    except ValueError:  # a list that is no array
        return repr(value).encode()
    return np.ascontiguousarray(array, dtype="<f8").tobytes() if array.dtype.kind in "biuf" else repr(value).encode()


class Identity(NamedTuple):
    """The rows of a training or validation set, in two ways."""

    name: np.ndarray  # (N,) of head, file (see `told_apart`: data may be moved) and frame
    content: np.ndarray  # (N,) of head, geometry and labels; 0: not known yet

    @classmethod
    def of(cls, rows: Provenance, content: np.ndarray, share: slice = slice(None)) -> "Identity":
        """Of a share of `rows`, whose contents (n,) are as `content_of` says; 0: not known yet."""
        heads = np.array([_code(name) for name in rows.heads], dtype=np.uint64)[rows.head[share]]
        files = _codes_of_files(rows)[rows.head[share], rows.source[share]]
        names = heads * ODD + files + rows.frame[share].astype(np.uint64) * ODD
        contents = np.where(content != 0, content.astype(np.uint64) ^ heads, np.uint64(0))
        return cls(names.view(np.int64), contents.view(np.int64))

    def rows_in(self, before: "Identity") -> np.ndarray:
        """Which row of `before` each row is (N,), -1: none. A content that isn't known yet is taken for the same."""
        row = _places(self.name, before.name)
        other = before.content[row] if len(before.content) else np.zeros_like(self.content)
        same = (row >= 0) & ((self.content == other) | (self.content == 0) | (other == 0))
        moved = ~same & (self.content != 0)
        row[~same] = -1
        row[moved] = _places(self.content[moved], before.content)
        return row


def told_apart(paths: Sequence[str]) -> list[str]:
    """The name of each file without its folder, or with as many folders as tell it from the others."""
    parts, lengths = [path.replace("\\", "/").split("/") for path in paths], [1] * len(paths)
    while True:
        names = ["/".join(own[-length:]) for own, length in zip(parts, lengths, strict=True)]
        found = Counter(names)
        longer = [i for i, name in enumerate(names) if found[name] > 1 and lengths[i] < len(parts[i])]
        if not longer:
            return names
        for i in longer:
            lengths[i] += 1


def _codes_of_files(rows: Provenance) -> NDArray[np.uint64]:
    """A number for the name of each file, among those of each head (H, files)."""
    shape = len(rows.heads), len(rows.sources)
    there = np.bincount(rows.head * shape[1] + rows.source, minlength=shape[0] * shape[1]).reshape(shape) > 0
    codes = np.zeros(shape, dtype=np.uint64)
    for own, of_head in zip(codes, there, strict=True):
        files = np.flatnonzero(of_head)
        own[files] = [_code(name) for name in told_apart([rows.sources[i] for i in files])]
    return codes


def _code(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _places(wanted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where each of `wanted` (N,) is first found in `known`; -1: nowhere."""
    if not len(known) or not len(wanted):
        return np.full(len(wanted), -1)
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known[order], wanted).clip(max=len(known) - 1)]
    return np.where(known[place] == wanted, place, -1)
