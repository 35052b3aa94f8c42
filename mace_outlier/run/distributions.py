"""Loss distributions by the name that `Options.distribution` has for them, and what they need."""

from collections.abc import Callable

import torch

from ..weights.distribution import LossDistribution
from ..weights.features import Features
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


def new_features(options: Options, size: int, scalars: torch.Tensor | None) -> Features | None:
    """Make room for what the model knows of so many geometries, see Features; None: the distribution doesn't ask."""
    return Features(size, scalars) if options.distribution == "mixture" else None
