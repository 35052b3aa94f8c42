"""Names, in the log, of the training configurations whose labels or losses are not finite."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import nonfinite_labels
from ..data.provenance import Provenance

NAMED = 20  # by name; the rest are counted


class NonfiniteNames:
    """Which of them have been named; `dataset` is the training set, `provenance` its rows, `labels` what is trained."""

    def __init__(self, dataset: Any, provenance: Provenance, labels: Sequence[str]) -> None:
        self.dataset, self.provenance, self.labels = dataset, provenance, labels
        self._named: set[int] = set()

    def name_new(self, nonfinite: Tensor) -> None:
        """Log those in the mask (N,) that were not logged before; waits for the device."""
        new = [row for row in torch.nonzero(nonfinite).flatten().tolist() if row not in self._named]
        room = max(0, NAMED - len(self._named))
        for row in new[:room]:
            logging.warning(f"{self.provenance.name(row)} has weight 0: {self._reason(row)}")
        if len(new) > room:
            logging.warning(f"{len(new) - room} more training configurations have weight 0: non-finite label or loss")
        self._named.update(new)

    def _reason(self, row: int) -> str:
        bad = nonfinite_labels(self.dataset[int(self.provenance.position_of_row[row])], self.labels)
        return f"non-finite {' and '.join(bad)} in its labels" if bad else "its loss is not finite"
