"""What is known of the configurations of one head after an epoch. Numpy only."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ordered import Ordered

Array = NDArray[np.float64]
NUMBERS = ("errors", "composition", "atoms", "predicted_force", "label_force", "conditions", "times")
ENERGY, FORCES, STRESS, VIRIALS = "energy", "forces", "stress", "virials"


@dataclass(frozen=True)
class Seen:
    """N configurations of one head, as the model of their visit saw them."""

    errors: dict[str, Array]  # (N,) by property; energy: prediction - label, eV/atom; others: RMS; NaN: no label
    features: np.ndarray | Ordered  # (N, K) pooled invariant features of the model; NaN: not known
    composition: dict[str, Array]  # (N,) by element, its share of the atoms
    atoms: Array  # (N,) number of atoms
    predicted_force: Array  # (N,) RMS of the predicted forces, eV/A; NaN: none
    label_force: Array  # (N,) RMS of the force labels, eV/A; 0: none
    conditions: Array  # (N, C) what else determines a label: total charge, spin, electronic temperature; NaN: not known
    times: Array  # (N,) in epochs
    molecules: NDArray[np.int64]  # (N,) equal for configurations of the same molecule

    @property
    def number(self) -> int:
        """N."""
        return len(self.atoms)

    def part(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Seen":
        """Those of a mask, of indices or of a slice; of a mask that takes all, these."""
        if isinstance(which, np.ndarray) and which.dtype == bool and which.all():
            return self
        return Seen(**{field.name: _each(getattr(self, field.name), lambda own: own[which]) for field in fields(self)})

    def in_memory(self) -> "Seen":
        """With features of their own: the table that these are rows of may be written over."""
        return replace(self, features=np.array(self.features))

    def in_double(self) -> "Seen":
        """The same in double precision; features stay in theirs."""

        def doubled(own: np.ndarray) -> np.ndarray:
            return own.astype(np.float64, copy=False) if own.dtype.kind == "f" else own

        values = {name: _each(getattr(self, name), doubled) for name in NUMBERS}
        return replace(self, features=np.asarray(self.features), **values)

    def of_origin(self, origin: float) -> "Seen":
        """With one more condition: all configurations of one origin may be off by as much."""
        told = np.column_stack((self.conditions, np.full(self.number, origin)))
        return replace(self, conditions=told)

    def joined(self, other: "Seen") -> "Seen":
        """These and others."""

        def both(name: str) -> Any:
            mine, theirs = getattr(self, name), getattr(other, name)
            if not isinstance(mine, dict):
                return np.concatenate((np.asarray(mine), np.asarray(theirs)))
            none = np.nan if name == "errors" else 0.0
            filled = [
                {key: own.get(key, np.full(size, none)) for key in mine | theirs}
                for own, size in ((mine, self.number), (theirs, other.number))
            ]
            return {key: np.concatenate((filled[0][key], filled[1][key])) for key in filled[0]}

        return Seen(**{field.name: both(field.name) for field in fields(self)})

    def to_table(self) -> Array:
        """All that is known, as columns (N, k); those of whole numbers keep their bits."""
        return np.column_stack([
            *self.errors.values(), *self.composition.values(), self.atoms, self.predicted_force, self.label_force,
            self.times, self.molecules.astype(np.int64).view(np.float64), self.conditions,
            np.asarray(self.features),
        ]).astype(np.float64, copy=False)  # fmt: skip

    def with_table(self, table: Array) -> "Seen":
        """Other configurations, by a table of the same columns as this one's."""
        columns, first = list(table.T), len(self.errors) + len(self.composition)
        atoms, predicted, label, times, molecules = columns[first : first + 5]
        rest = table[:, first + 5 :]
        conditions = self.conditions.shape[1]
        return Seen(
            errors=dict(zip(self.errors, columns, strict=False)),
            composition=dict(zip(self.composition, columns[len(self.errors) : first], strict=True)),
            atoms=atoms,
            predicted_force=predicted,
            label_force=label,
            times=times,
            molecules=np.ascontiguousarray(molecules).view(np.int64),
            conditions=rest[:, :conditions],
            features=rest[:, conditions:],
        )


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change arrays, also those in a dictionary."""
    return {key: change(own) for key, own in value.items()} if isinstance(value, dict) else change(value)
