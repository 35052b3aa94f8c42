"""Whose fault it is that a loss is not finite: that of a label, a geometry, the loss itself, or the model."""

import torch
from torch import Tensor

from ..states import ASIDE, GEOMETRY, JUDGED, LABEL, LOSS, MODEL, NO_GEOMETRY, STATES, UNUSED


def codes_of(losses: Tensor, seen: Tensor, broken: Tensor) -> Tensor:
    """What became of each configuration (N,): places in `states.STATES`; by `losses` (N,) that are not finite:

    NaN: a label was not       -inf: the geometry is impossible       inf: the loss itself, or the whole model

    Masks (N,): `seen` at all, and last by a model that was not finite for its head, `broken`.
    """
    codes = torch.full_like(losses, STATES.index(JUDGED), dtype=torch.uint8)
    infinite = losses == torch.inf
    codes.masked_fill_((losses == 0) & seen, STATES.index(UNUSED))
    codes.masked_fill_(losses.isnan(), STATES.index(LABEL))
    codes.masked_fill_(losses == -torch.inf, STATES.index(GEOMETRY))
    codes.masked_fill_(infinite, STATES.index(LOSS))
    return codes.masked_fill_(infinite & broken, STATES.index(MODEL))


def are_set_aside(codes: Tensor) -> Tensor:
    """Mask (N,) of what has weight 0, by its code."""
    return torch.stack([codes == code for code in ASIDE]).any(0)


def has_nothing(codes: Tensor) -> Tensor:
    """Mask (N,) of what has nothing to be judged by: weight 1, though the published scheme weighs a loss of 0."""
    return codes == STATES.index(UNUSED)


def can_be_finite(losses: Tensor) -> Tensor:
    """Mask (N,) of what a model was asked for by its `losses` (N,): labels and geometries are in order."""
    return ~(losses.isnan() | (losses == NO_GEOMETRY))


def is_broken(losses: Tensor, times: Tensor) -> bool | None:
    """Whether the model ended an epoch not finite, by its losses (V,) of a head; None: it was asked for none. Waits.

    It did where it has been finite for no configuration since some step, the last but one at least: a single batch may
    be one of configurations that have no finite prediction. `times` (V,): of the visits.
    """
    if len(losses) and bool(losses.isfinite().all()):  # as a rule
        return False
    asked = can_be_finite(losses)
    losses, times = losses[asked], times[asked]
    if not len(losses):
        return None
    finite = losses.isfinite()
    if not finite.any():
        return True
    return len(times[times > times[finite].max()].unique()) > 1
