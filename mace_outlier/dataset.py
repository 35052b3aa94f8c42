"""Wrappers around a host's data sets: an id for every training configuration, and batches without bad labels.

Works on any data set whose items can be copied and take a new field, and on batches of torch_geometric's kind.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

# The field that marks a sample as a training sample. It must not contain "index" or "face", which torch_geometric adds
# up over a batch. A batch without it (validation, tests, error tables) gets the stock loss.
ID_FIELD = "configuration_id"


class TaggedDataset:
    """A data set whose items carry their position in it, as `configuration_id`.

    The items are shallow copies: the wrapped data set may share them with loaders that must not see the id. An item
    that is None (MACE's LMDB data set returns it for an unreadable entry) is passed on as it is.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> Any:
        item = self.dataset[position]
        if item is None:
            return None
        item = copy.copy(item)
        item[ID_FIELD] = torch.tensor(position % len(self), dtype=torch.long)
        return item


class FiniteBatches:
    """The batches of a loader without the configurations that have a NaN or infinite label.

    For what a host derives from the labels before training (mean energies, rms forces), where one NaN is enough to make
    every parameter NaN. The order of the samples, and batches of finite labels, are the loader's own.
    """

    def __init__(self, loader: Any, labels: tuple[str, ...] = ("energy", "forces")) -> None:
        self.loader, self.labels = loader, labels

    def __iter__(self) -> Iterator[Any]:
        collate = self.loader.collate_fn
        self.loader.collate_fn = FiniteCollater(collate, self.labels)
        try:
            yield from (batch for batch in self.loader if batch is not None)
        finally:
            self.loader.collate_fn = collate


class FiniteCollater:
    """Collates the items with finite labels only, to None where there is none; picklable for workers."""

    def __init__(self, collate: Callable[[list[Any]], Any], labels: tuple[str, ...]) -> None:
        self.collate, self.labels = collate, labels

    def __call__(self, items: list[Any]) -> Any:
        """Collate the finite ones of `items`."""
        finite = [item for item in items if not nonfinite_labels(item, self.labels)]
        return self.collate(finite) if finite else None


def nonfinite_labels(item: Any, labels: Iterable[str]) -> list[str]:
    """Return the labels of a configuration that are NaN or infinite."""
    return [label for label in labels if item[label] is not None and not bool(torch.isfinite(item[label]).all())]
