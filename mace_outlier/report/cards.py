"""What the card of a suspect shows: a drawing, its errors against those of others, labels and predictions."""

import math
from typing import Any

from ase import Atoms

from ..data.labels import RESIDUALS
from .figures import encoded, our_style
from .sample import energy_and_force
from .sample import largest_error as largest_error
from .structures import draw_structure
from .summary import CERTAIN
from .text import DASH, fixed, significant

NOTABLE = 2.0  # medians, from which an error is named as a reason


def drawing(frame: Atoms | None) -> str:
    """Return a structure as a data URI; "" where there is none to draw."""
    with our_style():
        canvas = draw_structure(frame) if frame else None
    return encoded(canvas, "png") if canvas else ""


def pairs(frame: Atoms) -> list[list[str]]:
    """Return what, label, prediction."""
    label, prediction = energy_and_force(frame, "reference"), energy_and_force(frame, "predicted")
    rows = zip(("energy, eV/atom", "largest force, eV/Å"), label, prediction, (4, 3), strict=True)
    return [[what, *(_value(value, digits) for value in values)] for what, *values, digits in rows]


def _value(value: float | None, digits: int) -> str:
    if value is None:
        return DASH
    return fixed(value, digits) if math.isfinite(value) else "not finite"


def reason(suspect: Any) -> str:
    """Say which error stands out, against the median of the head."""
    if suspect.verdict == CERTAIN:
        return "a label, or the loss, is NaN or infinite"
    return ", ".join(
        f"{RESIDUALS[label].name} {significant(ratio, 2)} times the median"
        for label, ratio in suspect.ratios.items()
        if ratio >= NOTABLE
    )
