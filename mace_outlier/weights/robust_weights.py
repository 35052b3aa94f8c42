"""Weights for any training loop: `RobustWeights`. Torch only; knows no host."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.metadata import Metadata
from ..method.settings import Settings
from .distribution import Remembered
from .features import Features
from .mixture import MixtureDistribution
from .moments import Moments
from .records import Records
from .summed import processes_of
from .told import table_of, text_of
from .weigher import Weigher

if TYPE_CHECKING:
    import pandas

ARGUMENTS = {"energy_error": "energy", "force_error": "forces", "stress_error": "stress", "virials_error": "virials"}
STEPS = 1000  # that the first epoch is taken to have: at which of them a batch was seen explains errors
LOSS = "loss"  # the property that is judged where only losses are given


class RobustWeights:
    """Weights of N configurations, by which a training survives wrong labels; no MACE needed::

        weights = RobustWeights(len(dataset))
        for epoch in range(epochs):
            for ids, batch in loader:
                out = model(batch)
                loss = (weights(ids, energy_error=..., force_error=..., features=...) * per_configuration_loss).mean()
                ...
            weights.end_epoch(optimizer)

    What a call returns is w^2 (B,), without gradient; w: the probability that all labels of a configuration are right,
    judged at the end of each epoch for the next one, see `mace_outlier.method`. Within the first epoch, only gross
    errors lose weight. Where a loss is not finite, or an error is infinite, the weight is 0; mask such a loss
    (`torch.where`), since 0 times NaN is NaN.

    Args:
        size: N; configurations are the rows 0 to N - 1.
        formulas: (N,) chemical formulas ("H2O"): their composition and size explain errors; configurations of the same
            formula are compared with one another.
        heads: (N,) which of several data sets a configuration is of; each is judged by itself.
        label_forces: (N,) root mean square of the components of the labels, eV/A; 0: none. With them, and predicted
            forces in the calls, predictions that point against their labels count for more.
        device: where the errors will be.
        sum_over_ranks: in a distributed run (torch.distributed), returns the sum of a tensor over all processes; it is
            called once a step, in all alike, when this is made, and at the end of an epoch.
        settings: of the judgement.

    Raises:
        ValueError: `formulas`, `heads` or `label_forces` are not of N configurations.

    Source: arXiv:2602.08849, and `mace_outlier.method` beyond it.
    """

    def __init__(
        self,
        size: int,
        formulas: Sequence[str] | None = None,
        heads: Sequence[int] | None = None,
        label_forces: Sequence[float] | None = None,
        device: torch.device | str = "cpu",
        sum_over_ranks: Callable[[Tensor], Tensor] | None = None,
        settings: Settings = Settings(),  # noqa: B008 (immutable)
    ) -> None:
        for name, given in (("formulas", formulas), ("heads", heads), ("label_forces", label_forces)):
            if given is not None and len(given) != size:
                raise ValueError(f"{name}: {len(given)} given for {size} configurations")
        place = torch.device(device)
        self.heads = torch.as_tensor([0] * size if heads is None else list(heads), device=place)
        number = int(self.heads.max()) + 1 if size else 1
        processes = processes_of(sum_over_ranks, place)
        self.records = Records(size, place, heads, ARGUMENTS.values(), processes)
        self.features, self.moments = Features(size), Moments()
        distribution = MixtureDistribution(number, settings=settings).to(place)
        metadata = Metadata.of_formulas(size, formulas or ())
        if label_forces is not None:
            metadata.force = torch.as_tensor(np.asarray(label_forces), dtype=torch.float32).nan_to_num(0.0)
        known = self.records, metadata, self.features, [str(head) for head in range(number)]
        self.weigher = Weigher(distribution, *known, sum_over_ranks)
        self.records.keep()
        self.weigher.begin_epoch(0, STEPS)
        self._given: tuple[str, ...] = ()  # arguments of the calls so far

    @torch.no_grad()
    def __call__(
        self,
        ids: Tensor,
        *,
        energy_error: Tensor | None = None,
        force_error: Tensor | None = None,
        stress_error: Tensor | None = None,
        virials_error: Tensor | None = None,
        loss: Tensor | None = None,
        features: Tensor | None = None,
        predicted_force: Tensor | None = None,
    ) -> Tensor:
        """Return the factors w^2 (B,) of the losses of a training batch, and note what was seen of it.

        Args:
            ids: (B,) rows.
            energy_error: (B,) prediction - label, eV/atom.
            force_error, stress_error, virials_error: (B,) root mean square over the components; eV/A, eV/A^3, eV/atom.
            loss: (B,) losses without weights; needed where there are no errors.
            features: (B, K) what the model knows of each geometry, for instance the mean of its node features; without
                them hard geometries can't be told from wrong labels as well.
            predicted_force: (B,) root mean square of the predicted forces' components, eV/A.

        An error of NaN says that a configuration has no such label.

        Raises:
            ValueError: nothing to judge by, another kind of errors than in the calls before, or not one for each row.
        """
        values = {"energy_error": energy_error, "force_error": force_error, "stress_error": stress_error}
        values |= {"virials_error": virials_error, LOSS: loss}
        given = {name: value.detach() for name, value in values.items() if value is not None}
        self._check(ids, given)
        unknown = torch.full_like(next(iter(given.values())), torch.nan)
        errors = [given.get(name, unknown) for name in ARGUMENTS]
        judged = given[LOSS] if LOSS in given else torch.stack([e.nan_to_num(0.0).square() for e in errors]).sum(0)
        bad = judged.isnan() | torch.stack([value.isinf() for value in given.values()]).any(0)
        judged, heads = judged.masked_fill(bad, torch.inf), self.heads[ids]
        sums = self.weigher.sums(judged, bad, heads)
        if sums is not None and self.weigher.sum_over_ranks is not None:
            sums = self.weigher.sum_over_ranks(sums)
        weight = self.weigher.weigh(ids, heads, judged, bad, sums, errors)
        self.features.note(ids, features, (unknown if predicted_force is None else predicted_force.detach()).to(judged))
        return weight.square().to(judged.dtype)

    def _check(self, ids: Tensor, given: dict[str, Tensor]) -> None:
        if not given:
            raise ValueError(f"nothing to judge by: give at least one of {', '.join(ARGUMENTS)}, {LOSS}")
        if self._given and tuple(given) != self._given:
            raise ValueError(f"given {', '.join(given)}, but {', '.join(self._given)} before: the same in every call")
        for name, value in given.items():
            if value.shape != ids.shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)}, ids {tuple(ids.shape)}: one for each row")
        self._given = tuple(given)

    def end_epoch(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Judge what was seen in this epoch, for the next one; waits. What `optimizer` forgets then: see `moments`."""
        self.weigher.end_epoch()
        self.moments.outlive(self.weigher.safety.refit(self._remembered), optimizer)
        self.weigher.begin_epoch(self.records.epoch + 1, self.records.step)  # of about as many steps

    def _remembered(self) -> Remembered:
        """What is known of all configurations; by the errors that are, or by the loss, the square of an error."""
        known = self.weigher.remembered()
        given = {ARGUMENTS[name] for name in self._given if name in ARGUMENTS}
        errors = {name: error for name, error in known.seen.errors.items() if name in given}
        if not errors:
            loss = self.records.seen()[1]["loss"].cpu().double().nan_to_num(0.0, 0.0, 0.0)
            errors = {LOSS: loss.clamp_min(0.0).sqrt().numpy()}
        return known._replace(seen=dataclasses.replace(known.seen, errors=errors))

    # --- what it thinks ----------------------------------------------------------------------------------------------

    def table(self, ids: Sequence[Any] | None = None) -> "pandas.DataFrame":
        """Return a row for each configuration, by the caller's own `ids` (N,) or by number; the worst come first.

        Columns: weight, zscore, loss, the errors that were given (as arguments are called), times_seen (epochs).
        """
        assert self.records.everyone is not None  # all processes may save all rows: see Summed
        return table_of(self.records.everyone, ARGUMENTS, ids)

    def report(self, ids: Sequence[Any] | None = None, most: int = 20) -> str:
        """Return, as a text, what is believed of the labels of each head, and the worst suspects (weight below 1/2)."""
        return text_of(self.weigher.safety.tallies, self.weigher.safety.describe(), self.table(ids), most)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on: tensors and builtins only. Call it between epochs."""
        return {
            "epoch": self.records.epoch,
            "steps": self.records.steps,
            "distribution": self.weigher.distribution.state_dict(),
            "safety": self.weigher.safety.state_dict(),
            "records": self.records.state_dict(),
            "features": self.features.state_dict(),
            "loss_left": self.moments.left,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`; raises ValueError where it is of another number of configurations or heads."""
        self.records.load_state_dict(state["records"])
        self.weigher.distribution.load_state_dict(state["distribution"])
        rows, processes = np.arange(self.records.size)[self.records.share], self.records.processes
        self.weigher.distribution.carry(rows, rows[:0])
        self.weigher.distribution.keep(processes, self.records.size, 0)
        self.weigher.safety.load_state_dict(state["safety"])
        self.features.load_state_dict(state["features"])
        self.moments.left = state.get("loss_left", 1.0)
        self.weigher.begin_epoch(state["epoch"], state["steps"])
