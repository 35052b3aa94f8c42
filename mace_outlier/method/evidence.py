"""What is remembered from epoch to epoch of the configurations of one head. Numpy only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .densest import densest
from .processes import Processes
from .seen import ENERGY, Array

MOST_EPOCHS = 255  # that are counted
LARGEST = 1e30  # that can be averaged as it is kept
WHOLE = ""  # all labels of a configuration together
Weights = dict[str, Array]  # (N,) by property: probability that the label is right; WHOLE: that all labels are


class Evidence:
    """What is not explained of N configurations, averaged over the epochs with a memory.

    x <- x + (new - x) / min(n, memory)          n: epochs in which it was found
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.values: dict[str, Array] = {}  # (N,) by property; NaN: none
        self.epochs: dict[str, NDArray[np.uint8]] = {}  # (N,) at most MOST_EPOCHS

    def add(self, rows: np.ndarray, found: dict[str, Array], size: int) -> None:
        """Take in what was found of some rows of `size` ones."""
        for name, new in found.items():
            values = self.values.setdefault(name, np.full(size, np.nan))
            epochs = self.epochs.setdefault(name, np.zeros(size, dtype=np.uint8))
            some = np.isfinite(new)
            own, new = rows[some], new[some].clip(-LARGEST, LARGEST)
            epochs[own] += epochs[own] < MOST_EPOCHS
            before = np.where(np.isfinite(values[own]), values[own], new)
            values[own] = before + (new - before) / np.minimum(epochs[own], self.memory)

    def of(self, rows: np.ndarray) -> dict[str, Array]:
        """Evidence of some rows (n,), by property."""
        return {name: values[rows] for name, values in self.values.items()}

    def rows(self, share: slice) -> NDArray[np.int64]:
        """Rows of a share of all of which anything was found, ascending."""
        if not self.values:
            return np.zeros(0, dtype=np.int64)
        found = np.logical_or.reduce([np.isfinite(own[share]) for own in self.values.values()])
        return share.start + np.flatnonzero(found)

    def keep(self, processes: Processes) -> None:
        """Tell whoever may save it what each of the processes has added to its share; others go on with theirs."""
        self.values, self.epochs = kept(self.values, processes), kept(self.epochs, processes)

    def carry(self, rows: np.ndarray) -> None:
        """Go on with other rows, see `carried`."""
        self.values = {name: carried(values, rows, np.nan) for name, values in self.values.items()}
        self.epochs = {name: carried(epochs, rows, 0.0) for name, epochs in self.epochs.items()}

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint."""
        return {"values": dict(self.values), "epochs": dict(self.epochs)}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.values = {name: np.array(own, dtype=np.float64) for name, own in state["values"].items()}
        self.epochs = {
            name: np.array(own).clip(0, MOST_EPOCHS).astype(np.uint8) for name, own in state["epochs"].items()
        }


def carried(values: np.ndarray, rows: np.ndarray, unknown: float) -> np.ndarray:
    """What is known of `rows` (N,), by their places in `values`; -1: nothing is."""
    carried = np.full(len(rows), unknown, dtype=values.dtype)
    return np.where(rows >= 0, values[rows], carried) if len(values) else carried


def kept(columns: dict[str, np.ndarray], processes: Processes) -> dict[str, np.ndarray]:
    """See Processes."""
    return dict(zip(columns, processes.kept(list(columns.values())), strict=True))


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
