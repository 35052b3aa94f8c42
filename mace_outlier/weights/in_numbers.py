"""What the log says of the losses and of the suspects of a head."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..method.processes import Processes
from ..method.sample import in_sample
from ..method.verdict import Verdict
from .distribution import Remembered, widest


def in_numbers(
    seen: Remembered, number: int, judged: np.ndarray, verdict: Verdict, processes: Processes
) -> dict[str, Any]:
    """Where the log losses of right labels of a head lie, and how many suspects there are, how sure: for the log.

    Losses of very many configurations are those of a sample. `judged` (k,): rows of the share of this process.
    """
    rows = (seen.usable & seen.latest & (seen.heads == number)).nonzero().squeeze(1).cpu().numpy()
    suspects, wrong = verdict.weight < 0.5, np.zeros(len(seen.losses), dtype=bool)
    wrong[judged[suspects] - seen.first] = True
    doubt = np.sum(1 - verdict.weight[suspects], dtype=np.float64)
    here, everyone, found, certainty = processes.sum(np.array([len(rows), len(judged), suspects.sum(), doubt]))
    right = rows[in_sample(rows + seen.first, int(here)) & ~wrong[rows]]
    own = log_of(seen.losses[torch.from_numpy(right).to(seen.losses.device)]).cpu().double().numpy()
    values = processes.gather(own)
    middle = float(np.median(values)) if len(values) else 0.0
    return {
        "location": middle,
        "scale": 1.4826 * float(np.median(np.abs(values - middle))) if len(values) else 1.0,
        "share": float(found / everyone),
        "certainty": float(certainty / found) if found else 1.0,
        "judged": int(everyone),
    }


def log_of(losses: Tensor) -> Tensor:
    """Logarithm of losses, in double precision where there is one; that of 0 is very low, but finite."""
    return losses.to(widest(losses.device)).clamp_min(1e-30).log()
