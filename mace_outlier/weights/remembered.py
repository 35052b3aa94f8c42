"""What a judgement is made of: errors, features and metadata of configurations, put together."""

import numpy as np
from torch import Tensor

from ..data.labels import COLUMN_OF
from ..data.metadata import Metadata
from ..method.seen import Seen
from .distribution import Remembered
from .features import Features


def remembered(
    losses: Tensor,
    heads: Tensor,
    usable: Tensor,
    times: Tensor,
    residuals: dict[str, Tensor],
    features: Tensor,
    metadata: Metadata,
    rows: Tensor | None = None,
) -> Remembered:
    """Put together what is known of N configurations.

    Args:
        losses, heads, usable, times: (N,), see Remembered.
        residuals: (N,) by column of the records.
        features: table (N, EXTRA + K), see Features.
        metadata: of the N configurations, or of those that `rows` (N,) points to; -1: not known which.
    """
    force, conditions, pooled = (part.numpy() for part in Features.split(features))
    size = len(metadata.n_atoms)
    at = np.arange(size) if rows is None else rows.cpu().numpy()
    known = (at >= 0) & (size > 0)

    def of(values: np.ndarray) -> np.ndarray:
        """What is known of each configuration; 0: nothing."""
        return np.where(known, values[np.where(known, at, 0)], 0) if size else np.zeros(len(at), dtype=values.dtype)

    errors = {label: _host(residuals[column]) for label, column in COLUMN_OF.items() if column in residuals}
    seen = Seen(
        errors=errors,
        features=pooled,
        composition={element: of(share) for element, share in metadata.composition.items()},
        atoms=np.maximum(of(metadata.n_atoms.numpy()), 1).astype(float),
        predicted_force=force,
        label_force=of(metadata.force.numpy()).astype(float),
        conditions=conditions,
        times=_host(times),
        molecules=of(metadata.molecules),
    )
    return Remembered(losses.nan_to_num(0.0), heads, usable, seen, rows, size)


def _host(values: Tensor) -> np.ndarray:
    return np.asarray(values.double().cpu().numpy())
