"""Validation losses with weights, and which model is the best so far. Torch only."""

from collections.abc import Callable, Sequence
from math import exp, isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..data.tagging import Tag
from ..weights.distribution import widest


class Evaluated(NamedTuple):
    """What one evaluation finds of V configurations, those of this process or of all."""

    rows: Tensor  # (V,) of the validation set
    heads: Tensor  # (V,)
    losses: Tensor  # (V,); NaN: not finite
    shares: Tensor  # (V,) c_i / B_b, see Selection
    columns: Tensor  # (R + F, V) residuals and features; of all processes, (R, V) residuals


class Selection:
    """What one evaluation of a validation set finds, and the validation loss with weights.

    Batches b have B_b configurations; MACE sums the stock loss in this way, and all weights 1 give that number:

        stock    sum_b (1/B_b) sum_i c_i     /  sum_b B_b
        robust   sum_b (1/B_b) sum_i w_i c_i /  sum_b sum_i w_i
    """

    def __init__(self) -> None:
        self._batches: list[Tensor] = []  # (B, C) each
        self._last: Any = None
        self.tags: list[tuple[int, Tag]] = []  # what the batches say of their rows

    def add(self, rows: Tensor, heads: Tensor, columns: Sequence[Tensor]) -> None:
        """Take in a batch: rows (B,) of the validation set, heads, losses, shares, residuals, features (B,)."""
        self._batches.append(torch.stack([column.to(widest(rows.device)) for column in (rows, heads, *columns)], dim=1))

    def is_new(self, batch: Any) -> bool:
        """Whether a batch is another one than the last: torchmetrics calls the loss twice for each."""
        new, self._last = batch is not self._last, batch
        return new

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    def collect(self) -> Evaluated:
        """Put the batches of this process together."""
        return _evaluated(torch.cat(self._batches))

    def collect_all(self, residuals: int, gather: Callable[[Tensor], Tensor]) -> Evaluated:
        """Put the batches of all processes together, with so many residuals; `gather` joins their tables (V, C)."""
        return _evaluated(gather(torch.cat(self._batches)[:, : 4 + residuals]))


def _evaluated(table: Tensor) -> Evaluated:
    rows, heads, losses, shares, *columns = table.unbind(1)
    return Evaluated(rows.long(), heads.long(), losses, shares, torch.stack(columns))


def weighted_validation_loss(shares: Tensor, weights: Tensor) -> tuple[float, float] | None:
    """Return the weighted loss and the mean weight; None where all weights are 0."""
    loss, weight = torch.stack(((weights * shares).sum(), weights.sum())).tolist()
    return (loss / weight, weight / len(weights)) if weight > 0 else None


def typical_ratio(shares: Tensor, before: Tensor, weights: Tensor) -> float:
    """Weighted geometric mean of shares / before, all (V,); 1 where nothing can be compared."""
    weights = weights.masked_fill((shares <= 0) | (before <= 0), 0.0)
    logs = torch.where(weights > 0, (shares / before).log(), 0.0)
    total, weight = torch.stack(((weights * logs).sum(), weights.sum())).tolist()
    return exp(total / weight) if weight > 0 else 1.0


class BestSoFar:
    """The losses of the best model so far, to compare later models with it by the same weights.

        V_k = V_best R_k         R_k = L_k(w_k) / L_best(w_k)        L_j(w) = sum_i w_i s_ij / sum_i w_i

    k is the best if V_k < V_best; V_0 = L_0(w_0). What is found to be wrong at one epoch lowers the loss of all models
    before as well: without the comparison, the epoch that finds most would be chosen, not the best model. While the
    weights stay what they are, V_k = L_k(w_k).

    Where wrong labels are known to be among them, not all are found, and those that are not dominate a mean: the better
    a model is, the larger are their losses. Then the typical configuration decides:

        R_k = exp(sum_i w_i ln(s_ik / s_i,best) / sum_i w_i)

    s_ij: the share of configuration i in the loss of model j, see Selection.
    """

    def __init__(self) -> None:
        self._value, self._scale = 0.0, 1.0
        self._rows: Tensor | None = None  # None: there is none yet
        self._shares, self._weights = Tensor(), Tensor()

    def state_dict(self) -> dict[str, Any]:
        """Return what is known of the best model: tensors and numbers."""
        tensors = {"rows": self._rows, "shares": self._shares, "weights": self._weights}
        return {"value": self._value, "scale": self._scale} | {
            name: None if own is None else own.cpu() for name, own in tensors.items()
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on with what `state_dict` returned, for the same configurations."""
        self._value, self._scale = state["value"], state["scale"]
        rows, self._shares, self._weights = (state[name] for name in ("rows", "shares", "weights"))
        self._rows = None if rows is None else rows.to(device)
        self._shares, self._weights = self._shares.to(device), self._weights.to(device)

    def compare(
        self, rows: Tensor, shares: Tensor, weights: Tensor, some_are_wrong: bool = False
    ) -> tuple[float, float] | None:
        """Return V_k and the mean weight; None where all weights are 0.

        Args:
            rows: (V,) which configurations; shares, weights: (V,), in any order.
            some_are_wrong: whether wrong labels are known to be among such configurations.
        """
        order = rows.argsort(stable=True)
        rows, shares, weights = rows[order], shares[order], weights[order]
        result = weighted_validation_loss(shares, weights)
        if result is None:
            return None
        if some_are_wrong and self._rows is not None and rows.equal(self._rows):
            value = self._value * typical_ratio(shares, self._shares, weights)
            scale = value / result[0] if result[0] > 0 else self._scale
        else:
            scale = self._scale_by(rows, weights)
            value = scale * result[0]
        if isfinite(value) and (self._rows is None or value < self._value):
            self._value, self._scale = value, scale
            self._rows, self._shares, self._weights = rows, shares, weights
        return value, result[1]

    def _scale_by(self, rows: Tensor, weights: Tensor) -> float:
        """V_best / L_best(w), by weights (V,) of now."""
        if self._rows is None or not rows.equal(self._rows) or weights.equal(self._weights):
            return self._scale
        best = weighted_validation_loss(self._shares, weights)
        return self._value / best[0] if best is not None and best[0] > 0 else self._scale
