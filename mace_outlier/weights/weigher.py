"""Weights of training batches: asked of a loss distribution, or remembered since the last judgement."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..data.metadata import Metadata
from .distribution import LossDistribution, Remembered, bounded
from .features import Features
from .records import Records
from .remembered import remembered
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
        self.metadata = Metadata(len(records)) if metadata is None else metadata
        self.sum_over_ranks = sum_over_ranks
        self.safety = Safety(distribution, records, heads, sum_over_ranks)
        self.frozen = False  # while True, nothing is learnt, and a configuration keeps its weight
        self.inherits = False  # while True, no weight is above the one that is remembered
        self.newcomers = False  # whether some rows were never seen: until they are judged, gross errors lose weight

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
        before = self.records.table[:, ids]
        if sums is None or self.distribution.settled:
            noted, zscore = self.records.column("weight", before), None
            if self.newcomers and not self.frozen:
                early = self.distribution.weigh(judged.masked_fill(bad, 0.0), heads).weight
                noted = torch.where(self.records.column("time", before) < 0, bounded(early).to(noted.dtype), noted)
            weight = noted.masked_fill(bad, 0.0)
        else:
            self.distribution.absorb(sums)
            weight, zscore, _ = self.distribution.weigh(judged.masked_fill(bad, 0.0), heads)
            if self.inherits:
                weight = torch.minimum(weight, self.records.column("weight", before).to(weight.dtype))
            noted = weight = bounded(weight).masked_fill(bad, 0.0)
        self.records.observe(ids, judged, noted, zscore, errors, bad, before)
        return weight

    @torch.no_grad()
    def weigh_all(self) -> None:
        """Update the statistics and all weights from the remembered losses of the configurations seen so far."""
        records = self.records
        if self.sum_over_ranks is not None:
            records.merge(self.sum_over_ranks)
        if self.distribution.settled:
            return
        seen, bad, heads = records.last_epoch >= 0, records.nonfinite, records.head.long()
        judged = records.loss.masked_fill(bad, 0.0)
        self.distribution.update(judged, heads, seen & (judged > 0))
        weight, zscore, _ = self.distribution.weigh(judged, heads)
        records.judge(seen & ~bad, weight, zscore)

    # --- once an epoch -----------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Note what follows as seen in an epoch of so many steps."""
        self.records.begin_epoch(epoch, steps)
        if self.features is not None:
            self.features.begin_epoch()

    def end_epoch(self) -> None:
        """Take over what the other processes saw in this epoch, and count its visits; all of them call this."""
        if self.sum_over_ranks is not None:
            self.records.merge(self.sum_over_ranks)
        if self.features is not None:
            self.features.end_epoch(self.sum_over_ranks)
        self.records.end_epoch()
        self.look_for_newcomers()

    def look_for_newcomers(self) -> None:
        """See whether some rows were never seen; waits for the device."""
        self.newcomers = bool((self.records.time < 0).any())

    def remembered(self, since: int = 0) -> Remembered:
        """What is known of all configurations; usable are those seen `since` an epoch, whose losses have one scale.

        Of features, errors and the like, what this process saw in the latest epoch.
        """
        records = self.records
        usable = (records.time >= since) & ~records.nonfinite
        errors = {name: records.column(name) for name in records.residual_names}
        if self.features is None:
            here, places = records.visited.nonzero().squeeze(1), None
            features = torch.empty(len(here), 0)
        else:
            here, places = self.features.noted.latest()
            features = self.features.noted.columns
        known = (records.loss, records.head.long(), usable, records.time, errors, features, self.metadata)
        return remembered(*known, here=here, places=places)
