"""The weights of an epoch in some numbers: what log, wandb and the history have of them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
BINS = 20  # of the histogram of the weights, over [0, 1]


def summarise(weights: Tensor) -> dict[str, Any]:
    """Summarise the weights (V,) of the configurations that were visited, at least one; waits for the device."""
    weights = weights.cpu()
    places = torch.tensor([q * (len(weights) - 1) for q in QUANTILES]).round().long().numpy()
    quantiles = zip(QUANTILES, np.partition(weights.numpy(), places)[places].tolist(), strict=True)
    return {
        "visited": len(weights),
        "mean_weight": weights.mean(dtype=torch.float64).item(),
        "share_below_half": int((weights < 0.5).sum()) / len(weights),
        "quantiles": {f"{100 * q:g}": weight for q, weight in quantiles},
        "histogram": torch.histc(weights, BINS, 0.0, 1.0).int().tolist(),
    }
