"""Which data and faults keep a bar from being met, and by how much."""

from collections.abc import Iterator

import pandas
from readme_tables import markdown
from real_bars import COHERENT, LOST, NO_BAR, OURS, WBE_PRECISION, WBE_RECALL, WORST, ratios_of, wanted_of
from real_cells import PLANTED


def unmet(rows: pandas.DataFrame) -> str:
    """Markdown: what is on the wrong side of a bar, by data set and fault; of right labels, the worst training."""
    ours, lines = rows[rows.arm == OURS], []
    for (name, fault, train), own in ours.groupby(["set", "fault", "train"], sort=False):
        missed = [*lost(own, fault), *overlooked(own, fault), *too_large(own, fault)]
        if missed:
            lines.append([name, fault, train.replace("_", " "), ", ".join(missed), str(len(own))])
    return markdown(["data", "fault", "trained on", "what misses its bar", "seeds"], lines)


def lost(own: pandas.DataFrame, fault: str) -> Iterator[str]:
    """Right labels where nothing was planted; the worst training counts."""
    if fault in ("clean", "own"):
        for column, when, most in LOST:
            if (worst := own[column].fillna(1.0).max()) > most:
                yield f"right labels lost {when} {100 * worst:.1f} %"


def overlooked(own: pandas.DataFrame, fault: str) -> Iterator[str]:
    """Recall and precision of the labels that count as wrong."""
    if fault in NO_BAR or own.set.iloc[0] not in (*PLANTED, "wbe"):
        return
    least = (WBE_RECALL, WBE_PRECISION) if fault == "own" else wanted_of(fault)
    for column, bar in zip(("recall", "precision"), least, strict=True):
        if (mean := own[column].mean()) < bar:
            yield f"{column} {mean:.2f}"


def too_large(own: pandas.DataFrame, fault: str) -> Iterator[str]:
    """Errors over the oracle's, of clean data over the stock training's."""
    if fault in ("own", COHERENT):  # as published with wrong labels; a bar of its own
        return
    for (_, what), ratio in ratios_of(own).items():
        if ratio > WORST:
            yield f"{what} {ratio:.2f} x"
