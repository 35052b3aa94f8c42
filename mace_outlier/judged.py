"""What a judgement is made of: records, features and descriptions of configurations, put together."""

import numpy as np
import torch
from torch import Tensor

from .features import Features
from .provenance import Descriptions
from .residuals import COLUMN_OF
from .weighting import Remembered


def remembered(
    losses: Tensor,
    heads: Tensor,
    usable: Tensor,
    times: Tensor,
    residuals: dict[str, Tensor],
    features: Tensor,
    descriptions: Descriptions,
    rows: Tensor | None = None,
) -> Remembered:
    """Put together what is known of N configurations.

    Args:
        losses, heads, usable, times: (N,), see Remembered.
        residuals: (N,) by column of the records.
        features: table (N, EXTRA + K), see Features.
        descriptions: of the N configurations, or of those that `rows` (N,) points to; -1: not known which.
    """
    force, conditions, pooled = Features.split(features)
    at = slice(None) if rows is None else rows.clamp_min(0).cpu().numpy()
    unknown = np.zeros(len(losses), dtype=bool) if rows is None else (rows < 0).cpu().numpy()
    return Remembered(
        losses=losses.nan_to_num(0.0),
        heads=heads,
        usable=usable,
        times=times,
        errors={label: residuals[column] for label, column in COLUMN_OF.items() if column in residuals},
        kinds=np.where(unknown[:, None], 0, descriptions.kinds[at]) if len(descriptions.n_atoms) else _none(losses, 2),
        composition=descriptions.composition[at] if len(descriptions.n_atoms) else _none(losses, 0),
        atoms=descriptions.n_atoms.numpy()[at] if len(descriptions.n_atoms) else np.zeros(len(losses)),
        label_force=descriptions.force[torch.arange(len(losses)) if rows is None else rows.clamp_min(0).cpu()]
        if len(descriptions.n_atoms)
        else torch.zeros(len(losses)),
        predicted_force=force,
        conditions=conditions,
        features=pooled,
        rows=rows,
        size=len(descriptions.n_atoms),
    )


def _none(losses: Tensor, columns: int) -> np.ndarray:
    return np.zeros((len(losses), columns), dtype=np.int64)
