"""What a batch says of its configurations: fields that are put in where it is collated, and read by the loss.

For batches that take a new field, as torch_geometric's do.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .labels import LABELS
from .metadata import Metadata
from .tagging import Tag

# Fields of a training batch, and only of a training batch: one without them (validation, tests, error tables) gets the
# stock loss. Validation batches have the fourth.
ID_FIELD = "configuration_id"  # (B,) row of the configuration, see `provenance`
UNUSABLE_FIELD = "unusable"  # (B,) 0, or NO_LABEL or NO_GEOMETRY of `states`; no such field where all are 0
ABSENT_FIELD = "labels_absent"  # (B, 6) boolean, in the order of LABELS; no such field where the batch has all labels
VALIDATION_FIELD = "validation_id"  # (B,) row of the validation configuration
TAGS_FIELD = "__mace_outlier_tags__"  # [(row, Tag)], on the host; underscores: no field for the model

HAS_ALL = (False,) * len(LABELS)

Collate = Callable[[list[Any]], Any]


class Sample(NamedTuple):
    """An item of a NumberedDataset."""

    row: int
    unusable: float  # what is noted in place of its loss; 0: its loss
    item: Any
    absent: tuple[bool, ...] | None = None  # whether it lacks each of LABELS; None: it has all that are used
    tag: Tag | None = None  # only while it is needed


class TaggingCollater:
    """A collate function for the samples of a NumberedDataset: the host's batch, with ids. Picklable for workers."""

    def __init__(self, collate: Collate, field: str = ID_FIELD) -> None:
        self.collate, self.field = collate, field

    def __call__(self, samples: list[Sample]) -> Any:
        """Collate as the host does, and add the fields above: those after the first only where they are needed."""
        rows, unusable, items, absent, tags = zip(*samples, strict=True)
        batch = self.collate(list(items))
        setattr(batch, self.field, torch.tensor(rows))
        if any(unusable):
            setattr(batch, UNUSABLE_FIELD, torch.tensor(unusable))
        if any(absent):
            setattr(batch, ABSENT_FIELD, torch.tensor([lacks or HAS_ALL for lacks in absent]))
        if any(tags):
            setattr(batch, TAGS_FIELD, [(row, tag) for row, tag in zip(rows, tags, strict=True) if tag])
        return batch


def note_tags(batch: Any, metadata: Metadata) -> None:
    """Take in what the samples of a batch say of their configurations."""
    metadata.note_all(getattr(batch, TAGS_FIELD, ()))


class Ids(NamedTuple):
    """What a training batch says of its configurations."""

    rows: Tensor  # (B,)
    unusable: Tensor | None  # (B,) boolean; None: all can be trained on
    noted: Tensor | None  # (B,) what is noted in place of the losses of those that are unusable
    absent: Tensor | None  # (B, 6) whether they lack each of LABELS; None: they have all

    def instead_of(self, losses: Tensor) -> Tensor:
        """Losses (B,), or what is noted in their place."""
        if self.unusable is None or self.noted is None:
            return losses
        return torch.where(self.unusable, self.noted, losses)


def read_ids(batch: Any, field: str = ID_FIELD) -> Ids | None:
    """Return the ids of a training batch (or, by `field`, of a validation batch), None for any other."""
    ids, noted = getattr(batch, field, None), getattr(batch, UNUSABLE_FIELD, None)
    if ids is None:
        return None
    return Ids(ids, None if noted is None else noted != 0, noted, getattr(batch, ABSENT_FIELD, None))
