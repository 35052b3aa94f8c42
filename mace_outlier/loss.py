"""The robust loss: a base loss and a loss distribution make one scalar. Knows no MACE."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .dataset import note_tags, read_ids
from .provenance import Descriptions
from .records import Records
from .reduction import PerConfigurationLoss
from .residuals import residuals
from .weighting import LossDistribution

LARGEST_LOSS = 1e38  # what the records can hold; anything above counts as not finite


class RobustLoss(nn.Module):
    """Base loss with every configuration weighted by how its loss compares to those of the others.

        L = (1/B) sum_i w_i^2 c_i

    c_i: contribution of configuration i, whose mean over the batch is the base loss; w_i: weight by the distribution
    of the losses l_i, without gradient (see `reduction` for c_i and l_i). All weights 1 give the base loss and its
    gradient. A configuration with a non-finite label or loss has w_i = 0, no gradient, and leaves the statistics alone.

    A batch without `configuration_id` is not a training batch: it gets the base loss itself, and nothing is learnt.

    Args:
        per_configuration: the base loss, split into configurations.
        distribution: the loss distribution; must have one entry for each head of the batches.
        records: rows for all training configurations.
        mean_sizes: for a distributed run, maps (B, N, device) of this process to the means of B and N over processes.

    Source: arXiv:2602.08849.
    """

    def __init__(
        self,
        per_configuration: PerConfigurationLoss,
        distribution: LossDistribution | None = None,
        records: Records | None = None,
        mean_sizes: Callable[[int, int, torch.device], tuple[Any, Any]] | None = None,
    ) -> None:
        super().__init__()
        self.base = per_configuration.base  # a submodule, so that the host moves its buffers as it always does
        self.per_configuration = per_configuration
        self.mean_sizes = mean_sizes or (lambda configurations, atoms, device: (configurations, atoms))
        self._frozen = False
        self.inherits = False  # while True, no weight is above the one that is remembered
        self._selection: Selection | None = None
        if distribution is not None and records is not None:
            self.attach(distribution, records)

    def attach(
        self, distribution: LossDistribution, records: Records, descriptions: Descriptions | None = None
    ) -> None:
        """Set where the statistics live; they are no submodules, because hosts move and alias those as they like."""
        self.distribution, self.records, self.descriptions = distribution, records, descriptions

    def forward(self, ref: Any, pred: dict[str, Tensor], ddp: bool | None = None) -> Tensor:
        """Return the scalar loss of the model's output `pred` for the labels of the batch `ref`."""
        ids = read_ids(ref)
        if ids is None:
            if self._selection is not None:
                self._selection.add(*self._judge_validation(ref, pred))
            return self.base(ref=ref, pred=pred) if ddp is None else self.base(ref=ref, pred=pred, ddp=ddp)
        if self.descriptions is not None:
            note_tags(ref, self.descriptions)
        size = len(ref["ptr"]) - 1
        mean_size, mean_atoms = self.mean_sizes(size, len(ref["batch"]), ids.rows.device)
        contribution, judged = self.per_configuration(ref, pred, mean_atoms / mean_size)
        if isinstance(mean_size, Tensor):  # a distributed run; comparing the numbers would wait for the device
            contribution = contribution * (size / mean_size)
        with torch.no_grad():
            too_large = ~(judged + contribution < LARGEST_LOSS)  # losses are positive; NaN is not below anything
            bad = too_large if ids.nonfinite is None else ids.nonfinite | too_large
            errors = residuals(ref, pred, self.records.residuals, self.per_configuration.labels, ids)
            weight = self._weigh(ids.rows, ref["head"], judged, bad, errors)
            factor = weight.square().to(contribution.dtype)
        return (factor * contribution.masked_fill(bad, 0.0)).mean()

    def _weigh(self, ids: Tensor, heads: Tensor, judged: Tensor, bad: Tensor, errors: list[Tensor]) -> Tensor:
        """Weights (B,) of the configurations, from statistics that have just learnt from them; 0 for the bad ones."""
        if self._frozen:
            self.records.observe(ids, heads, judged.masked_fill(bad, torch.nan), residuals=errors)
            return self.records.weight[ids].masked_fill(bad, 0.0)
        judged = judged.masked_fill(bad, 0.0)
        # a loss of exactly 0 says that the configuration has nothing to be judged by: no label, or weight 0
        self.distribution.update(judged, heads, judged > 0)
        weight, zscore = self.distribution.weigh(judged, heads)
        if self.inherits:
            weight = torch.minimum(weight, self.records.weight[ids].to(weight.dtype))
        weight = weight.masked_fill(bad, 0.0)
        self.records.observe(ids, heads, judged.masked_fill(bad, torch.nan), weight, zscore, errors)
        return weight

    @contextmanager
    def frozen_weights(self) -> Iterator[None]:
        """Hold all weights within an optimiser step that evaluates the loss many times (LBFGS).

        Inside, a configuration keeps the weight that it had before the step. Afterwards its latest loss enters the
        statistics, all configurations in one update, and the weights of the next step follow.
        """
        self._frozen = True
        try:
            yield
        finally:
            self._frozen = False
        self._judge_all()

    @torch.no_grad()
    def _judge_all(self) -> None:
        """Update the statistics and all weights from the remembered losses of the configurations seen so far."""
        records = self.records
        heads, losses = records.head.long(), records.loss
        seen, bad = records.last_epoch >= 0, records.nonfinite
        judged = losses.masked_fill(bad, 0.0)
        self.distribution.update(judged, heads, seen & (judged > 0))
        weight, zscore = self.distribution.weigh(judged, heads)
        records.judge(seen, weight.masked_fill(bad, 0.0), zscore)

    # --- validation --------------------------------------------------------------------------------------------------

    @contextmanager
    def selecting(self) -> Iterator["Selection"]:
        """Within the context, sum up the losses of batches without ids, weighted by the current distribution."""
        self._selection = selection = Selection()
        try:
            yield selection
        finally:
            self._selection = None

    @torch.no_grad()
    def _judge_validation(self, ref: Any, pred: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Contributions (B,) and weights (B,) of a batch, from which nothing is learnt."""
        contribution, judged = self.per_configuration(ref, pred)
        bad = ~(judged + contribution < LARGEST_LOSS)
        weight = self.distribution.weigh(judged.masked_fill(bad, 0.0), ref["head"]).weight
        return contribution.masked_fill(bad, 0.0), weight.masked_fill(bad, 0.0)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r})"


class Selection:
    """The validation loss with weights, summed over batches b of B_b configurations as MACE sums the stock one.

        stock    sum_b (1/B_b) sum_i c_i     /  sum_b B_b
        robust   sum_b (1/B_b) sum_i w_i c_i /  sum_b sum_i w_i

    All weights 1 give the stock number.
    """

    def __init__(self) -> None:
        self.sums: Tensor | None = None  # (3,) weighted losses, weights, configurations

    def add(self, contribution: Tensor, weight: Tensor) -> None:
        """Take in a batch: c (B,) and w (B,)."""
        count = torch.full_like(weight[0], len(weight))
        new = torch.stack(((weight * contribution).mean(), weight.sum(), count)).double()
        self.sums = new if self.sums is None else self.sums + new

    def value(self, sum_over_ranks: Callable[[Tensor], Tensor] = lambda sums: sums) -> tuple[float, float] | None:
        """Return the weighted loss and the mean weight, over all processes; None where all weights are 0."""
        if self.sums is None:
            return None
        loss, weight, count = sum_over_ranks(self.sums).tolist()
        return (loss / weight, weight / count) if weight > 0 else None
