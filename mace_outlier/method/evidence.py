"""What is remembered from epoch to epoch of the configurations of one head. Numpy only."""

from collections.abc import Container
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .densest import densest
from .processes import Processes
from .seen import ENERGY, Array
from .share import Shared

MOST_EPOCHS = 255  # that are counted
LARGEST = 1e30  # that can be averaged as it is kept
WHOLE = ""  # all labels of a configuration together
Weights = dict[str, Array]  # (N,) by property: probability that the label is right; WHOLE: that all labels are


class Evidence:
    """What is not explained of N configurations, averaged over the epochs with a memory.

    x <- x + (new - x) / min(n, memory)          n: epochs in which it was found

    Of several processes, each knows that of its share of the rows.
    """

    def __init__(self, memory: float) -> None:
        self.memory, self.first = memory, 0  # row of the share
        self.values = Shared(np.nan)  # by property; NaN: none
        self.epochs = Shared(0.0)  # at most MOST_EPOCHS

    def add(self, rows: np.ndarray, found: dict[str, Array], share: slice) -> None:
        """Take in what was found of some rows of the share."""
        self.first, size = share.start, share.stop - share.start
        for name, new in found.items():
            values = self.values.own.get(name, np.full(size, np.nan)).copy()
            epochs = self.epochs.own.get(name, np.zeros(size, dtype=np.uint8)).copy()
            some = np.isfinite(new)
            own, new = rows[some] - self.first, new[some].clip(-LARGEST, LARGEST)
            epochs[own] += epochs[own] < MOST_EPOCHS
            before = np.where(np.isfinite(values[own]), values[own], new)
            values[own] = before + (new - before) / np.minimum(epochs[own], self.memory)
            self.values.own, self.epochs.own = self.values.own | {name: values}, self.epochs.own | {name: epochs}

    def of(self, rows: np.ndarray) -> dict[str, Array]:
        """Evidence of some rows (n,) of the share, by property."""
        return {name: values[rows - self.first] for name, values in self.values.own.items()}

    def rows(self) -> NDArray[np.int64]:
        """Rows of the share of which anything was found, ascending."""
        if not self.values.own:
            return np.zeros(0, dtype=np.int64)
        found = np.logical_or.reduce([np.isfinite(own) for own in self.values.own.values()])
        return self.first + np.flatnonzero(found)

    def forget_all_but(self, properties: Container[str]) -> None:
        """Forget what was found of other properties."""
        for columns in (self.values, self.epochs):
            columns.own = {name: own for name, own in columns.own.items() if name in properties}

    def keep(self, processes: Processes, size: int) -> None:
        """Tell whoever may save it what is known of all `size` rows."""
        self.values.keep(processes, size)
        self.epochs.keep(processes, size)

    def carry(self, rows: np.ndarray) -> None:
        """Go on with other rows, see Shared."""
        self.values.carry(rows)
        self.epochs.carry(rows)

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint."""
        return {"values": self.values.to_dict(), "epochs": self.epochs.to_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.values.load(state["values"], np.float64)
        counts = {name: np.array(own).clip(0, MOST_EPOCHS) for name, own in state["epochs"].items()}
        self.epochs.load(counts, np.uint8)


def centres(values: dict[str, Array]) -> dict[str, tuple[float, float]]:
    """Where evidence (N,) is densest, by property, and how wide that is: 1, but for energies."""
    densest_of = {name: densest(own) for name, own in values.items()}
    return {name: (zero, width if name == ENERGY else 1.0) for name, (zero, width) in densest_of.items()}


def centred(values: dict[str, Array], centre: dict[str, tuple[float, float]]) -> dict[str, Array]:
    """Evidence (N,) as it is judged: from where it is densest, energies in widths of that."""
    return {name: (own - centre[name][0]) / centre[name][1] for name, own in values.items()}


def confirmed(weights: Weights, before: Weights, gross: Weights) -> Weights:
    """Weights on which two epochs agree, min(max(w, before), gross): a gross error needs no second look."""
    none = np.ones(len(weights[WHOLE]))
    return {
        name: np.minimum(np.maximum(own, before.get(name, none)), gross.get(name, none))
        for name, own in weights.items()
    }
