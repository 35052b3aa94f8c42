"""The weight of a configuration, given the populations that were fitted. Torch only."""

import torch
from torch import Tensor

from .populations import BACKGROUND, ERROR_RANGE, LEFT, RIGHT, ROOT_TWO_PI, Fit
from .weighting import Weighted, soft_weight


def weigh_by_fit(fit: Fit, x: Tensor, e: Tensor, threshold: float) -> Weighted:
    """Weights (N,) of relative log losses x (N,) and energy errors e (N,), see MixtureDistribution.

    e: NaN where there is none. The z-score is that of the loss or of the energy error, whichever is larger.
    """
    has = e.isfinite()
    z = (x - fit.mode) / torch.where(x < fit.mode, fit.left, fit.right)
    inside = x.clamp(fit.mode, max(fit.mode, fit.high_mean)) if fit.share else x.clamp_min(fit.mode)
    y = torch.where(has, (e - fit.error) / fit.error_scale, 0.0)
    tails = (1 + 0.2 * ((inside - fit.mode) / fit.right).square()) * (1 + 0.2 * y.square())
    lower = (1 - fit.share) * tails**-3 / (fit.left * LEFT + fit.right * RIGHT)
    one = torch.ones_like(x)
    lower = lower * torch.where(has, one / (2 * RIGHT * fit.error_scale), one)
    other = BACKGROUND * torch.where(has, one / (ERROR_RANGE * fit.error_scale), one)
    if fit.share:
        u, v = (inside - fit.high_mean) / fit.high_scale, (e.asinh() - fit.high_error) / fit.high_error_scale
        upper = torch.exp(-0.5 * (u.square() + torch.where(has, v.square(), 0.0))) / (fit.high_scale * ROOT_TWO_PI)
        stretch = fit.high_error_scale * ROOT_TWO_PI * (1 + e.square()).sqrt()
        other = other + fit.share * upper * torch.where(has, one / stretch, one)
    return Weighted(lower / (lower + other) * soft_weight(z, threshold), torch.maximum(z, y.abs()))
