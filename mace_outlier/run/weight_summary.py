"""The weights of an epoch in some numbers: what log, wandb and the history have of them."""

from typing import Any

import numpy as np
from torch import Tensor

from ..results.files import TRAIN, VALID
from ..weights.by_head import Tally

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def summarise(tally: Tally) -> dict[str, Any]:
    """Summarise the weights of the configurations of a head that were visited, at least one."""
    places = np.rint(np.array(QUANTILES) * (len(tally.sample) - 1)).astype(int)
    quantiles = zip(QUANTILES, np.partition(tally.sample, places)[places].tolist(), strict=True)
    return {
        "visited": tally.visited,
        "mean_weight": tally.total / tally.visited,
        "share_below_half": tally.low_visited / tally.visited,
        "quantiles": {f"{100 * q:g}": weight for q, weight in quantiles},
        "histogram": tally.histogram,
    }


def in_words_of(split: str, weight: Tensor) -> str:
    """How many configurations of a split, with weights (N,), have a low one."""
    below, kind = int((weight < 0.5).sum()), {TRAIN: "training", VALID: "validation"}[split]
    return f"{below} of {len(weight)} {kind} configurations ({100 * below / max(len(weight), 1):.2f} %)"
