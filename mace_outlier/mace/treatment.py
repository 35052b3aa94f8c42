"""What MACE does with some frames of a training file, said and counted by reason: for log, audit and results alike."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.clean import clean
from .context import CONTEXT

ISOLATED, FIXED = "isolated atoms, which are no training data", "forces of fixed atoms replaced by 0"


def say_what_becomes_of_frames(
    source: str, held: Sequence[bool], constrained: bool, configurations: Sequence[Any]
) -> None:
    """Log, and count by reason, frames that MACE doesn't train on, and labels that it replaces.

    Args:
        source: the file.
        held: of each of its frames, whether atoms are held fixed.
        constrained: whether forces are those of a calculator, with constraints.
        configurations: what MACE has made of the frames.
    """
    name, counts = f"{clean(source)}: %d of {len(held)} frames", {ISOLATED: len(held) - len(configurations)}
    if counts[ISOLATED]:
        logging.info(f"{name} are isolated atoms, and give E0s only", counts[ISOLATED])
    if constrained and any(held):
        counts[FIXED] = sum(held)
        logging.warning(f"{name} hold atoms fixed, whose forces are 0 with --forces_key=forces", counts[FIXED])
    for label in ("energy", "forces", "stress"):  # MACE asks the calculator for what has this key
        absent = [
            c for c in configurations if c.properties.get(label) is None and np.any(c.property_weights.get(label))
        ]
        counts[f"{label} replaced by 0"] = len(absent)
        if absent:
            logging.warning(
                f"{name} have no {label}, and MACE trains on 0 in its place, as for every --{label}_key={label}. Under "
                f"any other key, such as REF_{label}, it leaves it out",
                len(absent),
            )
    CONTEXT.reading.update({reason: number for reason, number in counts.items() if number})


def counted() -> dict[str, int]:
    """What became of frames since the last call, by reason."""
    counts = dict(CONTEXT.reading)
    CONTEXT.reading.clear()
    return counts
