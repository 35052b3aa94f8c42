"""Weights of training batches: asked of a loss distribution, or remembered since the last judgement."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.metadata import Metadata
from .distribution import LossDistribution, Remembered, bounded
from .features import Features
from .records import Records
from .remembered import seen_of
from .safety import Safety


class Weigher:
    """Weighs batches by one loss distribution, and keeps what is known of the training configurations.

    Args:
        distribution: must have one entry for each head of the batches.
        records: rows for all training configurations.
        metadata: what these are; None: not known.
        features: of the model, for each of them; None: none are noted.
        heads: their names, for the log.
        sum_over_ranks: in a distributed run, sums a tensor over the processes.
    """

    def __init__(
        self,
        distribution: LossDistribution,
        records: Records,
        metadata: Metadata | None = None,
        features: Features | None = None,
        heads: Sequence[str] = ("0",),
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.distribution, self.records, self.features = distribution, records, features
        self.metadata = Metadata(records.size) if metadata is None else metadata
        self.sum_over_ranks = sum_over_ranks
        self.safety = Safety(distribution, records, heads)
        self.frozen = False  # while True, nothing is learnt, and a configuration keeps its weight
        self.inherits = False  # while True, no weight is above the one that is remembered

    def sums(self, judged: Tensor, bad: Tensor, heads: Tensor) -> Tensor | None:
        """What the distribution is to learn from losses (B,) that aren't `bad` (B,); None where it learns nothing.

        Where processes share it, whether the distribution is settled doesn't matter here: each of them has found that
        by a fit of its own, and were they to disagree, by a last bit, they would wait for each other for ever.
        """
        if self.frozen or (self.distribution.settled and self.sum_over_ranks is None):
            return None
        # a loss of exactly 0 says that the configuration has nothing to be judged by: no label, or weight 0
        judged = judged.masked_fill(bad, 0.0)
        return self.distribution.sums(judged, heads, judged > 0)

    def weigh(
        self, ids: Tensor, heads: Tensor, judged: Tensor, bad: Tensor, sums: Tensor | None, errors: list[Tensor]
    ) -> Tensor:
        """Weights (B,) of the configurations `ids`, 0 for the bad ones; their losses and errors are noted.

        By statistics that have just learnt from them, by `sums` (of all processes), or, without, those that are
        remembered. In place of a loss that is not finite, `judged` (B,) says why, see `whose_fault`.
        """
        given, newcomers = self.records.given[ids], self.records.newcomers
        if sums is None or self.distribution.settled:
            noted, zscore = given, None
            if newcomers is not None and not self.frozen:  # until they are judged, gross errors lose weight
                early = self.distribution.weigh(judged.masked_fill(bad, 0.0), heads).weight
                noted = torch.where(newcomers[ids], bounded(early).to(noted.dtype), noted)
            weight = noted.masked_fill(bad, 0.0)
        else:
            self.distribution.absorb(sums)
            weight, zscore, _ = self.distribution.weigh(judged.masked_fill(bad, 0.0), heads)
            if self.inherits:
                weight = torch.minimum(weight, given.to(weight.dtype))
            noted = weight = bounded(weight).masked_fill(bad, 0.0)
        self.records.note(ids, judged, noted, zscore, errors)
        return weight

    @torch.no_grad()
    def weigh_all(self) -> None:
        """Update the statistics and all weights from the remembered losses of the configurations seen so far."""
        records = self.records
        records.merge()
        if self.distribution.settled:
            return
        seen, bad, heads = records.last_epoch >= 0, records.nonfinite, records.head.long()
        judged = records.loss.masked_fill(bad, 0.0)
        sums = self.distribution.sums(judged, heads, seen & (judged > 0))
        self.distribution.absorb(sums if self.sum_over_ranks is None else self.sum_over_ranks(sums))
        weight, zscore, _ = self.distribution.weigh(judged, heads)
        records.judge(seen & ~bad, weight, zscore)
        records.tell()

    # --- once an epoch; in all processes -----------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Note what follows as seen in an epoch of so many steps."""
        self.records.begin_epoch(epoch, steps)
        if self.features is not None:
            self.features.begin_epoch()

    def end_epoch(self) -> None:
        """Choose what features are kept of in the next epoch."""
        if self.features is not None:
            self.features.end_epoch(self.sum_over_ranks)

    def remembered(self, since: int = 0) -> Remembered:
        """Put together what was seen in an epoch, by any process, and return what is known then of the configurations.

        Usable are those seen `since` an epoch, whose losses have one scale. Waits for the device.
        """
        records = self.records
        records.end_epoch()
        usable = (records.time >= since) & (records.loss > 0) & ~records.nonfinite
        rows, visits = records.seen()
        judged = ((visits["time"] >= since) & (visits["loss"] > 0) & visits["loss"].isfinite()).cpu().numpy()
        features, order = (torch.empty(len(rows), 0), None) if self.features is None else self.features.latest()
        return Remembered(
            *(records.loss.nan_to_num(0.0, 0.0, 0.0), records.head.long(), usable, records.visited),
            seen=seen_of(visits, visits["time"], features, order, self.metadata, rows),
            rows=rows,
            head_of=np.where(judged, records.heads[rows], -1),
            size=records.size,
            first=records.share.start,
        )
