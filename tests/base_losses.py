"""MACE's losses, and batches of one configuration for them."""

import inspect

import torch
from mace.modules import loss as mace_losses

BASES = [
    cls for _, cls in inspect.getmembers(mace_losses, inspect.isclass)
    if issubclass(cls, torch.nn.Module) and cls.__module__ == mace_losses.__name__
]  # fmt: skip


def part(batch, output, keep):
    """The configuration `keep` of a batch, as a batch of one."""
    atoms = batch["batch"] == keep
    rows = lambda value: value[atoms] if len(value) == len(atoms) else value[keep : keep + 1]  # noqa: E731
    small = type(batch)({k: rows(v) for k, v in batch.items() if k not in ("ptr", "batch")})
    small["ptr"], small["batch"] = torch.tensor([0, int(atoms.sum())]), torch.zeros(int(atoms.sum()), dtype=torch.long)
    return small, {k: rows(v) for k, v in output.items()}
