"""What is known of the configurations of one head after an epoch. Numpy only."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ENERGY, FORCES, STRESS, VIRIALS = "energy", "forces", "stress", "virials"


@dataclass(frozen=True)
class Seen:
    """N configurations of one head, as the model of their visit saw them."""

    errors: dict[str, Array]  # (N,) by property; energy: prediction - label, eV/atom; others: RMS; NaN: no label
    features: Array  # (N, K) pooled invariant features of the model; K = 0: none
    composition: Array  # (N, elements) shares of the atoms
    atoms: Array  # (N,) number of atoms
    predicted_force: Array  # (N,) RMS of the predicted forces, eV/A; NaN: none
    label_force: Array  # (N,) RMS of the force labels, eV/A; 0: none
    conditions: Array  # (N, C) what else determines a label: total charge, spin, electronic temperature
    times: Array  # (N,) in epochs; all equal: seen by the same model
    molecules: NDArray[np.int64]  # (N,) equal for configurations of the same molecule

    @property
    def number(self) -> int:
        """N."""
        return len(self.atoms)

    def part(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> "Seen":
        """Those of a mask or of indices."""
        own = {field.name: getattr(self, field.name)[which] for field in fields(self) if field.name != "errors"}
        return Seen(errors={name: values[which] for name, values in self.errors.items()}, **own)

    def joined(self, other: "Seen") -> "Seen":
        """These and others, of another origin, which a condition tells: all of them may be off by as much."""
        names = ("features", "composition", "atoms", "predicted_force", "label_force", "times", "molecules")
        own = {name: np.concatenate((getattr(self, name), getattr(other, name))) for name in names}
        errors = {name: np.concatenate((values, other.errors[name])) for name, values in self.errors.items()}
        origin = np.repeat((0.0, 1.0), (self.number, other.number))[:, None]
        conditions = np.concatenate((np.concatenate((self.conditions, other.conditions)), origin), axis=1)
        return Seen(errors=errors, conditions=conditions, **own)
