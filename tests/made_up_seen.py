"""What a training remembers of configurations, made up: errors of labels by property, and what else is known."""

from typing import Any

import numpy as np
import torch

from mace_outlier.method.seen import Seen
from mace_outlier.weights.by_head import tallied
from mace_outlier.weights.distribution import Remembered
from mace_outlier.weights.records import Records


def remembered(size: int, errors: dict[str, Any], **known: Any) -> Remembered:
    """Errors (N,) by property (NaN: no label); the rest as if nothing else were known, but for `known`, by name.

    Losses are those of weights of 1 for energies and of 100 for others.
    """
    errors = {name: np.asarray(own, dtype=float) for name, own in errors.items()}
    sizes = {
        name: np.abs(np.nan_to_num(own, nan=0.0, posinf=1e17, neginf=1e17)).clip(max=1e17)
        for name, own in errors.items()
    }
    losses = sum((1 if name == "energy" else 100) * own**2 for name, own in sizes.items())
    tensors = {
        "losses": torch.as_tensor(losses),
        "usable": known.get("usable", torch.ones(size, dtype=torch.bool))
        & (torch.as_tensor(known.get("losses", losses)) > 0),
        "heads": torch.zeros(size, dtype=torch.long),
    }
    seen = {
        "errors": errors,
        "features": np.empty((size, 0)),
        "composition": {},
        "atoms": np.full(size, 10.0),
        "predicted_force": np.full(size, np.nan),
        "label_force": np.ones(size),
        "conditions": np.full((size, 3), np.nan),
        "times": np.zeros(size),
        "molecules": np.ones(size, dtype=np.int64),
    }
    assert set(known) <= {*tensors, *seen}, set(known) - {*tensors, *seen}
    own = {name: value if name == "usable" else known.get(name, value) for name, value in tensors.items()}
    return whole(own, Seen(**{name: known.get(name, value) for name, value in seen.items()}))


def whole(own: dict[str, torch.Tensor], seen: Seen) -> Remembered:
    """What one process remembers that has seen all."""
    size, latest = len(own["losses"]), torch.ones(len(own["losses"]), dtype=torch.bool)
    head_of = torch.where(own["usable"], own["heads"], -1).numpy()
    return Remembered(**own, latest=latest, seen=seen, rows=np.arange(size), head_of=head_of, size=size)


def visited(records: Records, *columns: Any) -> None:
    """Note rows, losses and what else there is of them, as a step does, and put it where it belongs."""
    records.note(*columns)
    records.merge()


def share_of_suspects(records: Records, head: int) -> float:
    """Of the configurations of a head that can be judged."""
    return tallied(records, head + 1)[head].share_of_suspects
