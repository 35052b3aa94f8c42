"""What a judgement is made of: errors, features and metadata of configurations, put together."""

import numpy as np
from torch import Tensor

from ..data.labels import LABEL_OF, RESIDUALS
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
        metadata: of the N configurations, or of more, among which they are the `rows` (N,).
    """
    force, conditions, pooled = (part.numpy() for part in Features.split(features))
    which = slice(None) if rows is None else rows.cpu().numpy()
    seen = Seen(
        errors={
            LABEL_OF[column]: _host(own) for column, own in residuals.items() if RESIDUALS[LABEL_OF[column]].judged
        },
        features=pooled,
        composition={element: share[which] for element, share in metadata.composition.items()},
        atoms=np.maximum(metadata.n_atoms.numpy()[which], 1).astype(float),
        predicted_force=force,
        label_force=metadata.force.numpy()[which].astype(float),
        conditions=conditions,
        times=_host(times),
        molecules=metadata.molecules[which],
    )
    judged = usable & (losses > 0)  # 0: it has no label with a weight, so that there is nothing to judge by
    return Remembered(losses.nan_to_num(0.0, 0.0, 0.0), heads, judged, seen, rows, len(metadata.n_atoms))


def _host(values: Tensor) -> np.ndarray:
    return np.asarray(values.cpu().double().numpy())
