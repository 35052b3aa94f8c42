"""Groups of which nothing is trained on: of a config_type, a file, a head, all have lost their weight. No torch."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

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


def whole_groups(table: Mapping[str, Any], seen: np.ndarray) -> list[WholeGroup]:
    """Find such groups among the rows of a table that were `seen` (N,); columns of text are categories."""
    low, heads = seen & (np.asarray(table["weight"]) < 0.5), _categories(table["head"])
    several, found = np.count_nonzero(_count(heads.codes, seen)) > 1, dict[bytes, WholeGroup]()
    for column, kind in KINDS.items():
        groups = _categories(table[column])
        codes = groups.codes
        if several:
            codes = heads.codes.astype(np.int64) * max(len(groups.categories), 1) + codes
        suspects = _count(codes, low)
        if suspects.max(initial=0) < NEARLY_ALL * SMALLEST:
            continue
        members = _count(codes, seen)
        suspects = np.pad(suspects, (0, len(members) - len(suspects)))
        for code in np.flatnonzero((members >= SMALLEST) & (suspects >= NEARLY_ALL * members)):
            head, name = divmod(int(code), len(groups.categories)) if several else (0, int(code))
            rows = np.flatnonzero(seen & (codes == code)).tobytes()
            of_head = str(heads.categories[head]) if several else ""
            group = WholeGroup(kind, str(groups.categories[name]), of_head, int(members[code]), int(suspects[code]))
            found.setdefault(rows, group)
    return list(found.values())


def _count(codes: np.ndarray, which: np.ndarray) -> np.ndarray:
    """How many of the rows (N,) in a mask have each code."""
    return np.bincount(codes if which.all() else codes[np.flatnonzero(which)], minlength=1)


def _categories(column: Any) -> Any:
    """The categories of a column, as pandas.Categorical has them."""
    return getattr(column, "array", column)
