"""Whose fault it is that a loss is not finite: that of a label, a geometry, the loss itself, or the model."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..method.processes import Processes
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


def broken_heads(heads: Tensor, losses: Tensor, times: Tensor, processes: Processes) -> dict[int, bool]:
    """Whether the model ended an epoch not finite, by head, of those for which it was asked for anything; waits.

    It did where it has been finite for no configuration since some step, the last but one at least: a single batch may
    be one of configurations that have no finite prediction.

    Args:
        heads, losses, times: (V,) of the visits of the epoch, each in one of the processes.
        processes: all of them call this.
    """
    told = processes.gather(np.array(list(_asked(heads, losses, times))).reshape(-1, 4))
    asked = {int(head): told[told[:, 0] == head] for head in np.unique(told[:, 0])}
    last = {head: float(own[:, 3].max()) for head, own in asked.items()}
    broken = {head: not own[:, 2].any() for head, own in asked.items() if own[:, 1].any()}
    doubtful = [head for head in broken if not broken[head] and (asked[head][:, 1] > asked[head][:, 2]).any()]
    if doubtful:
        later = [(head, time) for head in doubtful for time in _later(heads, losses, times, head, last[head])]
        steps = np.unique(processes.gather(np.array(later).reshape(-1, 2)), axis=0)
        broken |= {head: int((steps[:, 0] == head).sum()) > 1 for head in doubtful}
    return broken


def _asked(heads: Tensor, losses: Tensor, times: Tensor) -> Iterator[tuple[int, int, int, float]]:
    """Heads, what the model was asked for of them, how much of that was finite, and when at last; -1: never."""
    finite = losses.isfinite()
    asked = finite if bool(finite.all()) else can_be_finite(losses)  # as a rule
    for head in heads.int().bincount().nonzero().flatten().tolist():
        here = heads == head
        last = torch.where(here & finite, times, -1.0).max()
        yield head, *torch.stack((here & asked, here & finite)).sum(1).tolist(), float(last)


def _later(heads: Tensor, losses: Tensor, times: Tensor, head: int, last: float) -> list[float]:
    """When the model was asked for something of a head after it was finite for the last time."""
    return times[(heads == head) & can_be_finite(losses) & (times > last)].unique().tolist()
