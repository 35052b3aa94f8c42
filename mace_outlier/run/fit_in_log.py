"""What the log says of a head's labels: at the start of a run, after its epochs, and at its end."""

import logging
from collections.abc import Sequence

import numpy as np

from ..method.settings import Settings
from ..results.in_words import doubts_of
from ..results.judgement import Judgement
from ..results.whole_groups import SMALLEST, whole_groups
from .tables import Split, groups


def warn_of_doubts(head: str, judgement: Judgement) -> None:
    """Say why the labels of a head want a look, if they do."""
    for doubt in doubts_of(judgement):
        logging.warning(f"head {head}: {doubt}")


def warn_of_whole_groups(training: Split, told: set[tuple[str, ...]]) -> None:
    """Name groups of which next to nothing is trained on, unless they were `told`, and note them there."""
    records, weight = training.records, training.records.weight.cpu().numpy()
    if (weight < 0.5).sum() < SMALLEST:
        return
    columns = groups(training.provenance, training.metadata) | {"weight": weight}
    for group in whole_groups(columns, (records.time >= 0).cpu().numpy()):
        if group[:3] not in told:
            logging.warning(group.in_words)
        told.add(group[:3])


def log_small_heads(heads: Sequence[str], sizes: np.ndarray) -> None:
    """Say at the start what becomes of heads that have few configurations."""
    least, few = Settings().least, Settings().few
    for head, size in zip(heads, sizes.tolist(), strict=True):
        if size < least:
            logging.warning(
                f"head {head}: {size} configurations, but {least} are needed to be compared: all keep their weight"
            )
        elif size < few:
            logging.info(
                f"head {head}: {size} of the {few} configurations that it takes to tell wrong labels from hard "
                "geometries: only gross errors can be found"
            )
