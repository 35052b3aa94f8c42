"""Records that go on from those of a checkpoint, whose rows may be others."""

from typing import Any

import numpy as np
import torch

from ..data.labels import LABEL_OF
from .distribution import bounded

OF_THE_RUN = ("head", "not_finite_since")  # in a state, but not columns that are carried over


def continued(now: dict[str, Any], state: dict[str, Any], rows: np.ndarray, before: int) -> dict[str, Any]:
    """Return the state `now` of n rows with what another one knows of them, see Rows.state_dict.

    A residual that the other has not, because another loss was trained, starts as one that was not seen yet.

    Args:
        now: of records that have seen nothing; is changed.
        state: of the checkpoint.
        rows: (n,) the row of `state` that each row is; -1: it is new, and stays as it is.
        before: how many rows the state is to have.

    Raises:
        ValueError: it is of another training set.
    """
    places = torch.from_numpy(rows)
    state = {name: torch.full((before,), torch.nan) for name in now if name in LABEL_OF} | state
    columns = [name for name in now if name not in OF_THE_RUN]
    for name in columns:
        if name not in state or len(state[name]) != before:
            raise ValueError(f"records: '{name}' is missing or is not of {before} training configurations")
    if state["by_property"].shape[1:] != now["by_property"].shape[1:]:  # another loss was trained
        state["by_property"] = torch.ones(before, now["by_property"].shape[1])
    state["weight"] = bounded(state["weight"])
    known = places >= 0
    for name in columns:
        now[name][known.to(now[name].device)] = state[name].to(now[name])[places[known].to(now[name].device)]
    return now | {"not_finite_since": dict(state.get("not_finite_since", {}))}
