"""Which columns of a MACE model's node features are invariant: the scalars of each layer."""

from typing import Any

import torch
from e3nn import o3


def scalar_columns(model: Any) -> torch.Tensor | None:
    """Columns of `node_feats` in the model's output that are scalars, on its device; None where that isn't known.

    MACE's models concatenate what each of their products returns (mace/modules/models.py).
    """
    columns: list[int] = []
    first = 0
    for product in getattr(model, "products", ()):
        irreps = getattr(getattr(product, "linear", None), "irreps_out", None)
        if irreps is None:
            return None
        for multiplicity, irrep in o3.Irreps(str(irreps)):
            if irrep.l == 0:
                columns += range(first, first + multiplicity)
            first += multiplicity * irrep.dim
    return torch.tensor(columns, device=next(model.parameters()).device) if columns else None
