"""What the log says of what is not finite: labels, geometries, losses, steps and the model itself."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..data.dataset import nonfinite_labels
from ..data.provenance import Provenance
from ..states import ASIDE, GEOMETRY, LABEL, LOSS, STATES
from ..weights.records import Records

NAMED = 20  # by name; the rest are counted
OF_A_STEP = 5


class NonfiniteNames:
    """Which of them have been named.

    `dataset` is the training set, `provenance` its rows, `labels` what is trained; `fault_of`: see NumberedDataset.
    """

    def __init__(
        self, dataset: Any, provenance: Provenance, labels: Sequence[str], fault_of: Callable[[Any], str]
    ) -> None:
        self.dataset, self.provenance, self.labels, self.fault_of = dataset, provenance, labels, fault_of
        self._named: set[int] = set()
        self._broken: set[int] = set()  # heads

    def name_before(self, noted: np.ndarray) -> None:
        """Log what can't be trained on, by what will be noted in place of the losses (N,)."""
        codes = np.select([np.isnan(noted), np.isinf(noted)], [STATES.index(LABEL), STATES.index(GEOMETRY)], 0)
        self._name_new(codes)

    def name_new(self, records: Records, taken_back: Sequence[int]) -> None:
        """Log what was not finite in an epoch and has not been logged before; waits for the device."""
        codes = records.codes.cpu().numpy()
        self._name_new(codes)
        if taken_back:
            logging.warning(
                f"Epoch {records.epoch}: {len(taken_back)} of {max(records.step, len(taken_back))} steps were not "
                f"taken, because their gradients were not finite; the first was step {taken_back[0]}: "
                f"{self._seen_in(records, taken_back[0])}"
            )
        for head in sorted(records.not_finite_since.keys() - self._broken):
            first = (records.head == head) & (records.loss == torch.inf) & records.visited
            step = int(((records.time[first].min() - records.epoch) * records.steps).round()) if first.any() else 0
            logging.error(
                f"head {self.provenance.heads[head]}: the model is not finite since epoch {records.epoch}, step {step} "
                f"({self._seen_in(records, step)}). Its labels are not judged any more, the weights stay"
            )
        self._broken = set(records.not_finite_since)

    def _name_new(self, codes: np.ndarray) -> None:
        new = [row for row in np.flatnonzero(np.isin(codes, ASIDE)).tolist() if row not in self._named]
        room = max(0, NAMED - len(self._named))
        for row in new[:room]:
            logging.warning(f"{self.provenance.name(row)} has weight 0: {self._reason(row, STATES[codes[row]])}")
        if len(new) > room:
            logging.warning(f"{len(new) - room} more training configurations have weight 0, see the column state")
        self._named.update(new)

    def _reason(self, row: int, state: str) -> str:
        if state == LOSS:
            return "its loss is not finite, nor is its prediction as a rule, while the model is finite for others"
        item = self.dataset[int(self.provenance.position_of_row[row])]
        if state == GEOMETRY:
            return f"{self.fault_of(item)}; it is left out"
        return f"non-finite {' and '.join(nonfinite_labels(item, self.labels))} in its labels"

    def _seen_in(self, records: Records, step: int) -> str:
        """The configurations of a step of this epoch, those first that have no finite loss."""
        times = (records.time - records.epoch) * records.steps
        rows = torch.nonzero(records.visited & ((times - step).abs() < 0.5)).flatten()
        order = records.loss[rows].isfinite().cpu().numpy().argsort(kind="stable")
        names = [self.provenance.name(row) for row in rows.cpu().numpy()[order[:OF_A_STEP]].tolist()]
        return ", ".join(names) + (f" and {len(rows) - OF_A_STEP} more" if len(rows) > OF_A_STEP else "")
