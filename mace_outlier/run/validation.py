"""The validation sets of a run: a weighted loss to choose models by, and what is known of their configurations.

Nothing is learnt from them. A validation set is as likely to hold wrong labels as a training set, and a model that
reproduces these has the lower stock loss.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import NumberedDataset, tagged
from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..data.tagging import Tag
from ..losses.robust import RobustLoss
from ..losses.selection import BestSoFar, Selection
from ..weights.records import Records
from ..weights.remembered import remembered
from . import distributed
from .options import LOSS_NAME


class Validation:
    """The validation configurations of all heads.

    Args:
        provenance, metadata: their rows.
        records: as of training configurations, at their last evaluation.
    """

    def __init__(self, provenance: Provenance, metadata: Metadata, records: Records) -> None:
        self.provenance, self.metadata, self.records = provenance, metadata, records
        self._datasets: list[NumberedDataset] = []
        self._best: dict[tuple[RobustLoss, int], BestSoFar] = {}

    def tag(self, loaders: Sequence[Any], labels: Sequence[str], stack: ExitStack) -> None:
        """Make the batches of the loaders, one for each head, say which configurations they hold, within a context."""
        first = 0
        for loader in loaders:
            rows = self.provenance.row_of_position[first : first + len(loader.dataset)]
            self._datasets.append(stack.enter_context(tagged(loader, labels, rows, validation=True)))
            first += len(rows)
            self._datasets[-1].needs_tags = not self.metadata.complete

    def _learn_names(self, tags: list[tuple[int, Tag]]) -> None:
        """Take in what batches said of their configurations here and in the other processes."""
        for row, tag in tags:
            self.metadata.note(row, tag)
        distributed.merge_metadata(self.metadata, self.records.table.device)
        for dataset in self._datasets:
            dataset.needs_tags = not self.metadata.complete

    def select(self, loss: RobustLoss, evaluate: Callable[[], tuple[float, Any]], robust: bool) -> tuple[float, Any]:
        """Run the host's evaluation; return its weighted loss in place of the stock one, if `robust`."""
        with loss.selecting() as selection:
            stock, metrics = evaluate()
        if not len(selection):
            return stock, metrics
        rows, heads, weights, shares, some_are_wrong = self._judge(loss, selection)
        if not robust:
            return stock, metrics
        best = self._best.setdefault((loss, int(heads.min())), BestSoFar())  # of each stage and head
        result = best.compare(rows, shares, weights, some_are_wrong)
        if result is None:
            return stock, metrics
        value, mean_weight = result
        logging.info(f"Validation: {LOSS_NAME} loss={value:.8f}, stock loss={stock:.8f}, mean_weight={mean_weight:.4f}")
        return value, metrics

    def _judge(self, loss: RobustLoss, selection: Selection) -> tuple[Tensor, Tensor, Tensor, Tensor, bool]:
        """Rows, heads, weights and shares of the loss (V,) of what was evaluated, which is noted in the records.

        And whether wrong labels are known to be among them. Where the judgement can't be used, see Safety, the weights
        are 1: the loss is the stock one then, in the units of those that it is compared with.
        """
        if not self.metadata.complete:
            self._learn_names(selection.tags)
        rows, heads, losses, shares, others = selection.collect(distributed.gather_rows)
        bad, known = losses.isnan(), rows >= 0
        names = self.records.residual_names
        errors, features = others[: len(names)], others[len(names) :].T
        times = torch.zeros_like(losses)  # one model saw them all
        residuals = dict(zip(names, errors, strict=True))
        seen = remembered(losses, heads, ~bad, times, residuals, features, self.metadata, rows)
        last = torch.ones_like(losses)
        last[known] = self.records.weight[rows[known]].to(last.dtype)
        share = distributed.shared_sum()
        weights, zscores, stock = loss.safety.judge(loss.distribution, seen, last, loss.records, share)
        weights = weights.masked_fill(bad, 0.0)
        self.records.observe(
            rows[known], heads[known], losses[known], weights[known], zscores[known], list(errors[:, known])
        )
        return rows, heads, weights, shares, loss.distribution.some_are_wrong and not stock

    def begin_epoch(self, epoch: int) -> None:
        """Note evaluations that follow under this epoch."""
        self.records.begin_epoch(epoch, 1)
