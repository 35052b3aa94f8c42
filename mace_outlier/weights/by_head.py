"""What records say of the configurations of one head."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..results.judgement import Judgement, judgement_by
from ..states import JUDGED, MODEL, STATES
from .records import Records
from .whose_fault import are_set_aside


def judgement(
    records: Records, head: int, described: Mapping[str, Any], history: Iterable[Mapping[str, Any]] = ()
) -> Judgement:
    """What is thought of its labels, see `judgement_by`; `described`: see LossDistribution.describe."""
    here = (records.head == head) & (records.time >= 0)
    codes = records.codes
    judged = here & ((codes == STATES.index(JUDGED)) | (codes == STATES.index(MODEL)))
    masks = judged, judged & (records.weight < 0.5), here & are_set_aside(codes)
    number, suspects, nonfinite = torch.stack([mask.sum() for mask in masks]).tolist()
    return judgement_by(described, number, suspects, nonfinite, history)


def share_of_suspects(records: Records, head: int) -> float:
    """Share of the configurations, of those that can be judged, with a weight below 1/2."""
    weight = records.weight[(records.head == head) & (records.time >= 0) & (records.loss > 0) & ~records.nonfinite]
    return int((weight < 0.5).sum()) / max(len(weight), 1)


def visited_weights(records: Records, head: int) -> Tensor:
    """Weights (V,) of this epoch's visits."""
    return records.weight[records.visited & (records.head == head)]
