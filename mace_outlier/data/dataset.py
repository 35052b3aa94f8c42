"""A wrapper around a host's data set: an id for every training sample, and samples that can be trained on.

Works on any data set whose items are objects with labels as fields; what batches say of them: see `batches`.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from ..states import NO_GEOMETRY, NO_LABEL
from .batches import ID_FIELD, VALIDATION_FIELD, Sample, TaggingCollater
from .labels import LABELS
from .tagging import TAG_FIELD, TAGGING

CHECKED, NO_LABELS, LEFT_OUT = 1, 2, 3  # of a position; 0: not checked yet
NOTED = {CHECKED: 0.0, NO_LABELS: NO_LABEL, LEFT_OUT: NO_GEOMETRY}  # in place of a loss
MOST_TRIED = 100  # samples that may stand in for one that is left out

FaultOf = Callable[[Any], str]


def no_fault(item: Any) -> str:
    """Where nobody knows what can't be predicted."""
    return ""


class NumberedDataset:
    """A data set whose items come with the row of their configuration, and whether they can be trained on.

    A NaN or infinite label is replaced by 0, in a copy of the item: a weight of zero alone would not do, because the
    gradient of a NaN is NaN whatever it is multiplied by. For the same reason a configuration of which nothing can be
    predicted never gets into a batch: the next one stands in for it, under the row of the one that is left out and, as
    that, without weight. So sizes, order and batches stay what they were.

    Items are checked when they are first read; that is done where they are made, on the host, and costs the training
    step nothing.

    Args:
        dataset: the host's, with a length and items by position.
        labels: the labels that the loss uses.
        rows: row of each position; the position itself by default.
        validation: items stay as they are, because MACE makes its error tables from them.
        fault_of: says of an item why nothing can be predicted for it, "" where it can; a function, for other processes.
    """

    def __init__(
        self,
        dataset: Any,
        labels: Iterable[str] = (),
        rows: np.ndarray | None = None,
        validation: bool = False,
        fault_of: FaultOf = no_fault,
    ) -> None:
        self.dataset, self.labels, self.validation, self.fault_of = dataset, tuple(labels), validation, fault_of
        self.rows = np.arange(len(dataset)) if rows is None else rows
        self.needs_tags = True  # until every row has been described
        self._state = bytearray(len(dataset))
        self._absent: dict[int, tuple[bool, ...]] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Sample:
        """Return the sample at `position`."""
        with TAGGING.switched(self.needs_tags, afterwards=TAGGING.on):  # a data set on disk makes its samples anew
            item = self.dataset[position]
        position %= len(self)
        tag = getattr(item, TAG_FIELD, None) if self.needs_tags else None
        if item is not None:  # None: MACE's LMDB could not read this entry
            item = self._usable(position, item)
        unusable = NOTED.get(self._state[position], 0.0)
        return Sample(int(self.rows[position]), unusable, item, self._absent.get(position), tag)

    def check(self) -> np.ndarray:
        """Check all items that can be read, and return what would be noted for their rows (N,) in place of a loss."""
        noted = np.zeros(self.rows.max(initial=-1) + 1)
        for position, row in enumerate(self.rows.tolist()):
            item = self.dataset[position]
            if item is not None:
                self._note(position, item)
                noted[row] = NOTED[self._state[position]]
        return noted

    def _usable(self, position: int, item: Any) -> Any:
        """The item, a copy with finite labels, or another one in its place."""
        if not self._state[position]:
            self._note(position, item)
        state = self._state[position]
        if state == CHECKED or self.validation:
            return item
        if state == LEFT_OUT:
            return self._stand_in(position, item)
        item = copy.copy(item)
        for label in nonfinite_labels(item, self.labels):
            item[label] = torch.zeros_like(item[label])
        return item

    def _note(self, position: int, item: Any) -> None:
        """Note which labels an item lacks, and whether it can be trained on."""
        absent = tuple(label in self.labels and not bool(torch.any(item[LABELS[label]])) for label in LABELS)
        if any(absent):
            self._absent[position] = absent
        bad = nonfinite_labels(item, self.labels)
        self._state[position] = LEFT_OUT if self.fault_of(item) else NO_LABELS if bad else CHECKED

    def _stand_in(self, position: int, item: Any) -> Any:
        """The next item that has no fault; where there is none, the one that has."""
        for place in range(position + 1, position + min(len(self), MOST_TRIED)):
            other = self.dataset[place % len(self)]
            if other is not None and not self.fault_of(other):
                return self._usable(place % len(self), other)
        return item


@contextmanager
def tagged(
    loader: Any,
    labels: Iterable[str],
    rows: np.ndarray | None = None,
    validation: bool = False,
    fault_of: FaultOf = no_fault,
) -> Iterator[NumberedDataset]:
    """Make the batches of a torch DataLoader carry ids, within the context; its sampler and order stay."""
    dataset, collate = loader.dataset, loader.collate_fn
    numbered = NumberedDataset(dataset, labels, rows, validation, fault_of)
    # a DataLoader refuses `loader.dataset = ...` once it is made, because its sampler might not fit; this one does
    loader.__dict__["dataset"] = numbered
    loader.collate_fn = TaggingCollater(collate, VALIDATION_FIELD if validation else ID_FIELD)
    try:
        yield numbered
    finally:
        loader.__dict__["dataset"], loader.collate_fn = dataset, collate


def nonfinite_labels(item: Any, labels: Iterable[str]) -> list[str]:
    """Return the labels of a configuration that are NaN or infinite."""
    return [label for label in labels if item[label] is not None and not bool(torch.isfinite(item[label]).all())]
