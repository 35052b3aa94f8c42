"""How far a model's predictions lie from the labels of each configuration of a batch. Knows no MACE."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..data.batches import Ids
from ..data.labels import LABEL_OF, LABELS, RESIDUALS
from ..weights.features import rms_over_atoms


def residuals(
    ref: Any, pred: dict[str, Tensor], columns: Sequence[str], labels: Sequence[str], ids: Ids | None = None,
    atoms: Tensor | None = None,
) -> list[Tensor]:  # fmt: skip
    """Residuals of the B configurations of a batch that explain their losses, (B,) for each column of RESIDUALS.

        energy      (E - E_label) / n
        others      sqrt( sum over components, and atoms, of (Y - Y_label)^2 / number of these ) [ / n ]

    n: atoms of the configuration, for what RESIDUALS has per atom; units are there as well. NaN where the model is not
    trained on that label (not in `labels`), and where `ids` says that a configuration lacks it. `atoms` (B,): n, if
    that is known.
    """
    atoms = ref["ptr"].diff() if atoms is None else atoms
    return [_column(ref, pred, LABEL_OF[column], labels, ids, atoms) for column in columns]


def _column(
    ref: Any, pred: dict[str, Tensor], label: str, labels: Sequence[str], ids: Ids | None, atoms: Tensor
) -> Tensor:
    if label not in labels:
        return torch.full_like(ref["weight"], torch.nan)
    values = _size(pred[label] - ref[label].view_as(pred[label]), ref, atoms)
    if RESIDUALS[label].per_atom:
        values = values / atoms
    if ids is not None and ids.absent is not None:
        values = values.masked_fill(ids.absent[:, tuple(LABELS).index(label)], torch.nan)
    return values


def _size(difference: Tensor, ref: Any, atoms: Tensor) -> Tensor:
    """The difference of scalars (B,) itself, the root mean square of others, (B, ...) or (N, 3)."""
    if difference.dim() == 1:
        return difference
    if len(difference) == len(atoms):
        return difference.square().flatten(1).mean(1).sqrt()
    return rms_over_atoms(difference, ref["batch"], atoms)
