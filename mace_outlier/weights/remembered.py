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


def seen_of(
    residuals: dict[str, Tensor],
    times: Tensor,
    features: Tensor,
    order: np.ndarray | None,
    metadata: Metadata,
    rows: np.ndarray,
) -> Seen:
    """Put together what was seen of n configurations.

    Args:
        residuals: (n,) by column of the records; of others that are there, nothing is taken.
        times: (n,) when they were.
        features: table (n, EXTRA + K), or with more rows, see Features.
        order: (n,) rows of `features` that are theirs; None: in this order.
        metadata: of configurations among which they are the `rows`.
        rows: (n,)
    """
    force, conditions, pooled = (part.numpy() for part in Features.split(features))
    order = np.arange(len(features)) if order is None else order
    judged_by = {LABEL_OF[name]: own for name, own in residuals.items() if name in LABEL_OF}
    return Seen(
        errors={label: _host(own) for label, own in judged_by.items() if RESIDUALS[label].judged},
        features=Ordered(pooled, order),
        composition=metadata.composition_of(rows),
        atoms=np.maximum(metadata.n_atoms.numpy()[rows], 1).astype(np.float32),
        predicted_force=force[order],
        label_force=metadata.force.numpy()[rows],
        conditions=conditions[order],
        times=_host(times),
        molecules=metadata.molecules[rows],
    )


def of_one_model(
    losses: Tensor,
    heads: Tensor,
    usable: Tensor,
    residuals: dict[str, Tensor],
    features: Tensor,
    metadata: Metadata,
    rows: Tensor | None = None,
) -> Remembered:
    """Put together what one model has shown of N configurations; `features` (N, EXTRA + K), others as in Remembered.

    `rows` (N,): which ones of `metadata` they are; None: in this order.
    """
    usable, numbers = usable & (losses > 0), np.arange(len(losses)) if rows is None else _host(rows)
    seen = seen_of(residuals, torch.zeros_like(losses), features, None, metadata, numbers)
    head_of = np.where(_host(usable), _host(heads), -1)
    finite = losses.nan_to_num(0.0, 0.0, 0.0)
    return Remembered(finite, heads, usable, usable, seen, numbers, head_of, len(metadata.n_atoms), at_once=True)


def _host(values: Tensor) -> np.ndarray:
    return np.asarray(values.cpu().numpy())
