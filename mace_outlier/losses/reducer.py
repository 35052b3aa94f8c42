"""In place of a host's `reduce_loss`: a function that sums over each configuration of a batch. Knows no MACE."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import Tensor


class UnsupportedLossError(RuntimeError):
    """The base loss can't be split into configurations; the message says why."""


@contextmanager
def reducing(host: ModuleType, reduce: Callable[..., Tensor]) -> Iterator[None]:
    """Have the losses of a host reduce their terms by `reduce(raw, ddp)`, within the context."""
    if hasattr(host, "reduction"):  # a MACE with a seam for that, see patches/
        with host.reduction(reduce):
            yield
        return
    original = host.reduce_loss
    host.reduce_loss = reduce  # type: ignore[attr-defined]
    try:
        yield
    finally:
        host.reduce_loss = original  # type: ignore[attr-defined]


class Reducer:
    """Stands in for a host's `reduce_loss`: sums over each configuration of one batch instead of over the batch.

    `means` collects the mean of each term over each configuration, (B,) without gradient, and `reduced` what was
    returned. `factors` (B,) multiply what is returned of the terms, in their order; none, or None: 1.
    """

    def __init__(self, ref: Any, factors: Sequence[Tensor | None] = ()) -> None:
        self.batch, self.atoms = ref["batch"], ref["ptr"].diff()  # (N,), (B,)
        self.atoms_per_configuration: float | Tensor = len(self.batch) / len(self.atoms)
        self.means: list[Tensor] = []
        self.reduced: list[Tensor] = []
        self.factors = factors

    def __call__(self, raw: Tensor, ddp: bool | None = None) -> Tensor:
        """Reduce a term of shape (B, ...) or (N, ...) to (B,)."""
        factor = self.factors[len(self.means)] if self.factors else None
        reduced = self._reduce(raw)
        self.reduced.append(reduced if factor is None else factor.to(reduced.dtype) * reduced)
        return self.reduced[-1]

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


def for_entries(mask: Tensor, value: Tensor, batch: Tensor) -> Tensor:
    """Broadcast a mask over configurations, (B,) or (B, ...), to the shape of a label, (B, ...) or (N, ...)."""
    if len(mask) != len(value):
        mask = mask[batch]
    return mask.reshape(mask.shape + (1,) * (value.dim() - mask.dim())).expand_as(value)
