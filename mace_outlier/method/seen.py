"""What is known of the configurations of one head after an epoch. Numpy only."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ENERGY, FORCES, STRESS, VIRIALS = "energy", "forces", "stress", "virials"


@dataclass(frozen=True)
class Seen:
    """N configurations of one head, as the model of their visit saw them."""

    errors: dict[str, Array]  # (N,) by property; energy: prediction - label, eV/atom; others: RMS; NaN: no label
    features: Array  # (N, K) pooled invariant features of the model; NaN: not known
    composition: dict[str, Array]  # (N,) by element, its share of the atoms
    atoms: Array  # (N,) number of atoms
    predicted_force: Array  # (N,) RMS of the predicted forces, eV/A; NaN: none
    label_force: Array  # (N,) RMS of the force labels, eV/A; 0: none
    conditions: Array  # (N, C) what else determines a label: total charge, spin, electronic temperature; NaN: not known
    times: Array  # (N,) in epochs; all equal: seen by the same model
    molecules: NDArray[np.int64]  # (N,) equal for configurations of the same molecule

    @property
    def number(self) -> int:
        """N."""
        return len(self.atoms)

    def part(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> "Seen":
        """Those of a mask or of indices."""
        return Seen(**{field.name: _each(getattr(self, field.name), lambda own: own[which]) for field in fields(self)})

    def joined(self, other: "Seen") -> "Seen":
        """These and others, of another origin, which a condition tells: all of them may be off by as much."""

        def both(name: str) -> Any:
            mine, theirs = getattr(self, name), getattr(other, name)
            if not isinstance(mine, dict):
                return np.concatenate((mine, theirs))
            none = np.nan if name == "errors" else 0.0
            filled = [
                {key: own.get(key, np.full(size, none)) for key in mine | theirs}
                for own, size in ((mine, self.number), (theirs, other.number))
            ]
            return {key: np.concatenate((filled[0][key], filled[1][key])) for key in filled[0]}

        joined = {field.name: both(field.name) for field in fields(self)}
        origin = np.repeat((0.0, 1.0), (self.number, other.number))[:, None]
        return Seen(**joined | {"conditions": np.concatenate((joined["conditions"], origin), axis=1)})


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change arrays, also those in a dictionary."""
    return {key: change(own) for key, own in value.items()} if isinstance(value, dict) else change(value)
