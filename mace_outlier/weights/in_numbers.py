"""What the log says of the losses and of the suspects of a head."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..method.sample import in_sample
from ..method.verdict import Verdict
from .distribution import Remembered, widest


def in_numbers(seen: Remembered, number: int, judged: np.ndarray, verdict: Verdict) -> dict[str, Any]:
    """Where the log losses of right labels of a head lie, and how many suspects there are, how sure: for the log.

    Losses of very many configurations are those of a sample.
    """
    rows = (seen.usable & seen.latest & (seen.heads == number)).nonzero().squeeze(1).cpu().numpy()
    suspects, wrong = verdict.weight < 0.5, np.zeros(len(seen.losses), dtype=bool)
    wrong[judged[suspects]] = True
    right = rows[in_sample(rows, len(rows)) & ~wrong[rows]]
    values = log_of(seen.losses[torch.from_numpy(right).to(seen.losses.device)]).cpu().double().numpy()
    middle = float(np.median(values)) if len(values) else 0.0
    return {
        "location": middle,
        "scale": 1.4826 * float(np.median(np.abs(values - middle))) if len(values) else 1.0,
        "share": float(suspects.mean()),
        "certainty": float(1 - verdict.weight[suspects].mean()) if suspects.any() else 1.0,
        "judged": len(judged),
    }


def log_of(losses: Tensor) -> Tensor:
    """Logarithm of losses, in double precision where there is one; that of 0 is very low, but finite."""
    return losses.to(widest(losses.device)).clamp_min(1e-30).log()
