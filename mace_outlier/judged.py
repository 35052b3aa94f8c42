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
    size = len(descriptions.n_atoms)
    at = np.arange(size) if rows is None else rows.cpu().numpy()
    known = (at >= 0) & (size > 0)

    def of(values: np.ndarray) -> np.ndarray:
        """What is known of each configuration; 0: nothing."""
        return np.where(known, values[np.where(known, at, 0)], 0) if size else np.zeros(len(at), dtype=values.dtype)

    return Remembered(
        losses=losses.nan_to_num(0.0),
        heads=heads,
        usable=usable,
        times=times,
        errors={label: residuals[column] for label, column in COLUMN_OF.items() if column in residuals},
        kinds=np.column_stack([of(column) for column in descriptions.kinds.T]),
        composition={element: of(share) for element, share in descriptions.composition.items()},
        atoms=of(descriptions.n_atoms.numpy()),
        label_force=torch.from_numpy(of(descriptions.force.numpy())),
        predicted_force=force,
        conditions=conditions,
        features=pooled,
        rows=rows,
        size=size,
    )
