"""A wrapper around a host's data set: an id for every training sample, and labels that are finite.

Work on any data set whose items are objects with labels as fields, and on batches that take a new field, as
torch_geometric's do.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .labels import LABELS
from .metadata import Metadata
from .tagging import TAG_FIELD, TAGGING, Tag

# Fields of a training batch, and only of a training batch: one without them (validation, tests, error tables) gets the
# stock loss. Validation batches have the fourth.
ID_FIELD = "configuration_id"  # (B,) row of the configuration, see `provenance`
BAD_FIELD = "labels_not_finite"  # (B,) boolean; no such field where all labels of the batch are finite
ABSENT_FIELD = "labels_absent"  # (B, 6) boolean, in the order of LABELS; no such field where the batch has all labels
VALIDATION_FIELD = "validation_id"  # (B,) row of the validation configuration
TAGS_FIELD = "__mace_outlier_tags__"  # [(row, Tag)], on the host; underscores: no field for the model

FINITE, NONFINITE = 1, 2  # labels of a position; 0: not checked yet
HAS_ALL = (False,) * len(LABELS)

Collate = Callable[[list[Any]], Any]


class Sample(NamedTuple):
    """An item of a NumberedDataset."""

    row: int
    finite: bool  # whether its labels were
    item: Any
    absent: tuple[bool, ...] | None = None  # whether it lacks each of LABELS; None: it has all that are used
    tag: Tag | None = None  # only while it is needed


class NumberedDataset:
    """A data set whose items come with the row of their configuration, and whether their labels are finite.

    A NaN or infinite label is replaced by 0, in a copy of the item: a weight of zero alone would not do, because the
    gradient of a NaN is NaN whatever it is multiplied by. Labels are checked when an item is first read; that is done
    where the items are made, on the host, and costs the training step nothing.

    Args:
        dataset: the host's, with a length and items by position.
        labels: the labels that the loss uses.
        rows: row of each position; the position itself by default.
        validation: labels stay as they are, because MACE makes its error tables from them.
    """

    def __init__(
        self, dataset: Any, labels: Iterable[str] = (), rows: np.ndarray | None = None, validation: bool = False
    ) -> None:
        self.dataset, self.labels, self.validation = dataset, tuple(labels), validation
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
        if self._state[position] != FINITE and item is not None:  # None: MACE's LMDB could not read this entry
            item = self._checked(position, item)
        finite, tag = self._state[position] != NONFINITE, getattr(item, TAG_FIELD, None) if self.needs_tags else None
        return Sample(int(self.rows[position]), finite, item, self._absent.get(position), tag)

    def _checked(self, position: int, item: Any) -> Any:
        """Note which labels an item lacks and whether they are finite; return it with finite ones."""
        absent = tuple(label in self.labels and not bool(torch.any(item[LABELS[label]])) for label in LABELS)
        if any(absent):
            self._absent[position] = absent
        bad = [] if self.validation else nonfinite_labels(item, self.labels)
        self._state[position] = NONFINITE if bad else FINITE
        item = copy.copy(item) if bad else item
        for label in bad:
            item[label] = torch.zeros_like(item[label])
        return item


class TaggingCollater:
    """A collate function for the samples of a NumberedDataset: the host's batch, with ids. Picklable for workers."""

    def __init__(self, collate: Collate, field: str = ID_FIELD) -> None:
        self.collate, self.field = collate, field

    def __call__(self, samples: list[Sample]) -> Any:
        """Collate as the host does, and add the fields above: those after the first only where they are needed."""
        rows, finite, items, absent, tags = zip(*samples, strict=True)
        batch = self.collate(list(items))
        setattr(batch, self.field, torch.tensor(rows))
        if not all(finite):
            setattr(batch, BAD_FIELD, ~torch.tensor(finite))
        if any(absent):
            setattr(batch, ABSENT_FIELD, torch.tensor([lacks or HAS_ALL for lacks in absent]))
        if any(tags):
            setattr(batch, TAGS_FIELD, [(row, tag) for row, tag in zip(rows, tags, strict=True) if tag])
        return batch


@contextmanager
def tagged(
    loader: Any, labels: Iterable[str], rows: np.ndarray | None = None, validation: bool = False
) -> Iterator[NumberedDataset]:
    """Make the batches of a torch DataLoader carry ids, within the context; its sampler and order stay."""
    dataset, collate = loader.dataset, loader.collate_fn
    numbered = NumberedDataset(dataset, labels, rows, validation)
    # a DataLoader refuses `loader.dataset = ...` once it is made, because its sampler might not fit; this one does
    loader.__dict__["dataset"] = numbered
    loader.collate_fn = TaggingCollater(collate, VALIDATION_FIELD if validation else ID_FIELD)
    try:
        yield numbered
    finally:
        loader.__dict__["dataset"], loader.collate_fn = dataset, collate


def note_tags(batch: Any, metadata: Metadata) -> None:
    """Take in what the samples of a batch say of their configurations."""
    for row, tag in getattr(batch, TAGS_FIELD, ()):
        metadata.note(row, tag)


class Ids(NamedTuple):
    """What a training batch says of its configurations."""

    rows: Tensor  # (B,)
    nonfinite: Tensor | None  # (B,) whether their labels were not finite; None: no such label
    absent: Tensor | None  # (B, 6) whether they lack each of LABELS; None: they have all


def read_ids(batch: Any, field: str = ID_FIELD) -> Ids | None:
    """Return the ids of a training batch (or, by `field`, of a validation batch), None for any other."""
    ids = getattr(batch, field, None)
    return None if ids is None else Ids(ids, getattr(batch, BAD_FIELD, None), getattr(batch, ABSENT_FIELD, None))


def nonfinite_labels(item: Any, labels: Iterable[str]) -> list[str]:
    """Return the labels of a configuration that are NaN or infinite."""
    return [label for label in labels if item[label] is not None and not bool(torch.isfinite(item[label]).all())]
