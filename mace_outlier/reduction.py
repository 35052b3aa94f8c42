"""Per-configuration losses from a host's own loss function, without rewriting it. Knows no MACE.

MACE's losses hand element-wise terms to one function, `reduce_loss`, and combine what it returns linearly. While a loss
runs, that function is exchanged for one that sums over each configuration instead of over the batch. The loss itself,
whatever its terms and coefficients, then returns two rows over the B configurations of the batch (N atoms in all,
n_i in configuration i):

    row 0: terms with one entry for each configuration (energy, stress, virials, dipole), mean over components;
    row 1: terms with one entry for each atom (forces), mean over components, summed over the atoms of i.

    stock loss of the batch            L   = mean_i row0_i + (1/N) sum_i row1_i
    contribution of i                  c_i = row0_i + (B/N) row1_i                 mean_i c_i = L
    loss of i, whoever its batch mates l_i = row0_i + row1_i / n_i
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# label of a configuration -> the field of the batch that weighs it (0: this configuration has no such label)
LABELS = {
    "energy": "energy_weight",
    "forces": "forces_weight",
    "stress": "stress_weight",
    "virials": "virials_weight",
    "dipole": "dipole_weight",
    "polarizability": "polarizability_weight",
}


class UnsupportedLossError(RuntimeError):
    """The base loss can't be split into configurations; the message says why."""


class ConfigurationLosses(NamedTuple):
    """Losses of the B configurations of a batch."""

    rows: Tensor  # (2, B), with gradient: see the module
    judged: Tensor  # (B,), no gradient: l_i at configuration weight 1, from the labels that i has
    finite: Tensor  # (B,) boolean: labels and loss are finite


def per_configuration_mean(rows: Tensor, ptr: Tensor) -> Tensor:
    """l_i = row0_i + row1_i / n_i, shape (B,); ptr (B + 1,) holds where each configuration's atoms begin."""
    return rows[0] + rows[1] / (ptr[1:] - ptr[:-1])


def contributions(rows: Tensor, num_atoms: int | Tensor, num_configurations: int | Tensor) -> Tensor:
    """c_i = row0_i + (B/N) row1_i, shape (B,); the mean over the batch is the stock loss of the batch."""
    return rows[0] + rows[1] * (num_configurations / num_atoms)


class PerConfigurationLoss:
    """A base loss, returned for each configuration instead of for the batch.

    Args:
        base: the host's loss, called as `base(ref=batch, pred=output, ddp=...)`.
        host: the module whose function `reduce_loss(raw, ddp)` the base loss calls.

    Raises:
        UnsupportedLossError: the base loss doesn't reduce all of its terms through `host.reduce_loss`, or not linearly.

    The base loss is examined once, on a small made-up batch: which labels it uses, and by which short cut (if any) the
    judged losses follow from the rows. The judged loss is defined with configuration weight 1 and with labels that a
    configuration lacks replaced by the prediction; MACE's Huber, L1L2 and dipole losses ignore these weights.
    """

    def __init__(self, base: nn.Module, host: ModuleType) -> None:
        self.base, self.host = base, host
        probe, output = made_up_batch()
        self._check_parity(probe, output)
        self.labels = tuple(label for label in LABELS if self._uses(label, probe, output))
        self.short_cut = next((way for way in ("rows", "rows / weight") if self._holds(way, probe, output)), None)

    def __call__(self, ref: Any, pred: dict[str, Tensor]) -> ConfigurationLosses:
        """Losses of each configuration of the batch `ref` (labels) for the model's output `pred`."""
        clean, poison = replace_nonfinite_labels(ref, self.labels)
        rows = self.rows(clean, pred)
        with torch.no_grad():
            judged = self._judge(clean, pred, rows.detach())
            finite = (poison == 0) & torch.isfinite(rows.sum(0)) & torch.isfinite(judged.double().square())
        return ConfigurationLosses(rows, judged, finite)

    def rows(self, ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """The two rows (2, B) of the module's docstring; all-finite labels are assumed."""
        with sums_of_configurations(self.host, ref) as calls:
            # ddp=True: the Huber losses take the path through reduce_loss only then
            rows = self.base(ref=ref, pred=pred, ddp=True)
        if not calls or rows.shape != (2, len(ref["ptr"]) - 1):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} doesn't pass its terms through {self.host.__name__}.reduce_loss "
                f"({len(calls)} calls, result of shape {tuple(rows.shape)}): ema_robust can't weigh its configurations"
            )
        return rows

    def _judge(self, ref: Any, pred: dict[str, Tensor], rows: Tensor) -> Tensor:
        if self.short_cut == "rows":
            return per_configuration_mean(rows, ref["ptr"])
        if self.short_cut == "rows / weight":
            weight = ref["weight"]
            return torch.where(weight > 0, per_configuration_mean(rows, ref["ptr"]) / weight, 0.0)
        return self._judge_afresh(ref, pred)

    def _judge_afresh(self, ref: Any, pred: dict[str, Tensor]) -> Tensor:
        """Evaluate the base loss again, with configuration weight 1 and absent labels set to the prediction."""
        view = copy.copy(ref)
        view["weight"] = torch.ones_like(ref["weight"])
        for label in self.labels:
            has_label = _for_entries(ref[LABELS[label]] != 0, ref[label], ref["batch"])
            view[label] = torch.where(has_label, ref[label], pred[label].detach().view_as(ref[label]))
        return per_configuration_mean(self.rows(view, pred), ref["ptr"])

    def _holds(self, way: str, probe: Any, output: dict[str, Tensor]) -> bool:
        self.short_cut = way
        return torch.allclose(
            self._judge(probe, output, self.rows(probe, output)), self._judge_afresh(probe, output), rtol=1e-6, atol=0.0
        )

    def _uses(self, label: str, probe: Any, output: dict[str, Tensor]) -> bool:
        view = copy.copy(probe)
        view[label] = torch.full_like(probe[label], torch.nan)
        return bool(torch.isnan(self.base(ref=view, pred=output, ddp=False)))

    def _check_parity(self, probe: Any, output: dict[str, Tensor]) -> None:
        stock = self.base(ref=probe, pred=output, ddp=False)
        split = contributions(self.rows(probe, output), len(probe["batch"]), len(probe["ptr"]) - 1).mean()
        if not torch.allclose(stock, split, rtol=1e-6, atol=0.0):
            raise UnsupportedLossError(
                f"{type(self.base).__name__} is not the mean of its configurations' losses ({split} against {stock}): "
                "ema_robust can't weigh its configurations"
            )


@contextmanager
def sums_of_configurations(host: ModuleType, ref: Any) -> Iterator[list[int]]:
    """Exchange `host.reduce_loss` for one that returns the rows of `ref`; yields a list with one entry a call."""
    calls: list[int] = []
    size, batch = len(ref["ptr"]) - 1, ref["batch"]

    def reduce(raw: Tensor, ddp: bool | None = None) -> Tensor:
        calls.append(len(raw))
        entries = raw.flatten(1).mean(1) if raw.dim() > 1 else raw  # (B,) or (N,)
        blank = entries.new_zeros(size)
        if len(entries) == size:  # where B = N, every configuration is one atom and both rows say the same
            return torch.stack((entries, blank))
        if len(entries) == len(batch):
            return torch.stack((blank, blank.index_add(0, batch, entries)))
        raise UnsupportedLossError(f"a loss term of shape {tuple(raw.shape)} in a batch of {size} configurations")

    original = host.reduce_loss
    host.reduce_loss = reduce  # type: ignore[attr-defined]
    try:
        yield calls
    finally:
        host.reduce_loss = original  # type: ignore[attr-defined]


def replace_nonfinite_labels(ref: Any, labels: tuple[str, ...]) -> tuple[Any, Tensor]:
    """A copy of `ref` whose NaN and infinite labels are 0, and (B,) numbers that are 0 where all labels were finite.

    A zero weight alone would not do: the gradient of a NaN is NaN whatever it is multiplied by.
    """
    clean = copy.copy(ref)
    poison = ref["weight"].new_zeros(len(ref["ptr"]) - 1)  # (B,)
    for label in labels:
        value = ref[label]
        trace = (value * 0).flatten(1).sum(1) if value.dim() > 1 else value * 0  # 0, or NaN where not finite
        poison = poison + trace if len(trace) == len(poison) else poison.index_add(0, ref["batch"], trace)
        clean[label] = torch.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0)
    return clean, poison


def _for_entries(mask: Tensor, value: Tensor, batch: Tensor) -> Tensor:
    """Broadcast a mask over configurations, (B,) or (B, ...), to the shape of a label, (B, ...) or (N, ...)."""
    if len(mask) != len(value):
        mask = mask[batch]
    return mask.reshape(mask.shape + (1,) * (value.dim() - mask.dim())).expand_as(value)


class MadeUpBatch(dict[str, Any]):
    """A batch as MACE's losses read one: fields as attributes and as items."""

    def __getattr__(self, name: str) -> Any:
        """Return the field `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __copy__(self) -> "MadeUpBatch":
        """Return a shallow copy."""
        return MadeUpBatch(self)


def made_up_batch() -> tuple[MadeUpBatch, dict[str, Tensor]]:
    """Three configurations of 2, 3 and 4 atoms, some labels absent, of unequal weights, and a model's output."""
    atoms = torch.tensor([2, 3, 4])
    shapes = {
        "energy": (3,), "forces": (9, 3), "stress": (3, 3, 3),
        "virials": (3, 3, 3), "dipole": (3, 3), "polarizability": (3, 3, 3),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    output = {label: draw(shape) for label, shape in shapes.items()}
    ref = MadeUpBatch({label: draw(shape) for label, shape in shapes.items()})
    ref["ptr"] = torch.cat((torch.zeros(1, dtype=torch.long), atoms.cumsum(0)))
    ref["batch"] = torch.arange(3).repeat_interleave(atoms)
    ref["weight"] = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    present = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    for i, (label, weight) in enumerate(LABELS.items()):
        # configuration 1 lacks half of the labels, configuration 2 the other half
        row = present.roll(i % 2)
        shape = shapes[label] if label in ("dipole", "polarizability") else (3,)
        ref[weight] = row.view(-1, *(1,) * (len(shape) - 1)).expand(shape).clone()
    return ref, output
