"""Weights that can't be right, whatever distribution they come from."""

from torch import Tensor

from ..method.settings import Settings

MOST = Settings().most  # share of a head that may be taken for wrong, by whatever distribution
MORE_IN_VALIDATION = 2.0  # suspects of a validation set over those of the training set, as shares of either
FEW_IN_VALIDATION = 0.1  # share of suspects up to which a validation set may have any multiple
ROUNDING = 1e-6  # by which a weight may miss [0, 1]


def fault_of_fit(weight: Tensor, zscore: Tensor) -> str | None:
    """Why the weights and z-scores (N,) of all usable configurations of a head can't be right; None: they may be."""
    if not len(weight):
        return None
    if not bool((weight.isfinite() & zscore.isfinite()).all()):
        return "weights or z-scores are not finite"
    if float(weight.min()) < -ROUNDING or float(weight.max()) > 1 + ROUNDING:
        return "weights are not in [0, 1]"
    below, size = int((weight < 0.5).sum()), len(weight)
    if below > MOST * size:
        none_left = " and none be trusted" if below == size else ""
        return f"undecided: {below} of {size} labels ({100 * below / size:.0f} %) would be taken for wrong{none_left}"
    return None


def fault_of_validation(weight: Tensor, zscore: Tensor, in_training: float) -> str | None:
    """Why weights (V,) of a validation set can't be right, by the share of suspects in training; None: they may be."""
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
