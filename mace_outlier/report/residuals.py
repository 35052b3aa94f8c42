"""How far predictions lie from the labels of each configuration: which of these are shown, and how."""

from typing import Any

import pandas

from ..data.labels import RESIDUALS
from .text import milli, significant


def known_residuals(table: pandas.DataFrame) -> list[str]:
    """Return the labels of which a configuration of the table has a residual."""
    return [label for label, own in RESIDUALS.items() if own.column in table and table[own.column].notna().any()]


def shown_unit(label: str) -> str:
    """Return the unit of a residual that is shown: a thousandth of that of the table, where it has one."""
    unit = RESIDUALS[label].unit
    return f"m{unit.replace('A', 'Å')}" if unit.startswith("eV") else unit


def shown_residual(label: str, row: Any) -> str:
    """Return the residual of a row of the table; energies with their sign."""
    value = getattr(row, RESIDUALS[label].column)
    return milli(value, signed=label == "energy") if RESIDUALS[label].unit.startswith("eV") else significant(value)
