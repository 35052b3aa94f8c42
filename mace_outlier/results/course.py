"""In which epochs something was thought of the labels of a head. No torch."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

LATELY = 10  # epochs that are counted
JUST = 3  # epochs after which it is not told any more that something held before; evidence has that memory


class Course(NamedTuple):
    """Whether something held in each epoch of a training."""

    epochs: tuple[int, ...]  # in order
    held: tuple[bool, ...]

    @property
    def now(self) -> bool:
        """Whether it holds."""
        return bool(self.held) and self.held[-1]

    @property
    def since(self) -> int:
        """The epoch since which it has held without a break; where it doesn't hold, since which it hasn't."""
        first = len(self.held) - 1
        while first > 0 and self.held[first - 1] == self.held[-1]:
            first -= 1
        return self.epochs[first]

    @property
    def changes(self) -> int:
        """How often it came or went lately."""
        latest = self.held[-LATELY:]
        return sum(one != other for one, other in pairwise(latest))

    @property
    def is_steady(self) -> bool:
        """Whether nothing has to be told of it: it has held for more than an epoch, or hasn't for some."""
        if not any(self.held[-JUST:]):
            return True
        return self.now and self.changes < 2 and (len(self.held) == 1 or self.held[-2])

    @property
    def in_words(self) -> str:
        """When it held, "since epoch 3"; "" where it hasn't lately, or nothing was recorded."""
        latest = self.held[-LATELY:]
        times = f"in {sum(latest)} of the last {len(latest)} epochs"
        if not any(latest):
            return ""
        if not self.now:
            off = ", on and off" if self.changes > 2 else ""
            return f"until epoch {self.epochs[self.epochs.index(self.since) - 1]}, {times}{off}"
        if self.changes >= 2:
            return f"on and off, {times}"
        return "in the last epoch only" if len(latest) > 1 and not latest[-2] else f"since epoch {self.since}"


def course_of(history: Sequence[Mapping[str, Any]], holds: Callable[[Mapping[str, Any]], bool]) -> Course:
    """Return in which epochs of a head's history, in order, something held."""
    return Course(tuple(int(entry["epoch"]) for entry in history), tuple(bool(holds(entry)) for entry in history))
