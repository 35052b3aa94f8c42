"""What MACE derives from labels before it trains: E0s, and the scale and shift of the model. All of it, and the seams.

Wrong labels are no less wrong there than in the loss, and one gross error is enough to spoil a mean or a least-squares
fit: such errors are left out, or what they have spoilt is named, with the value that the other labels give.
"""

import itertools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import gross
from .context import seam
from .seams import arguments_of

GUARDED = "gross errors are left out"
COMPARED = "compared with the labels, here and by `mace_outlier check`: checks.options, checks.derived"
# what MACE 0.3.13 to 0.3.16 derives: the function that reads the labels -> since when, what of it, and what we do.
# The average number of neighbours is one of geometries. tests/mace/test_canary.py: whether these are all.
DERIVED = {
    "mace.data.utils.compute_average_E0s": ("0.3.13", "E0s=average", GUARDED),
    "mace.data.utils.estimate_e0s_from_foundation": ("0.3.15", "E0s=estimated", GUARDED),
    "mace.data.utils.load_from_xyz": ("0.3.13", "E0s of isolated atoms", COMPARED),
    "mace.modules.utils.compute_mean_std_atomic_inter_energy": ("0.3.13", "scaling=std_scaling", GUARDED),
    "mace.modules.utils.compute_mean_rms_energy_forces": ("0.3.13", "scaling=rms_forces_scaling", GUARDED),
    "mace.modules.utils.compute_statistics": ("0.3.13", "mace_prepare_data: a statistics file", COMPARED),
    "mace.modules.utils.compute_rms_dipoles": ("0.3.13", "scaling=rms_dipoles_scaling", "MACE has no such option"),
}


@seam(
    "mace.data:compute_average_E0s", "mace.data.utils:compute_average_E0s",
    takes=("collections_train", "z_table"), called_in="mace.tools.scripts_utils",
)  # fmt: skip
def compute_average_e0s(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Leave energies that are not finite, or gross errors, out of the regression for E0s=average."""
    return regression(original, args, kwargs, "E0s=average (eV)")


@seam(
    "mace.data:estimate_e0s_from_foundation", "mace.data.utils:estimate_e0s_from_foundation",
    since="0.3.15", needs=("collections_train", "z_table"), called_in="mace.cli.run_train",
)  # fmt: skip
def estimate_e0s_from_foundation(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Leave the same out of E0s=estimated, a regression of the errors of a foundation model."""
    return regression(original, args, kwargs, "E0s=estimated (eV)")


def regression(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], what: str) -> Any:
    """Call `original`, which fits an energy for each element of its `z_table`, without what no such fit explains."""
    given = arguments_of(original, args, kwargs)
    configurations, elements = given["collections_train"], given["z_table"].zs
    energies = [configuration.properties.get("energy") for configuration in configurations]
    values = np.array([np.nan if energy is None else float(energy) for energy in energies])
    counts = np.array([[np.sum(c.atomic_numbers == z) for z in elements] for c in configurations], dtype=float)
    keep = gross.plausible_energies(values, counts.reshape(len(values), len(elements)))
    keep |= not keep.any()  # nothing to go by: as stock MACE
    result = original(
        **given | {"collections_train": [c for c, kept in zip(configurations, keep, strict=True) if kept]}
    )
    if not keep.all():
        gross.log_left_out((~keep).sum(), len(keep), what, str(result))
    return result


@seam(
    "mace.modules:scaling_classes.std_scaling", "mace.modules:scaling_classes.rms_forces_scaling",
    takes=("data_loader", "atomic_energies"),
)  # fmt: skip
def scaling(original: Callable[..., Any], data_loader: Any, atomic_energies: Any, *rest: Any, **kwargs: Any) -> Any:
    """Leave labels that are not finite, or gross errors, out of the model's scale and shift."""
    plausible = gross.Plausible(data_loader.dataset, atomic_energies)
    selected = gross.selected_batches(data_loader, plausible)
    first = next(selected, None)
    if first is None:
        logging.warning("No configuration has labels that are finite and like others: scale and shift are stock MACE's")
        return original(data_loader, atomic_energies, *rest, **kwargs)
    result = original(itertools.chain((first,), selected), atomic_energies, *rest, **kwargs)
    if plausible.rejected:
        gross.log_left_out(plausible.rejected, plausible.examined, "the model's shift and scale", str(result))
    for head, (energies, off) in plausible.averages().items():
        logging.warning(
            f"The E0s of head {head} are an average over all energies, gross errors included, which move them by "
            f"{off:.3g} eV/atom: without these, it is {energies.tolist()} eV, for the elements in their order"
        )
    return result
