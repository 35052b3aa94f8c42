"""Groups of which nothing is trained on: of a config_type, a file, a head, all have lost their weight. No torch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..method.processes import ALONE, Processes
from ..method.sample import mixed

KINDS = {"config_type": "config_type", "source": "file", "head": "head"}  # columns; of the same rows, the first counts
SMALLEST = 3  # configurations of a group
NEARLY_ALL = 0.9  # of a group


class WholeGroup(NamedTuple):
    """A group that is set aside as a whole."""

    kind: str  # a value of KINDS
    name: str  # untrusted
    head: str  # untrusted; "": there is one
    members: int  # configurations that were seen
    suspects: int  # with a weight below 1/2

    @property
    def in_words(self) -> str:
        """What it is, and what that means."""
        of_head = f" of head {self.head}" if self.head and self.kind != "head" else ""
        return (
            f"{self.kind} {self.name or '(none)'}{of_head}: {self.suspects} of {self.members} configurations have a "
            "weight below 0.5, so that next to nothing of it is trained on. Its labels are wrong throughout (another "
            "unit, sign or level of theory?), or right and unlike all others: look at some of them"
        )


def whole_groups(
    table: Mapping[str, Any], seen: np.ndarray, first: int = 0, processes: Processes = ALONE
) -> list[WholeGroup]:
    """Find such groups among the rows of a table that were `seen` (N,); columns of text are categories.

    Of several processes, each gives the rows of its share, of which that of the table is the `first`, and the same
    categories; all find the same groups.
    """
    low, heads = seen & (np.asarray(table["weight"]) < 0.5), _categories(table["head"])
    visited = processes.sum(_count(heads.codes, seen, len(heads.categories)))
    several, found = np.count_nonzero(visited) > 1, dict[int, WholeGroup]()
    for column, kind in KINDS.items():
        groups = _categories(table[column])
        codes, size = groups.codes, len(groups.categories)
        if several:
            codes, size = heads.codes.astype(np.int64) * size + codes, len(heads.categories) * size
        suspects = processes.sum(_count(codes, low, size))
        if suspects.max(initial=0) < NEARLY_ALL * SMALLEST:
            continue
        members = processes.sum(_count(codes, seen, size))
        chosen = np.flatnonzero((members >= SMALLEST) & (suspects >= NEARLY_ALL * members))
        own = [mixed(first + np.flatnonzero(seen & (codes == code))).view(np.int64).sum() for code in chosen]
        for code, rows in zip(chosen, processes.sum(np.array(own, dtype=np.int64)).tolist(), strict=True):
            head, name = divmod(int(code), len(groups.categories)) if several else (0, int(code))
            of_head = str(heads.categories[head]) if several else ""
            group = WholeGroup(kind, str(groups.categories[name]), of_head, int(members[code]), int(suspects[code]))
            found.setdefault(rows, group)
    return list(found.values())


def _count(codes: np.ndarray, which: np.ndarray, size: int) -> np.ndarray:
    """How many of the rows (N,) in a mask have each of so many codes."""
    return np.bincount(codes if which.all() else codes[np.flatnonzero(which)], minlength=size)


def _categories(column: Any) -> Any:
    """The categories of a column, as pandas.Categorical has them."""
    return getattr(column, "array", column)
