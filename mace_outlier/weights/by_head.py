"""What records say of the configurations of one head."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ..results.judgement import Judgement, judgement_of
from ..states import STATES
from .records import Records


def judgement(
    records: Records, head: int, described: Mapping[str, Any], history: Iterable[Mapping[str, Any]] = ()
) -> Judgement:
    """What is thought of its labels, see `judgement_of`; `described`: see LossDistribution.describe."""
    here = (records.head == head) & (records.time >= 0)
    states = np.array(STATES)[records.codes[here].cpu().numpy()]
    return judgement_of(described, records.weight[here].cpu().numpy(), states, history)


def share_of_suspects(records: Records, head: int) -> float:
    """Share of the configurations, of those that can be judged, with a weight below 1/2."""
    weight = records.weight[(records.head == head) & (records.time >= 0) & (records.loss > 0) & ~records.nonfinite]
    return int((weight < 0.5).sum()) / max(len(weight), 1)


def visited_weights(records: Records, head: int) -> Tensor:
    """Weights (V,) of this epoch's visits."""
    return records.weight[records.visited & (records.head == head)]
