"""What MACE does with some frames of a training file, said and counted by reason: for log, audit and results alike."""

import logging
from collections.abc import Sequence
from typing import Any

from ..data.clean import clean
from .context import CONTEXT

ISOLATED = "isolated atoms, which are no training data"


def say_what_becomes_of_frames(source: str, frames: int, configurations: Sequence[Any]) -> None:
    """Log, and count by reason, frames that MACE doesn't train on, and labels that it replaces."""
    counts = {ISOLATED: frames - len(configurations)}
    if counts[ISOLATED]:
        logging.info(f"{clean(source)}: {counts[ISOLATED]} of {frames} frames are isolated atoms, and give E0s only")
    for label in ("energy", "forces", "stress"):  # keys that MACE asks the calculator for, whether it has them or not
        absent = sum(c.properties.get(label) is None and bool(c.property_weights.get(label)) for c in configurations)
        counts[f"{label} replaced by 0"] = absent
        if absent:
            logging.warning(
                f"{clean(source)}: {absent} of {frames} frames have no {label}, and MACE trains on 0 in its place, as "
                f"for every --{label}_key={label}. Under any other key, such as REF_{label}, it leaves it out"
            )
    CONTEXT.reading.update({reason: number for reason, number in counts.items() if number})


def counted() -> dict[str, int]:
    """What became of frames since the last call, by reason."""
    counts = dict(CONTEXT.reading)
    CONTEXT.reading.clear()
    return counts
