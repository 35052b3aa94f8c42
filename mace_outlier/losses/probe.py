"""A made-up batch, on which a host's loss shows what it is made of. Knows no MACE but the names of its labels."""

from typing import Any

import torch
from torch import Tensor

from ..data.labels import LABELS


class MadeUpBatch(dict[str, Any]):
    """A batch as MACE's losses read one: fields as attributes and as items."""

    def __getattr__(self, name: str) -> Any:
        """Return the field `name`."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def made_up_batch() -> tuple[MadeUpBatch, dict[str, Tensor]]:
    """Three configurations of 2, 3 and 4 atoms, some labels absent, of unequal weights, and a model's output."""
    atoms = torch.tensor([2, 3, 4])
    shapes = {
        "energy": (3,), "forces": (9, 3), "stress": (3, 3, 3),
        "virials": (3, 3, 3), "dipole": (3, 3), "polarizability": (3, 3, 3),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    output = {label: draw(shape) for label, shape in shapes.items()}
    ref = MadeUpBatch({label: draw(shape) for label, shape in shapes.items()})
    ref["ptr"] = torch.cat((torch.zeros(1, dtype=torch.long), atoms.cumsum(0)))
    ref["batch"] = torch.arange(3).repeat_interleave(atoms)
    ref["weight"] = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    present = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    for i, (label, weight) in enumerate(LABELS.items()):
        # configuration 1 lacks half of the labels, configuration 2 the other half
        row = present.roll(i % 2)
        shape = shapes[label] if label in ("dipole", "polarizability") else (3,)
        ref[weight] = row.view(-1, *(1,) * (len(shape) - 1)).expand(shape).clone()
    return ref, output
