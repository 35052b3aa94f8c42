"""The robust loss: a base loss and a loss distribution make one scalar. Knows no MACE."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .dataset import ID_FIELD
from .records import Records
from .reduction import ConfigurationLosses, PerConfigurationLoss, contributions
from .weighting import LossDistribution


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
        if distribution is not None and records is not None:
            self.attach(distribution, records)

    def attach(self, distribution: LossDistribution, records: Records) -> None:
        """Set where the statistics live; they are no submodules, because hosts move and alias those as they like."""
        self.distribution, self.records = distribution, records

    def forward(self, ref: Any, pred: dict[str, Tensor], ddp: bool | None = None) -> Tensor:
        """Return the scalar loss of the model's output `pred` for the labels of the batch `ref`."""
        ids = getattr(ref, ID_FIELD, None)
        if ids is None:
            return self.base(ref=ref, pred=pred) if ddp is None else self.base(ref=ref, pred=pred, ddp=ddp)
        losses = self.per_configuration(ref, pred)
        weight = self._weigh(ids, ref["head"], losses)
        size, atoms = len(ids), len(ref["batch"])
        mean_size, mean_atoms = self.mean_sizes(size, atoms, ids.device)
        share = contributions(losses.rows, mean_atoms, mean_size) * (size / mean_size)
        share = torch.where(losses.finite, share, 0.0)
        return (weight.square().to(share.dtype) * share).mean()

    @torch.no_grad()
    def _weigh(self, ids: Tensor, heads: Tensor, losses: ConfigurationLosses) -> Tensor:
        self.records.observe(ids, heads, losses.judged, losses.finite)
        if self._frozen:
            return torch.where(losses.finite, self.records.weight[ids], 0.0)
        judged = torch.where(losses.finite, losses.judged, 0.0)
        # a loss of exactly 0 says that the configuration has nothing to be judged by: no label, or weight 0
        self.distribution.update(judged, heads, losses.finite & (judged > 0))
        weight, zscore = self.distribution.weigh(judged, heads)
        weight = torch.where(losses.finite, weight, 0.0)
        self.records.judge(ids, weight, zscore)
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
        usable = (records.times_seen > 0) & ~records.nonfinite & (losses > 0)
        self.distribution.update(losses, heads, usable)
        weight, zscore = self.distribution.weigh(losses, heads)
        weight = torch.where(records.nonfinite, 0.0, weight)
        seen = records.times_seen > 0
        records.weight = torch.where(seen, weight.to(records.weight), records.weight)
        records.zscore = torch.where(seen, zscore.to(records.zscore), records.zscore)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r})"
