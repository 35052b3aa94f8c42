"""Tags: what a sample says of its configuration, from where the host reads it to where a batch is made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

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


def force_size(forces: Any) -> float:
    """Root mean square of the components of force labels (A, 3), an array; 0 where there are none, or not finite ones.

    In the unit of the labels.
    """
    value = 0.0 if forces is None or not np.size(forces) else float(np.sqrt(np.mean(np.square(forces))))
    return value if np.isfinite(value) else 0.0


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
