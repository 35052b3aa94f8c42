"""What is wrong with the suspects: how many have which cause, where they are, and what to do."""

from typing import NamedTuple

import numpy as np
import pandas

from ..causes.advice import advice
from ..causes.cause import RARE, UNCONVERGED, UNKNOWN, WORDS
from ..causes.energies import OTHER
from ..causes.offsets import ELECTRON, OFFSET
from .columns import Column
from .summary import Summary
from .text import DASH, clean, milli, of_many, percent, significant

MOST_PLACES = 3
NOT_EXAMINED = "not examined"
IN_EV_PER_ATOM = (WORDS[OFFSET], UNCONVERGED, WORDS[OTHER])  # begin the words of causes whose value is an offset


class CauseGroup(NamedTuple):
    """The suspects that have the same cause."""

    words: str  # see causes.cause; untrusted
    suspects: int
    certainty: float  # median; NaN: nothing is certain
    value: str  # the factor, or by how much labels are too high
    where: str  # files and config_types that most of them are in
    advice: str


def find_causes(table: pandas.DataFrame, summary: Summary) -> list[CauseGroup]:
    """Count the causes of the suspects, the most frequent one first, and what is not known last."""
    if "cause" not in table:
        return []
    suspects = table.iloc[summary.order]
    groups = [_group(str(words), own, summary) for words, own in suspects.groupby("cause", observed=True)]
    return sorted(groups, key=lambda group: (group.words in (NOT_EXAMINED, UNKNOWN, RARE), -group.suspects))


def _group(words: str, suspects: pandas.DataFrame, summary: Summary) -> CauseGroup:
    return CauseGroup(
        words=words or NOT_EXAMINED,
        suspects=len(suspects),
        certainty=float(suspects["cause_certainty"].median()),
        value=_value(words, suspects["cause_value"].dropna().to_numpy()),
        where=_where(suspects, summary.folder),
        advice=advice(words) if words else "More suspects than are examined: mend these, and look again.",
    )


def _value(words: str, values: np.ndarray) -> str:
    """What the suspects of a cause have in common: a factor, or an offset, which may have both signs."""
    if not len(values):
        return ""
    if words.startswith(IN_EV_PER_ATOM):
        sides = [values[values > 0], values[values < 0]]
        return " and ".join(f"{milli(float(np.median(side)), signed=True)} meV/atom" for side in sides if len(side))
    if words.startswith(WORDS[ELECTRON]):
        return f"{np.median(values):+.1f} eV each"
    if words.startswith("noise"):
        return ""
    return f"label / right label = {significant(float(np.median(values)), 4)}"


def _where(suspects: pandas.DataFrame, folder: str) -> str:
    """The files, and config_types if there are several, that most of them are in."""
    files = suspects["source"].astype(str).str.removeprefix(folder).value_counts()
    parts = [f"{clean(name, 40)} ({number:,})" for name, number in files.head(MOST_PLACES).items()]
    more = len(files) - len(parts)
    types = suspects["config_type"].astype(str).value_counts()
    if len(types) > 1 or types.index[0] not in ("", "Default"):
        names = ", ".join(f"{clean(name, 28)} {number:,}" for name, number in types.head(MOST_PLACES).items())
        parts[-1] += f"; config_type {names}" + (" ..." if len(types) > MOST_PLACES else "")
    return ", ".join(parts) + (f" and {of_many(more, 'more file')}" if more else "")


COLUMNS = (
    Column("cause", lambda group: clean(group.words, 200), "name"),
    Column("suspects", lambda group: f"{group.suspects:,}"),
    Column("certainty", lambda group: percent(group.certainty) if group.certainty == group.certainty else DASH),
    Column("how far", lambda group: group.value or DASH, "name"),
    Column("where", lambda group: group.where, "file"),
    Column("what to do", lambda group: group.advice, "file"),
)
