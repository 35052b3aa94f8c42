"""What a restarted run knows of its configurations by the checkpoint; their labels may have been edited meanwhile."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..data.identity import Identity
from ..weights.distribution import LossDistribution
from .tables import Split


def identities(splits: Sequence[Split], share: slice = slice(None)) -> list[dict[str, Any]]:
    """By which the rows of each split, of a share of them, are known again; for a checkpoint."""
    found = (_identity(split, share)._asdict() for split in splits)
    return [{name: torch.from_numpy(own) for name, own in identity.items()} for identity in found]


def warn_of_shared(training: Split, validation: Split) -> None:
    """Say where validation configurations are training configurations as well: then validation says nothing."""
    contents, others = (split.metadata.content.numpy() for split in (training, validation))
    read = int(np.isin(others[others != 0], contents).sum())  # others are known by their names only
    shared = max(read, validation.provenance.common(training.provenance))
    if shared:
        logging.warning(
            f"{shared} of {len(others)} validation configurations are training configurations as well: that these are "
            "fitted well says nothing of others (said once)"
        )


def _identity(split: Split, share: slice = slice(None)) -> Identity:
    return Identity.of(split.provenance, split.metadata.content.numpy()[share], share)


class Known:
    """Which rows of a checkpoint the rows of each split are.

    Data that are read sample by sample are known by their names until then: see `changed`.

    Args:
        splits: of this run.
        before: `identities` of the checkpoint.
    """

    def __init__(self, splits: Sequence[Split], before: Sequence[dict[str, Any]]) -> None:
        self.splits = splits
        self.rows: list[np.ndarray] = []  # (N,) of each split: the row of the checkpoint, -1: none
        self.same: list[bool] = []  # of each split: whether it has the same rows as the checkpoint
        self._expected: list[np.ndarray] = []  # (N,) of each split: content that is to be compared; 0: none
        for split, own in zip(splits, before, strict=True):
            now, then = _identity(split), Identity(*(part.numpy() for part in own.values()))
            rows = now.rows_in(then)
            self.rows.append(rows)
            self.same.append(np.array_equal(rows, np.arange(len(then.name))))
            self._expected.append(np.where((rows >= 0) & (now.content == 0), np.append(then.content, 0)[rows], 0))
        size, new, others = len(self.rows[0]), int((self.rows[0] < 0).sum()), len(before[0]["name"])
        if new or size != others:
            logging.warning(
                f"The training set has changed since the checkpoint: {size - new} of {size} configurations go on with "
                f"what is known of them, {new} are new or have other labels and start fresh"
            )

    def changed(self) -> list[np.ndarray]:
        """The same for the rows so far, -1: labels that were read since are others than those of the checkpoint."""
        rows = []
        for split, expected in zip(self.splits, self._expected, strict=True):
            content = _identity(split).content if expected.any() else expected
            others = (content != 0) & (expected != 0) & (content != expected)
            expected[content != 0] = 0
            rows.append(np.where(others, -1, np.arange(len(others))))
        found = sum(int((own < 0).sum()) for own in rows)
        if found:
            logging.warning(f"{found} configurations have other labels than at the checkpoint: they start fresh")
        return rows if found else []

    def forget_changed(self, distributions: Sequence[LossDistribution]) -> None:
        """Begin anew with configurations whose labels were edited since the checkpoint, once they are read."""
        rows = self.changed()
        if rows:
            records = self.splits[0].records
            records.forget(torch.from_numpy(rows[0] < 0).to(records.table.device))
            of_share = [own[records.processes.share(len(own))] for own in rows]
            places = [np.where(own < 0, -1, np.arange(len(own))) for own in of_share]
            for distribution in distributions:
                distribution.carry(*places)
