"""What a training remembers of configurations, made up: errors of labels by property, and what else is known."""

from typing import Any

import numpy as np
import torch

from mace_outlier.weighting import Remembered


def remembered(size: int, errors: dict[str, Any], **known: Any) -> Remembered:
    """Errors (N,) by property (NaN: no label); the rest as if nothing else were known, but for `known`, by name.

    Losses are those of weights of 1 for energies and of 100 for others.
    """
    errors = {name: torch.as_tensor(np.asarray(own, dtype=float)) for name, own in errors.items()}
    sizes = {name: own.nan_to_num(0.0).abs().clamp_max(1e17) for name, own in errors.items()}
    losses = sum((1 if name == "energy" else 100) * own**2 for name, own in sizes.items())
    filled = {
        "losses": losses,
        "heads": torch.zeros(size, dtype=torch.long),
        "usable": torch.ones(size, dtype=torch.bool),
        "times": torch.zeros(size, dtype=torch.float64),
        "errors": errors,
        "kinds": np.ones((size, 2), dtype=np.int64),
        "composition": {},
        "atoms": np.full(size, 10),
        "label_force": torch.ones(size, dtype=torch.float64),
        "predicted_force": torch.full((size,), torch.nan, dtype=torch.float64),
        "conditions": torch.full((size, 3), torch.nan, dtype=torch.float64),
        "features": torch.empty(size, 0, dtype=torch.float64),
    }
    assert set(known) <= set(filled), set(known) - set(filled)
    return Remembered(**(filled | known))
