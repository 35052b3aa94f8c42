"""What is wrong with the suspects of a run, as columns of its table."""

from collections import Counter

import numpy as np

from ..causes.cause import NOT_PREDICTED, UNKNOWN, Cause
from ..causes.explained import Measured, explained
from ..causes.frames import frame_of
from ..causes.repair import repairs_of
from ..causes.tell import tell_causes
from ..weights.features import Features
from .sample import Chosen, Evaluated
from .tables import Columns, text_column


def causes_of(evaluated: Evaluated, chosen: Chosen, heads: np.ndarray) -> list[Cause]:
    """Return the cause for each of the suspects that were evaluated, head by head; `heads` (N,) of all rows."""
    frames, suspects = [frame_of(atoms) for atoms in evaluated.frames], len(chosen.suspects)
    force, conditions, features = (part.numpy() for part in Features.split(evaluated.measured))
    causes, of_frames = [Cause(NOT_PREDICTED, 1.0)] * suspects, heads[chosen.rows]
    predicted = np.isfinite(features).all(axis=1)
    for head in np.unique(of_frames[:suspects]):
        rows = np.flatnonzero((of_frames == head) & predicted)
        if not len(rows):
            continue
        trusted = rows >= suspects
        measured = Measured(force[rows], conditions[rows], features[rows])
        own = explained([frames[row] for row in rows], measured, trusted)
        wrong = int((~trusted).sum())  # suspects come first
        for row, cause in zip(rows, tell_causes(own[:wrong], own[wrong:]), strict=False):
            causes[row] = cause
    return causes


def cause_columns(causes: list[Cause], rows: np.ndarray, size: int) -> Columns:
    """Return the columns `cause`, `cause_certainty` and `cause_value` of so many rows; `rows`: of the causes."""
    texts = ["", *dict.fromkeys(cause.words for cause in causes)]
    code, certainty, value = np.zeros(size, dtype=np.int16), np.full(size, np.nan), np.full(size, np.nan)
    code[rows] = [texts.index(cause.words) for cause in causes]
    certainty[rows] = [cause.certainty for cause in causes]
    value[rows] = [cause.value for cause in causes]
    return {"cause": text_column(code, texts), "cause_certainty": certainty, "cause_value": value}


def in_words(causes: list[Cause]) -> str:
    """Count the causes, the most frequent one first, and unknown ones last."""
    counted = sorted(Counter(cause.words for cause in causes).items(), key=lambda own: (own[0] == UNKNOWN, -own[1]))
    return ", ".join(f"{number} x {words}" for words, number in counted)


def in_another_order(causes: list[Cause]) -> list[int]:
    """Return which suspects can be repaired by their predicted forces only."""
    return [i for i, cause in enumerate(causes) if any(repair.order for repair in repairs_of(cause.words))]
