"""The robust loss: a base loss and a loss distribution make one scalar. Knows no MACE."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.dataset import TAGS_FIELD, VALIDATION_FIELD, note_tags, read_ids
from ..data.metadata import Metadata
from ..weights.distribution import LossDistribution
from ..weights.features import Features
from ..weights.records import Records
from ..weights.weigher import Weigher
from .reduction import ConfigurationLosses, PerConfigurationLoss
from .residuals import residuals
from .selection import Selection

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
        sum_over_ranks: in a distributed run, sums a tensor over the processes; called once a step, in all alike.

    Source: arXiv:2602.08849.
    """

    def __init__(
        self,
        per_configuration: PerConfigurationLoss,
        distribution: LossDistribution | None = None,
        records: Records | None = None,
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.base = per_configuration.base  # a submodule, so that the host moves its buffers as it always does
        self.per_configuration = per_configuration
        self.sum_over_ranks = sum_over_ranks
        self._selection: Selection | None = None
        self.by_property = False  # True: only the labels of a property that look wrong lose weight
        self.features: Features | None = None
        if distribution is not None and records is not None:
            self.attach(distribution, records)

    def attach(
        self,
        distribution: LossDistribution,
        records: Records,
        metadata: Metadata | None = None,
        heads: Sequence[str] = (),
        features: Features | None = None,
        by_property: bool = False,
    ) -> None:
        """Set where the statistics live; they are no submodules, because hosts move and alias those as they like.

        `heads`: their names, for the log. `features`: None: none are noted. `by_property`: weights are those of each
        label, not of configurations:

            L = (1/B) sum_i sum_k w_ki^2 c_ki        k: property of a term; of others than RESIDUALS, w_i
        """
        self.weigher = Weigher(distribution, records, heads, self.sum_over_ranks)
        self.metadata, self.features, self.by_property = metadata, features, by_property

    distribution = property(lambda self: self.weigher.distribution)
    records = property(lambda self: self.weigher.records)
    safety = property(lambda self: self.weigher.safety)

    def forward(self, ref: Any, pred: dict[str, Tensor], ddp: bool | None = None) -> Tensor:
        """Return the scalar loss of the model's output `pred` for the labels of the batch `ref`."""
        ids = read_ids(ref)
        if ids is None:
            if self._selection is not None:
                self._note_validation(ref, pred)
            return self.base(ref=ref, pred=pred) if ddp is None else self.base(ref=ref, pred=pred, ddp=ddp)
        if self.metadata is not None:
            note_tags(ref, self.metadata)
        by_property = self.by_property and self.distribution.settled
        factors = self.records.factors(ids.rows, self.per_configuration.labels) if by_property else None
        losses = self.per_configuration(ref, pred, factors, distributed=self.sum_over_ranks is not None)
        with torch.no_grad():
            too_large = ~(losses.judged + losses.contribution < LARGEST_LOSS)  # positive; NaN is not below anything
            bad = too_large if ids.nonfinite is None else ids.nonfinite | too_large
            sums = self.weigher.sums(losses.judged, bad, ref["head"])
        contribution, sums = self._of_all_ranks(losses, len(ref["batch"]), sums)
        with torch.no_grad():
            errors = residuals(ref, pred, self.records.residual_names, self.per_configuration.labels, ids)
            weight = self.weigher.weigh(ids.rows, ref["head"], losses.judged, bad, sums, errors)
            factor = weight.square().to(contribution.dtype)
            if self.features is not None:
                self.features.observe(ids.rows, ref, pred)
        contribution = contribution.masked_fill(bad, 0.0)
        return contribution.mean() if factors else (factor * contribution).mean()

    def _of_all_ranks(
        self, losses: ConfigurationLosses, atoms: int, sums: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Contributions (B,) and sums as all processes see them, by one collective; in one process, the same."""
        if self.sum_over_ranks is None:
            return losses.contribution, sums
        place, size = losses.judged.device, len(losses.judged)
        # filled on the device: to make a tensor of a list of numbers and copy it there would wait for it
        own = [torch.full((1,), n, dtype=torch.float64, device=place) for n in (1, size, atoms)]
        ranks, all_sizes, all_atoms, *_ = total = self.sum_over_ranks(
            torch.cat(own if sums is None else [*own, sums.flatten()])
        )
        contribution = losses.averaged(size * ranks / all_sizes, atoms * ranks / all_atoms)
        return contribution, None if sums is None else total[3:].view_as(sums)

    @contextmanager
    def frozen_weights(self) -> Iterator[None]:
        """Hold all weights within an optimiser step that evaluates the loss many times (LBFGS).

        Inside, a configuration keeps the weight that it had before the step. Afterwards its latest loss enters the
        statistics, all configurations in one update, and the weights of the next step follow.
        """
        self.weigher.frozen = True
        try:
            yield
        finally:
            self.weigher.frozen = False
        self.weigher.weigh_all()

    # --- validation --------------------------------------------------------------------------------------------------

    @contextmanager
    def selecting(self) -> Iterator["Selection"]:
        """Within the context, remember what batches without ids of training configurations lose."""
        self._selection = selection = Selection()
        try:
            yield selection
        finally:
            self._selection = None

    @torch.no_grad()
    def _note_validation(self, ref: Any, pred: dict[str, Tensor]) -> None:
        """Remember the losses of a validation batch, from which nothing is learnt."""
        assert self._selection is not None
        if not self._selection.is_new(ref):
            return
        losses = self.per_configuration(ref, pred, distributed=self.sum_over_ranks is not None)
        contribution, judged = self._of_all_ranks(losses, len(ref["batch"]))[0], losses.judged
        bad = ~(judged + contribution < LARGEST_LOSS)
        ids = read_ids(ref, VALIDATION_FIELD)
        errors = residuals(ref, pred, self.records.residual_names, self.per_configuration.labels, ids)
        columns = [judged.masked_fill(bad, torch.nan), contribution.masked_fill(bad, 0.0) / len(bad), *errors]
        if self.features is not None:
            columns += self.features.measure(ref, pred).unbind(1)
        rows = torch.full_like(ref["head"], -1) if ids is None else ids.rows
        self._selection.add(rows, ref["head"], columns)
        self._selection.tags += getattr(ref, TAGS_FIELD, ())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r})"
