"""Per-configuration losses from a host's own loss function, without rewriting it. Knows no MACE.

MACE's losses hand element-wise terms to one function, `reduce_loss`, and combine what it returns linearly, with
constant coefficients a_k. While a loss runs, that function is exchanged for one that sums over each configuration
instead of over the batch. For B configurations with N atoms in all, n_i in configuration i, a term with one entry for
each configuration (energy, stress, virials, dipole; mean over components) gives e_i, and one with an entry for each
atom (forces) gives the sum over the atoms of i, s_i:

    stock loss of the batch                    L   = sum_k a_k mean_i e_i   or   a_k (1/N) sum_i s_i
    contribution of i                          c_i = sum_k a_k e_i          or   a_k (B/N) s_i         mean_i c_i = L
    loss of i, whoever its batch mates are     l_i = sum_k a_k e_i          or   a_k s_i / n_i

In a distributed run, MACE averages most terms over the batches of all processes, and some (those of its Huber losses)
over that of each process: for the former, B and N of c_i are means over the processes.
"""

import copy
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..data.labels import LABELS
from .probe import made_up_batch
from .reducer import Reducer, UnsupportedLossError, for_entries, reducing

SHORT_CUTS = ("loss", "loss / weight")  # judged loss = l_i, or l_i over the configuration's weight


class ConfigurationLosses(NamedTuple):
    """Losses of the B configurations of a batch."""

    contribution: Tensor  # (B,), with gradient: c_i, with B and N of this batch
    judged: Tensor  # (B,), no gradient: l_i at configuration weight 1, from the labels that i has
    shared: tuple[Tensor, Tensor] | None = None  # (B,) each, with gradient: see `averaged`

    def averaged(self, configurations: Tensor, atoms: Tensor) -> Tensor:
        """c_i (B,) in a distributed run: the `shared` parts, of configurations and of atoms, averaged over processes.

        `configurations`, `atoms`: B and N of this batch in units of their means over the processes.
        """
        assert self.shared is not None
        by_configuration, by_atom = self.shared
        return self.contribution + (configurations - 1) * by_configuration + (atoms - 1) * by_atom


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
        self.by_atom, self.averaged_by_host = self._find_averages(probe, output)
        self.label_of_term = self._find_labels(probe, output)
        self.labels = tuple(label for label in LABELS if label in self.label_of_term)
        self.short_cut = next((way for way in SHORT_CUTS if self._holds(way, probe, output)), "none")

    def __call__(
        self, ref: Any, pred: dict[str, Tensor], factors: Mapping[str, Tensor] | None = None, distributed: bool = False
    ) -> ConfigurationLosses:
        """Losses of each configuration of the batch `ref` (labels, all finite) for the model's output `pred`.

        `factors` (B,), by label, multiply the terms of that label in the contributions, and leave the judged losses
        alone. `distributed`: return the shared parts as well.
        """
        by_term = [factors.get(label) for label in self.label_of_term] if factors else []
        reducer = Reducer(ref, by_term)
        contribution = self._evaluate(reducer, ref, pred)
        shared = self._shared_parts(reducer) if distributed else None
        with torch.no_grad():
            judged = self._judge_afresh(ref, pred) if self.short_cut == "none" else self._loss(reducer)
            if self.short_cut == "loss / weight":  # 0 where the weight is 0: nothing to judge by
                judged = judged / ref["weight"].clamp_min(torch.finfo(judged.dtype).tiny)
        return ConfigurationLosses(contribution, judged, shared)

    def _run(self, reduce: Callable[..., Tensor], ref: Any, pred: dict[str, Tensor], ddp: bool | None) -> Tensor:
        """Run the base loss with another function in place of the host's `reduce_loss`."""
        with reducing(self.host, reduce):
            return self.base(ref=ref, pred=pred, ddp=ddp)

    def _evaluate(self, reduce: Callable[..., Tensor], ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """Run the base loss for each configuration."""
        result = self._run(reduce, ref, pred, ddp=True)  # the Huber losses take the path through reduce_loss only then
        if result.shape != (len(ref["ptr"]) - 1,):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} doesn't pass its terms through {self.host.__name__}.reduce_loss "
                f"(result of shape {tuple(result.shape)}): ema_robust can't weigh its configurations"
            )
        return result

    def _loss(self, reducer: Reducer) -> Tensor:
        """l_i of the configurations that `reducer` has seen, (B,)."""
        first, *rest = zip(self.coefficients, reducer.means, strict=True)
        loss = first[0] * first[1]
        for coefficient, mean in rest:
            loss = torch.add(loss, mean, alpha=coefficient)
        return loss

    def _shared_parts(self, reducer: Reducer) -> tuple[Tensor, Tensor]:
        """The parts of the contributions (B,) that the host averages over processes, by configuration and by atom."""
        by_configuration = by_atom = torch.zeros_like(reducer.reduced[0])
        for k, (coefficient, reduced) in enumerate(zip(self.coefficients, reducer.reduced, strict=True)):
            if self.averaged_by_host[k] and self.by_atom[k]:
                by_atom = torch.add(by_atom, reduced, alpha=coefficient)
            elif self.averaged_by_host[k]:
                by_configuration = torch.add(by_configuration, reduced, alpha=coefficient)
        return by_configuration, by_atom

    def _judge_afresh(self, ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """Evaluate the base loss again, with configuration weight 1 and absent labels set to the prediction."""
        view = copy.copy(ref)
        view["weight"] = torch.ones_like(ref["weight"])
        for label in self.labels:
            has_label = for_entries(ref[LABELS[label]] != 0, ref[label], ref["batch"])
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
        gradients = torch.autograd.grad(total.sum(), terms, allow_unused=True)
        return [0.0 if gradient is None else gradient[0].item() for gradient in gradients]

    def _check_parity(self, probe: Any, output: dict[str, Tensor]) -> None:
        stock, reducer = self.base(ref=probe, pred=output, ddp=False), Reducer(probe)
        split = self._evaluate(reducer, probe, output)
        alone = Reducer(probe)
        alone.atoms_per_configuration = probe["ptr"].diff()  # one configuration a batch: then c_i = l_i
        singles = self._evaluate(alone, probe, output)
        same = torch.allclose(stock, split.mean(), rtol=1e-6, atol=0.0)
        if not same or not torch.allclose(self._loss(reducer), singles, rtol=1e-6, atol=0.0):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} is not the mean of its configurations' losses ({split.mean()} against "
                f"{stock}): ema_robust can't weigh its configurations"
            )

    def _find_averages(self, probe: Any, output: dict[str, Tensor]) -> tuple[list[bool], list[bool]]:
        """Whether each term has an entry for each atom, and whether the host averages it over all processes.

        What the host averages over processes passes through its `reduce_loss` even when it is not told `ddp`.
        """

        def terms_if(ddp: bool | None) -> list[Tensor]:
            terms: list[Tensor] = []

            def reduce(term: Tensor, ddp: bool | None = None) -> Tensor:
                terms.append(term)
                return term.mean()

            self._run(reduce, probe, output, ddp)
            return terms

        every, averaged = terms_if(ddp=True), terms_if(ddp=None)
        by_atom = [len(term) == len(probe["batch"]) for term in every]
        return by_atom, [any(torch.equal(term, other) for other in averaged) for term in every]

    def _find_labels(self, probe: Any, output: dict[str, Tensor]) -> list[str]:
        """The label that each term is made of, "" for none."""
        label_of_term = [""] * len(self.coefficients)
        for label in LABELS:
            view = copy.copy(probe)
            view[label] = torch.full_like(probe[label], torch.nan)
            reducer = Reducer(view)
            self._evaluate(reducer, view, output)
            for term, mean in enumerate(reducer.means):
                if mean.isnan().any():
                    label_of_term[term] = label
        return label_of_term

    def _holds(self, way: str, probe: Any, output: dict[str, Tensor]) -> bool:
        self.short_cut = way
        return torch.allclose(self(probe, output).judged, self._judge_afresh(probe, output), rtol=1e-6, atol=0.0)
