"""How far a model's predictions lie from the labels of each configuration of a batch. Knows no MACE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .reduction import LABELS


def residuals(
    ref: Any, pred: dict[str, Tensor], columns: Sequence[str], labels: Sequence[str], unusable: Tensor | None = None
) -> Tensor:
    """Residuals of the B configurations of a batch that explain their losses, (columns, B).

        energy_error    (E - E_label) / n                               eV/atom
        force_rmse      sqrt( sum_atoms |F - F_label|^2 / (3 n) )        eV/A
        stress_rmse     sqrt( sum_ij (sigma_ij - sigma_ij_label)^2 / 9 ) eV/A^3

    n: atoms of the configuration. NaN where a configuration has no such label (its weight for that label is 0), where
    the model is not trained on it (not in `labels`), and where `unusable` (B,) says that the labels are not finite.
    """
    rows = []
    for column in columns:
        label, evaluate = RESIDUALS[column]
        if label in labels:
            rows.append(evaluate(ref, pred).masked_fill(ref[LABELS[label]] == 0, torch.nan))
        else:
            rows.append(torch.full_like(ref["weight"], torch.nan))
    result = torch.stack(rows)
    return result if unusable is None else result.masked_fill(unusable, torch.nan)


def _energy_error(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    return (pred["energy"] - ref["energy"]) / ref["ptr"].diff()


def _force_rmse(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    atoms = ref["ptr"].diff()
    squares = (pred["forces"] - ref["forces"]).square().mean(1)  # (N,)
    return (squares.new_zeros(len(atoms)).index_add(0, ref["batch"], squares) / atoms).sqrt()


def _stress_rmse(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    return (pred["stress"] - ref["stress"]).square().mean((1, 2)).sqrt()


RESIDUALS = {
    "energy_error": ("energy", _energy_error),
    "force_rmse": ("forces", _force_rmse),
    "stress_rmse": ("stress", _stress_rmse),
}
