"""What a judgement is made of: errors, features and metadata of configurations, put together."""

import numpy as np
import torch
from torch import Tensor

from ..data.labels import LABEL_OF, RESIDUALS
from ..data.metadata import Metadata
from ..method.ordered import Ordered
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
    here: Tensor | None = None,
    places: Tensor | None = None,
) -> Remembered:
    """Put together what is known of N configurations.

    Args:
        losses, heads, usable, times: (N,), see Remembered.
        residuals: (N,) by column of the records.
        features: table (n, EXTRA + K), or with more rows, see Features.
        metadata: of the N configurations, or of more, among which they are the `rows` (N,).
        here: (n,) which of the N the features are of, those that this process saw; None: of all.
        places: (n,) rows of `features` that these are; None: in this order.
    """
    if here is None:
        here = torch.arange(len(losses), device=losses.device)
    order = np.arange(len(features)) if places is None else _host(places)
    judged_by = {LABEL_OF[column]: own[here] for column, own in residuals.items() if RESIDUALS[LABEL_OF[column]].judged}
    seen = _seen(judged_by, times[here], features, order, metadata, _host(here if rows is None else rows[here]))
    judged = usable & (losses > 0)  # 0: it has no label with a weight, so that there is nothing to judge by
    latest = times.floor() == times.floor()[judged].max() if judged.any() else judged
    losses = losses.nan_to_num(0.0, 0.0, 0.0)
    return Remembered(losses, heads, judged, latest, seen, here, rows, len(metadata.n_atoms))


def _seen(
    errors: dict[str, Tensor], times: Tensor, features: Tensor, order: np.ndarray, metadata: Metadata, rows: np.ndarray
) -> Seen:
    """What a process saw: errors by property, times (n,), the `order` of its features, and its `rows` in `metadata`."""
    force, conditions, pooled = (part.numpy() for part in Features.split(features))
    return Seen(
        errors={name: _host(own) for name, own in errors.items()},
        features=Ordered(pooled, order),
        composition=metadata.composition_of(rows),
        atoms=np.maximum(metadata.n_atoms.numpy()[rows], 1).astype(np.float32),
        predicted_force=force[order],
        label_force=metadata.force.numpy()[rows],
        conditions=conditions[order],
        times=_host(times),
        molecules=metadata.molecules[rows],
    )


def _host(values: Tensor) -> np.ndarray:
    return np.asarray(values.cpu().numpy())
