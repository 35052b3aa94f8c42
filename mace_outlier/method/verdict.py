"""What is thought of configurations. Numpy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .evidence import WHOLE, Weights
from .populations import Populations
from .processes import Processes
from .seen import Array

STORED, LARGEST = np.float32, 1e30  # how weights and z-scores are exchanged and remembered; the largest of such numbers


@dataclass(frozen=True)
class Verdict:
    """What is thought of N configurations."""

    weight: Array  # (N,) probability that all labels are right
    zscore: Array  # (N,) how far the worst property lies from right labels, in their widths
    by_property: dict[str, Array]  # (N,) probability that the label is right

    def part(self, which: np.ndarray) -> "Verdict":
        """That of some of them."""
        by_property = {name: own[which] for name, own in self.by_property.items()}
        return Verdict(self.weight[which], self.zscore[which], by_property)

    def stored(self) -> "Verdict":
        """In single precision, as it is remembered and exchanged: by half, a last bit would be 0.0005."""
        columns: list[Any] = [self.weight, self.zscore.clip(max=LARGEST), *self.by_property.values()]
        weight, zscore, *others = (own.astype(STORED) for own in columns)
        return Verdict(weight, zscore, dict(zip(self.by_property, others, strict=True)))

    def gathered(self, rows: np.ndarray, processes: Processes) -> "tuple[np.ndarray, Verdict]":
        """All rows that are judged, and what is thought of them, by the rows (n,) of the share of each process."""
        own = self.stored()
        columns = np.column_stack((own.weight, own.zscore, *own.by_property.values()))
        rows, table = processes.gather(rows), processes.gather(columns)
        return rows, Verdict(table[:, 0], table[:, 1], dict(zip(self.by_property, table[:, 2:].T, strict=True)))


def verdict_of(populations: Populations, values: dict[str, Array], weights: Weights) -> Verdict:
    """What populations say of values (N,), by these weights."""
    far = [own.widths_from_right(values[name]) for name, own in populations.by_name.items()]
    by_property = {name: own for name, own in weights.items() if name != WHOLE}
    return Verdict(weights[WHOLE], np.max(np.nan_to_num(far), axis=0), by_property)
