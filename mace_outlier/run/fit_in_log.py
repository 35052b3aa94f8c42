"""What the log says of a head's labels: at the start of a run, after its epochs, and at its end."""

import logging
from collections.abc import Sequence

import numpy as np

from ..method.settings import Settings
from ..results.in_words import doubts_of
from ..results.judgement import Judgement
from ..results.whole_groups import SMALLEST, WholeGroup, whole_groups
from ..weights.by_head import Tally
from .tables import Split, groups


def warn_of_doubts(head: str, judgement: Judgement) -> None:
    """Say why the labels of a head want a look, if they do."""
    for doubt in doubts_of(judgement):
        logging.warning(f"head {head}: {doubt}")


class WholeGroups:
    """Groups of which next to nothing is trained on; each is warned of once."""

    def __init__(self) -> None:
        self._told: set[tuple[str, ...]] = set()

    def look(self, training: Split, tallies: Sequence[Tally]) -> list[WholeGroup]:
        """See which there are; in all processes. `tallies`: of the heads."""
        if sum(tally.suspects + tally.nonfinite for tally in tallies) < SMALLEST:
            return []  # rows are gone through where there could be one
        records = training.records
        columns = groups(training.provenance, training.metadata, records.share, records.processes)
        columns["weight"] = records.weight.cpu().numpy()
        return whole_groups(columns, (records.time >= 0).cpu().numpy(), records.share.start, records.processes)

    def warn_of_new(self, found: Sequence[WholeGroup]) -> None:
        """Warn of those that were not warned of before."""
        for group in found:
            if group[:3] not in self._told:
                logging.warning(group.in_words)
            self._told.add(group[:3])


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
