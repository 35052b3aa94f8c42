"""How well the weights agree with labels that are known to be wrong, where the data say which these are."""

import math
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from ..data.sources import read_frames
from ..results.reading import Results
from .summary import Summary
from .text import clean

WORDS = dict.fromkeys(("true", "t", "yes", "1", "1.0"), 1) | dict.fromkeys(("false", "f", "no", "0", "0.0"), 0)


class Agreement(NamedTuple):
    """How well weights and z-scores agree with what is known; of configurations that were judged."""

    judged: int
    wrong: int
    suspects: int
    hits: int  # suspects that are wrong
    auroc_weight: float  # of 1 - weight: how often a wrong label has the lower weight; NaN: none or all are wrong
    auroc_zscore: float


class Truth(NamedTuple):
    """Which labels are known to be wrong, and how well the weights agree with that."""

    key: str
    labels: NDArray[np.bool_]  # (N,) True: wrong
    without: int  # frames that don't have the key: taken as right
    all: Agreement
    by_split: dict[str, Agreement]  # "training", "validation"; {}: there is no validation set


def find_truth(results: Results, summary: Summary, key: str) -> Truth:
    """Compare the suspects with the info entry `key` of the original frames.

    Raises:
        ValueError: a source can't be read or is shorter than the table says, or no frame has the key.
    """
    labels = read_labels(results, key)
    if not (labels >= 0).any():
        raise ValueError(f"--truth {key}: no frame has an info entry of this name")
    wrong, validation = labels == 1, summary.validation
    parts = {"training": ~validation, "validation": validation} if validation.any() and not validation.all() else {}
    by_split = {name: _agreement(results, summary, wrong, part) for name, part in parts.items()}
    without = int((labels < 0).sum())
    return Truth(key, wrong, without, _agreement(results, summary, wrong, np.ones_like(wrong)), by_split)


def _agreement(results: Results, summary: Summary, wrong: NDArray[np.bool_], part: NDArray[np.bool_]) -> Agreement:
    """Compare the suspects in `part` (N,) with the labels that are `wrong` (N,)."""
    table, seen = results.table, summary.judged & part
    zscore = np.where(summary.nonfinite, np.inf, table["zscore"].to_numpy().astype(float))
    return Agreement(
        int(seen.sum()),
        int((wrong & seen).sum()),
        int((summary.suspect & part).sum()),
        int((wrong & summary.suspect & part).sum()),
        auroc(-table["weight"].to_numpy()[seen].astype(float), wrong[seen]),
        auroc(np.nan_to_num(zscore, nan=-np.inf, posinf=np.inf, neginf=-np.inf)[seen], wrong[seen]),
    )


def auroc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Return the probability that a positive has the higher score than a negative (ties count half); NaN: no pair."""
    if positive.all() or not positive.any():
        return math.nan
    pairs = mannwhitneyu(scores[positive], scores[~positive], method="asymptotic").statistic
    return float(pairs / (positive.sum() * (~positive).sum()))


def read_labels(results: Results, key: str) -> NDArray[np.int8]:
    """Return 1 (wrong), 0 (right) or -1 (no such entry) by row, out of the original files; raises ValueError."""
    directory = results.about.get("directory") or results.prefix.parent
    labels = np.full(len(results.table), -1, dtype=np.int8)
    frames = results.table["frame"].to_numpy()
    for source, rows in results.table.groupby("source", observed=True).indices.items():
        last = int(frames[rows].max())
        entries = [frame.info.get(key) for frame in islice(read_frames(str(source), directory), last + 1)]
        if len(entries) <= last:
            raise ValueError(f"--truth {key}: {source!r} has {len(entries)} frames now, the training used frame {last}")
        labels[rows] = np.array([_label(entry, key, source) for entry in entries], dtype=np.int8)[frames[rows]]
    return labels


def _label(entry: Any, key: str, source: str) -> int:
    word = str(np.squeeze(entry)).strip().lower()  # a one-element array is what it holds
    if entry is None or word in WORDS:
        return -1 if entry is None else WORDS[word]
    raise ValueError(f"--truth {key}: {clean(entry, 40)} in {source!r} is neither true nor false")
