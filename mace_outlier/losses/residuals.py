"""How far a model's predictions lie from the labels of each configuration of a batch. Knows no MACE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.dataset import Ids
from ..data.labels import LABEL_OF, LABELS


def residuals(
    ref: Any, pred: dict[str, Tensor], columns: Sequence[str], labels: Sequence[str], ids: Ids | None = None
) -> list[Tensor]:
    """Residuals of the B configurations of a batch that explain their losses, (B,) for each column.

        energy_error    (E - E_label) / n                               eV/atom
        force_rmse      sqrt( sum_atoms |F - F_label|^2 / (3 n) )        eV/A
        stress_rmse     sqrt( sum_ij (sigma_ij - sigma_ij_label)^2 / 9 ) eV/A^3
        virials_rmse    sqrt( sum_ij (W_ij - W_ij_label)^2 / 9 ) / n     eV/atom

    n: atoms of the configuration. NaN where the model is not trained on that label (not in `labels`), and where `ids`
    says that a configuration lacks it, or has labels that are not finite.
    """
    return [_column(ref, pred, column, labels, ids) for column in columns]


def _column(ref: Any, pred: dict[str, Tensor], column: str, labels: Sequence[str], ids: Ids | None) -> Tensor:
    label = LABEL_OF[column]
    if label not in labels:
        return torch.full_like(ref["weight"], torch.nan)
    values = RESIDUALS[label](ref, pred)
    if ids is not None and ids.absent is not None:
        values = values.masked_fill(ids.absent[:, tuple(LABELS).index(label)], torch.nan)
    return values if ids is None or ids.nonfinite is None else values.masked_fill(ids.nonfinite, torch.nan)


def _energy_error(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    return (pred["energy"] - ref["energy"]) / ref["ptr"].diff()


def _force_rmse(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    atoms = ref["ptr"].diff()
    squares = (pred["forces"] - ref["forces"]).square().mean(1)  # (N,)
    return (squares.new_zeros(len(atoms)).index_add(0, ref["batch"], squares) / atoms).sqrt()


def _stress_rmse(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    return (pred["stress"] - ref["stress"]).square().mean((1, 2)).sqrt()


def _virials_rmse(ref: Any, pred: dict[str, Tensor]) -> Tensor:
    return (pred["virials"] - ref["virials"]).square().mean((1, 2)).sqrt() / ref["ptr"].diff()


RESIDUALS = {"energy": _energy_error, "forces": _force_rmse, "stress": _stress_rmse, "virials": _virials_rmse}
