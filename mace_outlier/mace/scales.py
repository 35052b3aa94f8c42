"""Seams of what MACE takes from the labels before it trains: E0s, and the scale and shift of the model."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import gross
from .context import seam


@seam(
    "mace.data:compute_average_E0s", "mace.data.utils:compute_average_E0s",
    takes=("collections_train", "z_table"), called_in="mace.tools.scripts_utils",
)  # fmt: skip
def compute_average_e0s(
    original: Callable[..., Any], collections_train: Any, z_table: Any, *rest: Any, **kwargs: Any
) -> Any:
    """Leave energies that are not finite, or gross errors, out of the regression for E0s=average."""
    energies = [configuration.properties.get("energy") for configuration in collections_train]
    values = np.array([np.nan if energy is None else float(energy) for energy in energies])
    counts = np.array([[np.sum(c.atomic_numbers == z) for z in z_table.zs] for c in collections_train], dtype=float)
    keep = gross.plausible_energies(values, counts.reshape(len(values), len(z_table.zs)))
    result = original([c for c, kept in zip(collections_train, keep, strict=True) if kept], z_table, *rest, **kwargs)
    if not keep.all():
        finite = [c for c, energy in zip(collections_train, values, strict=True) if np.isfinite(energy)]
        stock = original(finite, z_table, *rest, **kwargs)
        gross.log_left_out((~keep).sum(), len(keep), "E0s=average (eV)", f"{result}, with the finite ones {stock}")
    return result


@seam(
    "mace.modules:scaling_classes.std_scaling", "mace.modules:scaling_classes.rms_forces_scaling",
    takes=("data_loader", "atomic_energies"),
)  # fmt: skip
def scaling(original: Callable[..., Any], data_loader: Any, atomic_energies: Any, *rest: Any, **kwargs: Any) -> Any:
    """Leave labels that are not finite, or gross errors, out of the model's scale and shift."""
    plausible = gross.Plausible(data_loader.dataset, atomic_energies)
    result = original(gross.selected_batches(data_loader, plausible), atomic_energies, *rest, **kwargs)
    if plausible.rejected:
        gross.log_left_out(plausible.rejected, plausible.examined, "the model's shift and scale", str(result))
    return result
