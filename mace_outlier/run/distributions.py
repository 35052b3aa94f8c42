"""Loss distributions by the name that `Options.distribution` has for them."""

from collections.abc import Callable

import torch

from ..weights.distribution import LossDistribution
from ..weights.mixture import MixtureDistribution
from ..weights.running import GaussianDistribution
from .options import Options

DISTRIBUTIONS: dict[str, Callable[..., LossDistribution]] = {
    "mixture": MixtureDistribution,
    "gaussian": GaussianDistribution,
}


def new_distribution(options: Options, heads: int, device: torch.device) -> LossDistribution:
    """Make the one that a run asks for, of so many heads, on a device."""
    settings = {name: getattr(options, name) for name in ("threshold", "alpha", "variance", "warmup")}
    return DISTRIBUTIONS[options.distribution](heads, **settings).to(device)
