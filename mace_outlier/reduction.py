"""Per-configuration losses from a host's own loss function, without rewriting it. Knows no MACE.

MACE's losses hand element-wise terms to one function, `reduce_loss`, and combine what it returns linearly, with
constant coefficients a_k. While a loss runs, that function is exchanged for one that sums over each configuration
instead of over the batch. For B configurations with N atoms in all, n_i in configuration i, a term with one entry for
each configuration (energy, stress, virials, dipole; mean over components) gives e_i, and one with an entry for each
atom (forces) gives the sum over the atoms of i, s_i:

    stock loss of the batch                    L   = sum_k a_k mean_i e_i   or   a_k (1/N) sum_i s_i
    contribution of i                          c_i = sum_k a_k e_i          or   a_k (B/N) s_i         mean_i c_i = L
    loss of i, whoever its batch mates are     l_i = sum_k a_k e_i          or   a_k s_i / n_i
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .probe import LABELS, made_up_batch

SHORT_CUTS = ("loss", "loss / weight")  # judged loss = l_i, or l_i over the configuration's weight


class UnsupportedLossError(RuntimeError):
    """The base loss can't be split into configurations; the message says why."""


class ConfigurationLosses(NamedTuple):
    """Losses of the B configurations of a batch."""

    contribution: Tensor  # (B,), with gradient: c_i
    judged: Tensor  # (B,), no gradient: l_i at configuration weight 1, from the labels that i has


class PerConfigurationLoss:
    """A base loss, returned for each configuration instead of for the batch.

    Args:
        base: the host's loss, called as `base(ref=batch, pred=output, ddp=...)`.
        host: the module whose function `reduce_loss(raw, ddp)` the base loss calls.

    Raises:
        UnsupportedLossError: the base loss doesn't reduce all of its terms through `host.reduce_loss`, or not linearly.

    The base loss is examined once, on a small made-up batch: its coefficients, which labels it uses, and by which short
    cut (if any) the judged losses follow from the l_i. The judged loss is defined with configuration weight 1 and with
    labels that a configuration lacks replaced by the prediction; MACE's Huber, L1L2 and dipole losses ignore both.
    """

    def __init__(self, base: nn.Module, host: ModuleType) -> None:
        self.base, self.host = base, host
        probe, output = made_up_batch()
        self.coefficients = self._find_coefficients(probe, output)
        self._check_parity(probe, output)
        self.label_of_term = self._find_labels(probe, output)
        self.labels = tuple(label for label in LABELS if label in self.label_of_term)
        self.short_cut = next((way for way in SHORT_CUTS if self._holds(way, probe, output)), "none")

    def __call__(
        self,
        ref: Any,
        pred: dict[str, Tensor],
        atoms_per_configuration: float | Tensor | None = None,
        factors: Mapping[str, Tensor] | None = None,
    ) -> ConfigurationLosses:
        """Losses of each configuration of the batch `ref` (labels, all finite) for the model's output `pred`.

        `atoms_per_configuration` is N/B; a distributed run gives that of all processes together. `factors` (B,), by
        label, multiply the terms of that label in the contributions, and leave the judged losses alone.
        """
        by_term = [factors.get(label) for label in self.label_of_term] if factors else []
        reducer = Reducer(ref, atoms_per_configuration, by_term)
        contribution = self._evaluate(reducer, ref, pred)
        with torch.no_grad():
            if self.short_cut == "none":
                return ConfigurationLosses(contribution, self._judge_afresh(ref, pred))
            loss = self._loss(reducer)
            if self.short_cut == "loss / weight":  # 0 where the weight is 0: nothing to judge by
                loss = loss / ref["weight"].clamp_min(torch.finfo(loss.dtype).tiny)
            return ConfigurationLosses(contribution, loss)

    def _evaluate(self, reduce: Callable[..., Tensor], ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """Run the base loss with another function in place of the host's `reduce_loss`."""
        original = self.host.reduce_loss
        self.host.reduce_loss = reduce  # type: ignore[attr-defined]
        try:
            # ddp=True: the Huber losses take the path through reduce_loss only then
            result = self.base(ref=ref, pred=pred, ddp=True)
        finally:
            self.host.reduce_loss = original  # type: ignore[attr-defined]
        if result.shape != (len(ref["ptr"]) - 1,):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} doesn't pass its terms through {self.host.__name__}.reduce_loss "
                f"(result of shape {tuple(result.shape)}): ema_robust can't weigh its configurations"
            )
        return result

    def _loss(self, reducer: "Reducer") -> Tensor:
        """l_i of the configurations that `reducer` has seen, (B,)."""
        first, *rest = zip(self.coefficients, reducer.means, strict=True)
        loss = first[0] * first[1]
        for coefficient, mean in rest:
            loss = torch.add(loss, mean, alpha=coefficient)
        return loss

    def _judge_afresh(self, ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """Evaluate the base loss again, with configuration weight 1 and absent labels set to the prediction."""
        view = copy.copy(ref)
        view["weight"] = torch.ones_like(ref["weight"])
        for label in self.labels:
            has_label = _for_entries(ref[LABELS[label]] != 0, ref[label], ref["batch"])
            view[label] = torch.where(has_label, ref[label], pred[label].detach().view_as(ref[label]))
        reducer = Reducer(view)
        self._evaluate(reducer, view, pred)
        return self._loss(reducer)

    # --- what the made-up batch tells of the base loss ---------------------------------------------------------------

    def _find_coefficients(self, probe: Any, output: dict[str, Tensor]) -> list[float]:
        """a_k of each term, in the order in which the base loss reduces them."""
        reducer, terms = Reducer(probe), []

        def reduce(raw: Tensor, ddp: bool | None = None) -> Tensor:
            terms.append(reducer(raw).detach().requires_grad_())
            return terms[-1]

        total = self._evaluate(reduce, probe, output)
        return [gradient[0].item() for gradient in torch.autograd.grad(total.sum(), terms, materialize_grads=True)]

    def _check_parity(self, probe: Any, output: dict[str, Tensor]) -> None:
        stock, reducer = self.base(ref=probe, pred=output, ddp=False), Reducer(probe)
        split = self._evaluate(reducer, probe, output)
        alone = Reducer(probe, probe["ptr"].diff())  # one configuration a batch: then c_i = l_i
        singles = self._evaluate(alone, probe, output)
        same = torch.allclose(stock, split.mean(), rtol=1e-6, atol=0.0)
        if not same or not torch.allclose(self._loss(reducer), singles, rtol=1e-6, atol=0.0):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} is not the mean of its configurations' losses ({split.mean()} against "
                f"{stock}): ema_robust can't weigh its configurations"
            )

    def _find_labels(self, probe: Any, output: dict[str, Tensor]) -> list[str]:
        """The label that each term is made of, "" for none."""
        found = [""] * len(self.coefficients)
        for label in LABELS:
            view = copy.copy(probe)
            view[label] = torch.full_like(probe[label], torch.nan)
            reducer = Reducer(view)
            self._evaluate(reducer, view, output)
            for term, mean in enumerate(reducer.means):
                if mean.isnan().any():
                    found[term] = label
        return found

    def _holds(self, way: str, probe: Any, output: dict[str, Tensor]) -> bool:
        self.short_cut = way
        return torch.allclose(self(probe, output).judged, self._judge_afresh(probe, output), rtol=1e-6, atol=0.0)


class Reducer:
    """Stands in for a host's `reduce_loss`: sums over each configuration of one batch instead of over the batch.

    `means` collects the mean of each term over each configuration, (B,) without gradient. `factors` (B,) multiply what
    is returned of the terms, in their order; none, or None: 1.
    """

    def __init__(
        self,
        ref: Any,
        atoms_per_configuration: float | Tensor | None = None,
        factors: Sequence[Tensor | None] = (),
    ) -> None:
        self.batch, self.atoms = ref["batch"], ref["ptr"].diff()  # (N,), (B,)
        size = len(self.atoms)
        self.atoms_per_configuration = (
            len(self.batch) / size if atoms_per_configuration is None else atoms_per_configuration
        )
        self.means: list[Tensor] = []
        self.factors = factors

    def __call__(self, raw: Tensor, ddp: bool | None = None) -> Tensor:
        """Reduce a term of shape (B, ...) or (N, ...) to (B,)."""
        factor = self.factors[len(self.means)] if self.factors else None
        reduced = self._reduce(raw)
        return reduced if factor is None else factor.to(reduced.dtype) * reduced

    def _reduce(self, raw: Tensor) -> Tensor:
        size = len(self.atoms)
        entries = raw.mean(dim=tuple(range(1, raw.dim()))) if raw.dim() > 1 else raw  # (B,) or (N,)
        if len(entries) == size:  # where B = N, every configuration is one atom and both ways are the same
            self.means.append(entries.detach())
            return entries
        if len(entries) != len(self.batch):
            raise UnsupportedLossError(f"a loss term of shape {tuple(raw.shape)} in a batch of {size} configurations")
        sums = entries.new_zeros(size).index_add(0, self.batch, entries)
        self.means.append(sums.detach() / self.atoms)
        return sums / self.atoms_per_configuration


def _for_entries(mask: Tensor, value: Tensor, batch: Tensor) -> Tensor:
    """Broadcast a mask over configurations, (B,) or (B, ...), to the shape of a label, (B, ...) or (N, ...)."""
    if len(mask) != len(value):
        mask = mask[batch]
    return mask.reshape(mask.shape + (1,) * (value.dim() - mask.dim())).expand_as(value)
