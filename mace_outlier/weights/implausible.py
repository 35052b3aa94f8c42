"""Weights that can't be right, whatever distribution they come from."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..method.processes import Processes
from ..method.settings import Settings

MOST = Settings().most  # share of a head that may be taken for wrong, by whatever distribution
MORE_IN_VALIDATION = 2.0  # suspects of a validation set over those of the training set, as shares of either
FEW_IN_VALIDATION = 0.1  # share of suspects up to which a validation set may have any multiple
ROUNDING = 1e-6  # by which a weight may miss [0, 1]


def faults_of_fit(
    weight: Tensor, zscore: Tensor, heads: Tensor, usable: Tensor, number: int, processes: Processes
) -> dict[int, str]:
    """Why the weights and z-scores of a head can't be right, by head; those in order are not in it.

    All (n,) of the share of this process; `number`: of heads.
    """
    unknown = ~(weight.isfinite() & zscore.isfinite())
    outside = (weight < -ROUNDING) | (weight > 1 + ROUNDING)
    masks = torch.stack((torch.ones_like(usable), unknown, outside, weight < 0.5)) & usable
    counts = processes.sum(np.array([(masks & (heads == head)).sum(1).tolist() for head in range(number)]))
    faults = {head: _fault_of_fit(*of_head) for head, of_head in enumerate(counts.tolist())}
    return {head: fault for head, fault in faults.items() if fault}


def _fault_of_fit(size: int, unknown: int, outside: int, below: int) -> str | None:
    if unknown:
        return "weights or z-scores are not finite"
    if outside:
        return "weights are not in [0, 1]"
    if below > MOST * size:
        none_left = " and none be trusted" if below == size else ""
        return f"undecided: {below} of {size} labels ({100 * below / size:.0f} %) would be taken for wrong{none_left}"
    return None


def faults_of_validation(
    weight: Tensor, zscore: Tensor, heads: Tensor, usable: Tensor, in_training: Sequence[float]
) -> dict[int, str]:
    """Why weights and z-scores (V,) of a validation set can't be right, by head; those in order are not in it.

    `in_training`: share of suspects of each head.
    """
    faults = {}
    for head in heads.unique().tolist():
        own = usable & (heads == head)
        faults[head] = _fault_of_validation(weight[own], zscore[own], in_training[head])
    return {head: fault for head, fault in faults.items() if fault}


def _fault_of_validation(weight: Tensor, zscore: Tensor, in_training: float) -> str | None:
    if not len(weight):
        return None
    in_order = (weight >= -ROUNDING) & (weight <= 1 + ROUNDING) & ~zscore.isnan()  # NaN is neither above nor below
    if not bool(in_order.all()):
        return "weights or z-scores of the validation set are no numbers in their range"
    share = int((weight < 0.5).sum()) / len(weight)
    if share > max(FEW_IN_VALIDATION, MORE_IN_VALIDATION * in_training):
        percents = f"{100 * share:.0f} % of the validation set look wrong, but {100 * in_training:.1f} %"
        return f"{percents} of the training set"
    return None
