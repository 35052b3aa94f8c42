"""The weights of one head after an epoch, in some numbers: for the log and the history."""

from typing import NamedTuple

import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 20  # of the histogram of the weights, over [0, 1]


class HeadSummary(NamedTuple):
    """The weights of the configurations of one head that were visited in one epoch."""

    visited: int
    mean_weight: float
    share_below_half: float  # in [0, 1]
    quantiles: list[float]  # see QUANTILES; empty if none was visited
    histogram: list[int]  # BINS counts over [0, 1]


def summarise(weights: Tensor) -> HeadSummary:
    """Summarise weights (V,); waits for the device, so call it once an epoch."""
    weights = weights.sort().values.cpu()
    if not len(weights):
        return HeadSummary(0, torch.nan, torch.nan, [], [0] * BINS)
    places = torch.tensor([q * (len(weights) - 1) for q in QUANTILES]).round().long()
    values = (
        weights.mean(dtype=torch.float64),
        (weights < 0.5).double().mean(),
        *weights[places],
    )
    mean, below, *quantiles = torch.stack([value.double() for value in values]).tolist()
    histogram = torch.histc(weights, BINS, 0.0, 1.0).int().tolist()
    return HeadSummary(len(weights), mean, below, quantiles, histogram)
