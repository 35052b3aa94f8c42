"""How far a model's predictions lie from the labels of each configuration of a batch. Knows no MACE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import Ids
from ..data.labels import LABEL_OF, LABELS
from ..weights.features import rms_over_atoms


def residuals(
    ref: Any, pred: dict[str, Tensor], columns: Sequence[str], labels: Sequence[str], ids: Ids | None = None
) -> list[Tensor]:
    """Residuals of the B configurations of a batch that explain their losses, (B,) for each column.

        energy_error    (E - E_label) / n                               eV/atom
        force_rmse      sqrt( sum_atoms |F - F_label|^2 / (3 n) )        eV/A
        stress_rmse     sqrt( sum_ij (sigma_ij - sigma_ij_label)^2 / 9 ) eV/A^3
        virials_rmse    sqrt( sum_ij (W_ij - W_ij_label)^2 / 9 ) / n     eV/atom

    n: atoms of the configuration. NaN where the model is not trained on that label (not in `labels`), and where `ids`
    says that a configuration lacks it.
    """
    return [_column(ref, pred, LABEL_OF[column], labels, ids) for column in columns]


def _column(ref: Any, pred: dict[str, Tensor], label: str, labels: Sequence[str], ids: Ids | None) -> Tensor:
    if label not in labels:
        return torch.full_like(ref["weight"], torch.nan)
    values = _error(label, pred[label] - ref[label], ref)
    if ids is not None and ids.absent is not None:
        values = values.masked_fill(ids.absent[:, tuple(LABELS).index(label)], torch.nan)
    return values


def _error(label: str, difference: Tensor, ref: Any) -> Tensor:
    """The residual (B,) of one label, by the difference of prediction and label."""
    if label == "stress":
        return _rms(difference)
    atoms = ref["ptr"].diff()
    if label == "forces":
        return rms_over_atoms(difference, ref["batch"], atoms)
    return (difference if label == "energy" else _rms(difference)) / atoms


def _rms(tensors: Tensor) -> Tensor:
    """Root mean square of the components of tensors (B, 3, 3)."""
    return tensors.square().mean((1, 2)).sqrt()
