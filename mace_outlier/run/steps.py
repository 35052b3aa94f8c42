"""Optimiser steps that are taken back where they would spoil the model, without waiting for the device.

One prediction that is not finite makes the gradient of every parameter NaN, whatever weight its configuration has: 0
times NaN is NaN. The device knows first, and to ask it before the step would be to wait. So the step is taken, what it
changes is kept beside it, and when the host has read the loss, as it does after each step, the answer is there as well:
then all is put back, to the last bit. A CPU needs no such copies: it knows before the step. The processes of a
distributed run have the same gradients, so that all do alike.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..weights.moments import Moments


class Kept:
    """What a step changes: parameters, the state of their optimiser, and their moving average `ema` (torch_ema; None).

    `state`: False leaves the optimiser's out.
    """

    def __init__(self, optimizer: Any, ema: Any = None, state: bool = True) -> None:
        self.optimizer, self.ema, self.state = optimizer, ema, state
        self._pairs: list[tuple[list[Tensor], list[Tensor]]] = []  # copies, and what they are of, by device and type
        self._known: tuple[int, ...] = ()

    @torch.no_grad()
    def keep(self) -> None:
        """Remember how it is now; some kernels, and as much memory again."""
        groups, state = self.optimizer.param_groups, self.optimizer.state if self.state else {}
        self._groups = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        self._state = {parameter: dict(own) for parameter, own in state.items()}
        self._updates = None if self.ema is None else self.ema.num_updates
        changing = self.parameters + ([] if self.ema is None else list(self.ema.shadow_params))
        changing += [value for own in self._state.values() for value in own.values() if isinstance(value, Tensor)]
        if self._known != tuple(map(id, changing)):
            self._known, self._pairs = tuple(map(id, changing)), _copies(changing)
        for copies, originals in self._pairs:
            _copy(copies, originals)

    @torch.no_grad()
    def put_back(self) -> None:
        """Make all as it was when it was kept."""
        for copies, originals in self._pairs:
            _copy(originals, copies)
        for group, before in zip(self.optimizer.param_groups, self._groups, strict=True):
            group.update(before)
        self.optimizer.state.clear()
        self.optimizer.state.update(self._state)
        if self.ema is not None:
            self.ema.num_updates = self._updates

    @property
    def parameters(self) -> list[Tensor]:
        """Of the optimiser."""
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def _copies(tensors: list[Tensor]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """Room for copies of tensors, and these, by device and type: what one kernel can copy."""
    alike: dict[Any, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        alike[tensor.device, tensor.dtype].append(tensor)
    return [([torch.empty_like(tensor) for tensor in own], own) for own in alike.values()]


def _copy(to: list[Tensor], of: list[Tensor]) -> None:
    if hasattr(torch, "_foreach_copy_"):
        torch._foreach_copy_(to, of)
        return
    for one, other in zip(to, of, strict=True):  # torch before 2.1
        one.copy_(other)


class GuardedOptimizer:
    """Stands for the host's optimiser within an epoch, and takes back a step whose gradients were not finite.

    Args:
        kept: what its steps change.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept, self.optimizer = kept, kept.optimizer
        self.begin_epoch()
        self._norm: Tensor | None = None  # of all gradients of the last step, on the host
        self._arrived: Any = None

    def begin_epoch(self) -> None:
        """Count the steps that follow."""
        self.steps, self.taken_back = 0, list[int]()

    def __getattr__(self, name: str) -> Any:
        """What else the host asks its optimiser for."""
        return getattr(self.optimizer, name)

    def zero_grad(self, *args: Any, **kwargs: Any) -> None:
        """Begin another step."""
        self.settle()
        self.optimizer.zero_grad(*args, **kwargs)

    def step(self, *args: Any, **kwargs: Any) -> Any:
        """Take a step, for the time being; on a CPU, where the answer is there at once, only if it will stay."""
        self._ask()
        self.steps += 1
        if self._norm is not None and answers_at_once(self._norm, self._arrived):
            if not bool(self._norm.isfinite()):
                self.kept.keep()  # for the moving average, which is updated all the same
                return None
            self._norm = None
        else:
            self.kept.keep()
        return self.optimizer.step(*args, **kwargs)

    @torch.no_grad()
    def _ask(self) -> None:
        """Have the norm of all gradients sent to the host."""
        gradients = [parameter.grad for parameter in self.kept.parameters if parameter.grad is not None]
        if not gradients:
            return
        norms = torch._foreach_norm(gradients)
        norm = torch.stack([own.to(norms[0]) for own in norms]).sum()
        if not norm.is_cuda:
            self._norm = norm
            return
        self._norm = torch.empty_like(norm, device="cpu", pin_memory=True)
        self._norm.copy_(norm, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record()

    def settle(self) -> None:
        """Take the last step back where its gradients were not finite; the host has read its loss by now."""
        norm, self._norm = self._norm, None
        if norm is None:
            return
        if self._arrived is not None:
            self._arrived.synchronize()
        if not bool(norm.isfinite()):
            self.kept.put_back()
            self.taken_back.append(self.steps - 1)


def answers_at_once(norm: Tensor, arrived: Any) -> bool:
    """Whether to read a number is no wait: it is a CPU's own, not one that is on its way from a GPU."""
    return norm.device.type == "cpu" and arrived is None


class Guard:
    """The steps of a training, epoch by epoch: `taken_back` are those of this epoch that were.

    Args:
        renewed: whether the moments of the optimiser may begin anew, see Moments.
    """

    def __init__(self, renewed: bool = True) -> None:
        self.moments = Moments(renewed)
        self.taken_back: list[int] = []
        self.optimizer: GuardedOptimizer | None = None

    @contextmanager
    def of(self, optimizer: Any, ema: Any = None) -> Iterator[GuardedOptimizer]:
        """Yield what stands for the host's optimiser in an epoch; `ema`: the moving average of what it trains."""
        known = self.optimizer
        if known is None or known.optimizer is not optimizer or known.kept.ema is not ema:
            known = self.optimizer = GuardedOptimizer(Kept(optimizer, ema))
        known.begin_epoch()
        yield known
        known.settle()
        self.taken_back = known.taken_back

    def outlive(self, left: float) -> None:
        """Go on with so much of the loss, after labels have lost their weight, see `Moments`."""
        self.moments.outlive(left, self.optimizer and self.optimizer.optimizer)


@contextmanager
def taken_back_unless_finite(optimizer: Any, ema: Any = None) -> Iterator[list[int]]:
    """Take back what the one step of an epoch does within the context where parameters aren't finite after it (LBFGS).

    Its optimiser begins anew then. Yields the steps that were taken back, as `GuardedOptimizer.taken_back`; waits.
    """
    kept, taken_back = Kept(optimizer, ema, state=False), list[int]()
    kept.keep()
    yield taken_back
    if not all(bool(parameter.isfinite().all()) for parameter in kept.parameters):
        kept.put_back()
        taken_back.append(0)
