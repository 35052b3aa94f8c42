"""Tags: what a sample says of its configuration, from where the host reads it to where a batch is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .molecules import molecule_name

TAG_FIELD = "__mace_outlier_tag__"  # of a sample; hosts such as torch_geometric don't collate names with underscores


class Tag(NamedTuple):
    """What a sample says of its configuration."""

    config_type: str
    formula: str  # Hill order
    molecule: str  # the formula, and what tells isomers apart where that is known
    n_atoms: int
    force: float = 0.0  # root mean square of its force labels' components, eV/A; 0: none
    source: str | None = None  # file, as the user named it; None: known of the whole data set, not of the sample
    frame: int = -1  # 0-based, in the source
    content: int = 0  # by which it is known again, see `identity.content_of`; 0: not known


def tag_of(config_type: Any, formula: str, numbers: np.ndarray, positions: Any, pbc: Any, forces: Any) -> Tag:
    """Describe a configuration.

    Args:
        config_type: as the user named it.
        formula: in Hill order.
        numbers, positions, pbc: (A,) atomic numbers, (A, 3) in Angstrom, periodicity.
        forces: labels (A, 3), eV/A, an array; None, or not finite: none that have a size.
    """
    force = 0.0 if forces is None or not np.size(forces) else float(np.sqrt(np.mean(np.square(forces))))
    molecule = molecule_name(formula, numbers, positions, bool(np.any(pbc)))
    return Tag(str(config_type), formula, molecule, len(numbers), force if np.isfinite(force) else 0.0)


class Tagging:
    """Whether the samples that the host makes carry tags: the one thing that a process has to know of it.

    A host makes its samples in functions of its own, to which nothing can be handed. So each process has one of these,
    TAGGING, on while a training reads its data, and whenever a `NumberedDataset` that needs tags asks for a sample.
    """

    on = False

    @contextmanager
    def switched(self, on: bool, afterwards: bool) -> Iterator[None]:
        """Switch tags on or off within the context, and `afterwards`, however it ends."""
        self.on = on
        try:
            yield
        finally:
            self.on = afterwards


TAGGING = Tagging()
