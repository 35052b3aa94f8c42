"""The module that a MACE with plugins imports, by the entry-point group `mace.plugins`, for its side effects.

Two kinds of MACE know that group: 0.3.x with one of our patches, where a plugin calls `mace.plugins.extend`, and the
announced MACE v1, where a plugin registers losses (`mace_torch.train.register_loss`). This takes part in the one that
is there; it imports neither, and where there is none it does nothing.
"""

import sys
from typing import Any

from .. import _boot

V1 = "mace_torch.train"
NOT_YET = (
    "ema_robust does not work in MACE v1 yet: it has no place for what happens at the end of an epoch (the judgement), "
    "for the weighted choice of a model, and for our state in checkpoints. What works: train with mace-torch 0.3.13 to "
    "0.3.16, or put mace_outlier.RobustWeights into a training loop of your own"
)


def take_part() -> None:
    """Register with the MACE that is there; whatever it raises, MACE says and goes on without us."""
    if _boot.disabled():
        return
    if _boot.host_loads_plugins():
        _boot.register(sys.modules[_boot.PLUGINS].extend)
    register_loss = getattr(sys.modules.get(V1), "register_loss", None)
    if register_loss is not None:
        register_loss("ema_robust")(loss_of_v1())


def loss_of_v1() -> type:
    """The loss of that name: it says what works and what doesn't, before anything is trained."""
    from torch import nn

    class EmaRobust(nn.Module):
        def __init__(self, *_: Any, **__: Any) -> None:
            raise RuntimeError(NOT_YET)

    return EmaRobust


take_part()
