"""Weights of training batches: asked of a loss distribution, or remembered since the last judgement."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .distribution import LossDistribution, Remembered, bounded
from .features import Features
from .records import Records
from .safety import Safety


class Weigher:
    """Weighs batches by one loss distribution, and keeps what it says in the records.

    Args:
        distribution: must have one entry for each head of the batches.
        records: rows for all training configurations.
        heads: their names, for the log.
        sum_over_ranks: in a distributed run, sums a tensor over the processes.
    """

    def __init__(
        self,
        distribution: LossDistribution,
        records: Records,
        heads: Sequence[str] = (),
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.distribution, self.records, self.sum_over_ranks = distribution, records, sum_over_ranks
        self.safety = Safety(records.num_heads, heads)
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

        From statistics that have just learnt from them, by `sums` (of all processes), or, without, those that are
        remembered.
        """
        if sums is None or self.distribution.settled:
            weight = self.records.weight[ids]
            self.records.observe(ids, heads, judged.masked_fill(bad, torch.nan), weight, residuals=errors)
            return weight.masked_fill(bad, 0.0)
        self.distribution.absorb(sums)
        judged = judged.masked_fill(bad, 0.0)
        weight, zscore, _ = self.distribution.weigh(judged, heads)
        if self.inherits:
            weight = torch.minimum(weight, self.records.weight[ids].to(weight.dtype))
        weight = bounded(weight).masked_fill(bad, 0.0)
        self.records.observe(ids, heads, judged.masked_fill(bad, torch.nan), weight, zscore, errors)
        return weight

    @torch.no_grad()
    def weigh_all(self) -> None:
        """Update the statistics and all weights from the remembered losses of the configurations seen so far."""
        records = self.records
        if self.sum_over_ranks is not None:
            records.merge(self.sum_over_ranks)
        if self.distribution.settled:
            return
        heads, losses = records.head.long(), records.loss
        seen, bad = records.last_epoch >= 0, records.nonfinite
        judged = losses.masked_fill(bad, 0.0)
        self.distribution.update(judged, heads, seen & (judged > 0))
        weight, zscore, _ = self.distribution.weigh(judged, heads)
        records.judge(seen, weight.masked_fill(bad, 0.0), zscore)

    def end_epoch(self, features: Features | None) -> None:
        """Take over what the other processes saw in this epoch, and count its visits; all of them call this."""
        records, share, mine = self.records, self.sum_over_ranks, self.records.visited
        if share is not None:
            records.merge(share)
        if features is not None:
            features.end_epoch(mine, share)
        records.end_epoch()

    def judge(self, seen: Remembered) -> None:
        """Fit to all that was seen in an epoch, and weigh by the fit; what can't be right is refused, see Safety.

        The processes of a distributed run agree on that. Waits for the device.
        """
        accepted = self.safety.refit(self.distribution, seen, self.sum_over_ranks)
        if accepted is not None:
            self.records.judge(accepted.which, *accepted.judged)
