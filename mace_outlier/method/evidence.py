"""What is remembered from epoch to epoch of the configurations of one head. Numpy only."""

from typing import Any

import numpy as np

from .densest import densest
from .seen import ENERGY, Array

WHOLE = ""  # all labels of a configuration together
Weights = dict[str, Array]  # (N,) by property: probability that the label is right; WHOLE: that all labels are


class Evidence:
    """What is not explained of N configurations, averaged over the epochs with a memory.

    x <- x + (new - x) / min(n, memory)          n: epochs in which it was found
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.values: dict[str, Array] = {}  # (N,) by property; NaN: none
        self.epochs: dict[str, Array] = {}  # (N,)

    def add(self, rows: np.ndarray, found: dict[str, Array], size: int) -> None:
        """Take in what was found of some rows of `size` ones."""
        for name, new in found.items():
            values = self.values.setdefault(name, np.full(size, np.nan))
            epochs = self.epochs.setdefault(name, np.zeros(size))
            some = np.isfinite(new)
            own, new = rows[some], new[some]
            epochs[own] += 1
            before = np.where(np.isfinite(values[own]), values[own], new)
            values[own] = before + (new - before) / np.minimum(epochs[own], self.memory)

    def of(self, rows: np.ndarray) -> dict[str, Array]:
        """Evidence of some rows, see `centred`."""
        return {name: centred(name, values[rows], values) for name, values in self.values.items()}

    def carry(self, rows: np.ndarray) -> None:
        """Go on with other rows, see `carried`."""
        self.values = {name: carried(values, rows, np.nan) for name, values in self.values.items()}
        self.epochs = {name: carried(epochs, rows, 0.0) for name, epochs in self.epochs.items()}

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint."""
        return {"values": dict(self.values), "epochs": dict(self.epochs)}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.values, self.epochs = ({n: np.array(v) for n, v in state[part].items()} for part in ("values", "epochs"))


def carried(values: Array, rows: np.ndarray, unknown: float) -> Array:
    """What is known of `rows` (N,), by their places in `values`; -1: nothing is."""
    return np.where(rows >= 0, values[rows], unknown) if len(values) else np.full(len(rows), unknown)


def centred(name: str, values: Array, among: Array) -> Array:
    """Evidence from where that of all is densest; energies in widths of that."""
    zero, width = densest(among)
    return (values - zero) / (width if name == ENERGY else 1.0)


def confirmed(weights: Weights, before: Weights, gross: Weights) -> Weights:
    """Weights on which two epochs agree, min(max(w, before), gross): a gross error needs no second look."""
    none = np.ones(len(weights[WHOLE]))
    return {
        name: np.minimum(np.maximum(own, before.get(name, none)), gross.get(name, none))
        for name, own in weights.items()
    }
