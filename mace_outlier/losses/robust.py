"""The robust loss: a base loss and a loss distribution make one scalar. Knows no MACE."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.batches import TAGS_FIELD, VALIDATION_FIELD, Ids, note_tags, read_ids
from ..states import NO_LOSS
from ..weights.distribution import widest
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
    gradient. A configuration with a non-finite label or loss has w_i = 0, no gradient, and leaves the statistics alone;
    where its prediction is not finite, the gradient of the model isn't either, whatever the weight: see `run.steps`.

    A batch without `configuration_id` is not a training batch: it gets the base loss itself, and nothing is learnt.

    Args:
        per_configuration: the base loss, split into configurations.
        weigher: weighs them; None: it is known later, see `attach`. In a distributed run, its `sum_over_ranks` is
            called once a step, in all processes alike.

    Source: arXiv:2602.08849.
    """

    weigher: Weigher

    def __init__(self, per_configuration: PerConfigurationLoss, weigher: Weigher | None = None) -> None:
        super().__init__()
        self.base = per_configuration.base  # a submodule, so that the host moves its buffers as it always does
        self.per_configuration = per_configuration
        self._selection: Selection | None = None
        if weigher is not None:
            self.attach(weigher)

    def attach(self, weigher: Weigher, by_property: bool = False) -> None:
        """Set what weighs the batches; its state is no submodule, because hosts move and alias those as they like.

        `by_property`: weights are those of each label, once it is judged, not of configurations:

            L = (1/B) sum_i sum_k w_ki^2 c_ki        k: label of a term; where it has no weight of its own, w_i
        """
        self.weigher, self.by_property = weigher, by_property

    distribution = property(lambda self: self.weigher.distribution)
    records = property(lambda self: self.weigher.records)
    safety = property(lambda self: self.weigher.safety)

    def forward(self, ref: Any, pred: dict[str, Tensor], ddp: bool | None = None) -> Tensor:
        """Return the scalar loss of the model's output `pred` for the labels of the batch `ref`."""
        ids = read_ids(ref)
        if ids is None:
            if self._selection is not None:
                self._note_validation(self._selection, ref, pred)
            return self.base(ref=ref, pred=pred) if ddp is None else self.base(ref=ref, pred=pred, ddp=ddp)
        weigher, heads = self.weigher, ref["head"]
        note_tags(ref, weigher.metadata)
        by_property = self.by_property and self.distribution.settled
        factors = self.records.factors(ids.rows, self.per_configuration.labels) if by_property else None
        losses, bad = self._losses(ref, pred, factors)
        judged = losses.judged.masked_fill(bad, NO_LOSS)
        if ids.unusable is not None:
            judged, bad = ids.instead_of(judged), bad | ids.unusable
        sums = weigher.sums(judged, bad, heads)
        contribution, sums = self._of_all_ranks(losses, len(ref["batch"]), sums)
        with torch.no_grad():
            atoms = ref["ptr"].diff()
            weight = weigher.weigh(ids.rows, heads, judged, bad, sums, self._errors(ref, pred, ids, atoms))
            factor = self._factor(weight, contribution, ids.rows, bool(factors))
            if weigher.features is not None:
                weigher.features.observe(ids.rows, ref, pred, atoms)
        contribution = contribution.masked_fill(bad, 0.0)
        return contribution.mean() if factor is None else (factor * contribution).mean()

    def _losses(
        self, ref: Any, pred: dict[str, Tensor], factors: dict[str, Tensor] | None = None
    ) -> tuple[ConfigurationLosses, Tensor]:
        """Losses of the configurations of a batch, and whether they are not finite, or too large (B,)."""
        losses = self.per_configuration(ref, pred, factors, distributed=self.weigher.sum_over_ranks is not None)
        with torch.no_grad():
            return losses, ~(losses.judged + losses.contribution < LARGEST_LOSS)  # positive; NaN is not below anything

    def _factor(self, weight: Tensor, contribution: Tensor, rows: Tensor, by_property: bool) -> Tensor | None:
        """w^2 (B,); None: 1, weights of labels are in the contributions. What is new has none of these yet."""
        newcomers = self.records.newcomers
        if by_property and newcomers is None:
            return None
        if by_property:
            weight = weight.masked_fill(~newcomers[rows], 1.0)
        return _no_wider(weight.square(), contribution)

    def _errors(self, ref: Any, pred: dict[str, Tensor], ids: Ids, atoms: Tensor) -> list[Tensor]:
        """Residuals (B,) for the columns of the records."""
        return residuals(ref, pred, self.records.residual_names, self.per_configuration.labels, ids, atoms)

    def _of_all_ranks(
        self, losses: ConfigurationLosses, atoms: int, sums: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Contributions (B,) and sums as all processes see them, by one collective; in one process, the same."""
        if self.weigher.sum_over_ranks is None:
            return losses.contribution, sums
        place, size = losses.judged.device, len(losses.judged)
        # filled on the device: to make a tensor of a list of numbers and copy it there would wait for it
        counts = [torch.full((1,), n, dtype=widest(place), device=place) for n in (1, size, atoms)]
        total = self.weigher.sum_over_ranks(torch.cat(counts if sums is None else [*counts, sums.flatten()]))
        ranks, all_sizes, all_atoms = total[0], total[1], total[2]
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

    @contextmanager
    def selecting(self) -> Iterator[Selection]:
        """Within the context, remember what batches with ids of validation configurations lose."""
        self._selection = selection = Selection()
        try:
            yield selection
        finally:
            self._selection = None

    @torch.no_grad()
    def _note_validation(self, selection: Selection, ref: Any, pred: dict[str, Tensor]) -> None:
        """Remember the losses of a validation batch, from which nothing is learnt."""
        ids = read_ids(ref, VALIDATION_FIELD)
        if ids is None or not selection.is_new(ref):
            return
        losses, bad = self._losses(ref, pred)
        contribution, _ = self._of_all_ranks(losses, len(ref["batch"]))
        judged = losses.judged.masked_fill(bad, NO_LOSS)
        columns = [ids.instead_of(judged), contribution.masked_fill(bad, 0.0) / len(bad)]
        atoms = ref["ptr"].diff()
        columns += self._errors(ref, pred, ids, atoms)
        if self.weigher.features is not None:
            columns += self.weigher.features.measure(ref, pred, atoms=atoms).unbind(1)
        selection.add(ids.rows, ref["head"], columns)
        selection.tags += getattr(ref, TAGS_FIELD, ())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r})"


def _no_wider(factor: Tensor, contribution: Tensor) -> Tensor:
    """Factors with which contributions keep their type; a narrower one is widened where they are multiplied."""
    kept = torch.promote_types(factor.dtype, contribution.dtype) == contribution.dtype
    return factor if kept else factor.to(contribution.dtype)
