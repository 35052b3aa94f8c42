"""What the log says of a head's labels: at the start of a run, and at its end."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..method.settings import Settings
from ..results.wrong_labels import MANY, MOST, in_percent, read_wrong_labels


def warn_of_doubts(distribution: dict[str, Any]) -> None:
    """Say where the last fit was refused, what was left undecided, and where suspects are so many that it may be wrong.

    `distribution`: an entry of LossDistribution.describe, with the "head".
    """
    wrong, head = read_wrong_labels(distribution), distribution["head"]
    if "not_finite_since" in distribution:
        logging.error(
            f"head {head}: the model is not finite since epoch {distribution['not_finite_since']}: its labels were not "
            "judged since then, and all that is said of them is from before"
        )
    if "refused" in distribution:
        logging.warning(
            f"head {head}: the last fit was refused ({distribution['refused']}): the weights are those of before"
        )
    if wrong is not None and wrong.undecided:
        why = (
            f"more than {100 * MOST:.0f} %, so that nobody can say which are the wrong ones. Look at examples of both"
            if wrong.too_many
            else "but in one epoch only. Train longer, or look at those with the largest z-scores"
        )
        logging.warning(
            f"head {head}: undecided: {in_percent(wrong.undecided)} of the labels look wrong, {why}. "
            "NO configuration was down-weighted for it"
        )
    if wrong is not None and wrong.share > MANY:
        logging.warning(
            f"head {head}: {in_percent(wrong.share)} of the labels are taken for wrong. With so many it could be the "
            "others that are wrong: look at examples of both"
        )


def log_small_heads(heads: Sequence[str], sizes: np.ndarray) -> None:
    """Say at the start what becomes of heads that have few configurations."""
    for head, size in zip(heads, sizes.tolist(), strict=True):
        if size < Settings().least:
            logging.warning(f"head {head}: {size} configurations are too few to be compared: all keep their weight")
        elif size < Settings().few:
            logging.info(f"head {head}: of {size} configurations, only gross errors can be told from hard geometries")
