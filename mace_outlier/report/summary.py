"""The numbers of a report: who is suspected, in which order, and how sure that is. No words, no drawing.

Suspect: a configuration with a weight below the cut. Arrays of shape (N,) are in the order of the table.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray

from ..results.files import TEXT, VALID, worst_first
from ..results.reading import Results
from .heads import Head, find_heads
from .text import common_folder

# how sure it is that a suspect is wrong
CERTAIN = "not finite"  # a label or the loss is NaN or infinite
PERSISTENT = "persistent"  # mean weight over epochs below the cut: it was a suspect in most of them
RECENT = "recent"  # a suspect at the last visit, but not on average
ONCE = "seen once"  # a single visit, so that nothing is known about persistence
JUDGED = "suspect"  # of an audit or a validation set: only the last judgement is known
VERDICTS = (CERTAIN, PERSISTENT, RECENT, ONCE, JUDGED)
SOFT = (0.3, 0.7)  # mean weights of suspects in this range: the separation is soft


class Count(NamedTuple):
    """How many of a training or validation set are suspects."""

    split: str  # "training" or "validation"; "": there is no validation set
    suspects: int
    rows: int


class Summary(NamedTuple):
    """Who is suspected."""

    below: float  # the cut
    validation: NDArray[np.bool_]  # (N,) True: of the validation set
    visited: NDArray[np.bool_]  # (N,)
    suspect: NDArray[np.bool_]  # (N,)
    nonfinite: NDArray[np.bool_]  # (N,)
    order: NDArray[np.int64]  # rows of the suspects, the worst first
    verdicts: dict[str, int]  # suspects by verdict
    soft_share: float  # of the finite suspects: mean weight within SOFT; NaN: none, or weights are probabilities
    heads: list[Head]
    audit: bool  # of a trained model: one visit, no training
    folder: str  # that all files lie in, with its "/"; "": their paths are relative, or have none in common

    @property
    def rows(self) -> int:
        """All configurations."""
        return len(self.suspect)

    @property
    def suspects(self) -> int:
        """Configurations with a weight below the cut."""
        return len(self.order)

    @property
    def counts(self) -> list[Count]:
        """Suspects of the training and of the validation set; of all, where there is no validation set."""
        if not self.validation.any():
            return [Count("", self.suspects, self.rows)]
        parts = (("training", ~self.validation), ("validation", self.validation))
        return [Count(name, int((self.suspect & part).sum()), int(part.sum())) for name, part in parts if part.any()]

    @property
    def trained(self) -> str:
        """What goes before the configurations that a fit is made to: "training ", where there are others."""
        return "training " if self.validation.any() else ""

    @property
    def unseen(self) -> int:
        """Configurations that were never visited, so that nothing is known of them."""
        return int((~self.visited).sum())


class Suspect(NamedTuple):
    """One suspect, as it is shown; strings are as untrusted as in the table."""

    rank: int
    row: int
    verdict: str
    values: dict[str, Any]  # of the table, by column
    file: str  # its source, within the folder of all
    energy_ratio: float  # |energy error| in medians of its head
    force_ratio: float  # force RMSE in medians of its head

    @property
    def validation(self) -> bool:
        """Whether it is of the validation set."""
        return bool(self.values["split"] == VALID)


def with_categories(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return the table with its text as categories, so that two million rows are counted in no time."""
    return table.assign(**{name: _category(table[name]) for name in TEXT})


def _category(column: pandas.Series) -> pandas.Series:
    column = column.astype("category")
    if column.isna().any():
        column = column.cat.add_categories([] if "" in column.cat.categories else [""]).fillna("")
    return column.cat.remove_unused_categories()


def summarise(results: Results, below: float) -> Summary:
    """Find the suspects: weight below `below`, in (0, 1]. Text columns have to be categories."""
    table = results.table
    weight, loss = table["weight"].to_numpy(), table["loss"].to_numpy()
    visited = ((table["times_seen"] > 0) | (table["last_epoch"] >= 0) | (table["weight"] < 1)).to_numpy()
    suspect, validation = weight < below, (table["split"] == VALID).to_numpy()
    nonfinite = visited & ~np.isfinite(loss)
    audit = results.about.get("kind") == "audit"
    codes = verdict_codes(table, suspect, nonfinite, validation | audit, below)
    heads = find_heads(results, below, visited, suspect, nonfinite)
    no_probability = table["head"].isin([head.name for head in heads if head.odds is None]).to_numpy()
    finite_means = table["mean_weight"].to_numpy()[suspect & ~nonfinite & ~validation & no_probability]
    soft = (finite_means >= SOFT[0]) & (finite_means <= SOFT[1])
    return Summary(
        below,
        validation,
        visited,
        suspect,
        nonfinite,
        ranking(suspect, nonfinite, weight, table["zscore"].to_numpy()),
        {name: int((codes == i).sum()) for i, name in enumerate(VERDICTS)},
        float(soft.mean()) if soft.size else math.nan,
        heads,
        audit,
        common_folder(table["source"].cat.categories),
    )


def ranking(
    suspect: NDArray[np.bool_],
    nonfinite: NDArray[np.bool_],
    weight: NDArray[np.floating],
    zscore: NDArray[np.floating],
) -> NDArray[np.int64]:
    """Return the rows of the suspects, the worst first."""
    rows = np.flatnonzero(suspect)
    return rows[worst_first(weight[rows], zscore[rows], nonfinite[rows])]


def verdict_codes(
    table: pandas.DataFrame,
    suspect: NDArray[np.bool_],
    nonfinite: NDArray[np.bool_],
    judged: NDArray[np.bool_],
    below: float,
) -> NDArray[np.int8]:
    """Return for each configuration the index of its verdict in VERDICTS, -1 where it is no suspect.

    `judged` (N,): only the last judgement is known, see JUDGED.
    """
    once = table["times_seen"].to_numpy() <= 1
    persistent = table["mean_weight"].to_numpy() < below
    codes = np.select([~suspect, nonfinite, judged, once, persistent], [-1, 0, 4, 3, 1], default=2)
    return codes.astype(np.int8)


def worst(table: pandas.DataFrame, summary: Summary, top: int) -> list[Suspect]:
    """Return the `top` worst suspects."""
    rows = summary.order[:top]
    part = table.iloc[rows]
    judged = summary.validation[rows] | summary.audit
    codes = verdict_codes(part, summary.suspect[rows], summary.nonfinite[rows], judged, summary.below)
    medians = {name: _medians(table, name) for name in ("energy_error_per_atom", "force_rmse")}
    found = []
    for rank, (row, code, values) in enumerate(zip(rows, codes, part.to_dict("records"), strict=True), 1):
        ratios = [abs(values[name]) / medians[name][values["head"]] for name in medians]
        own, file = {str(k): v for k, v in values.items()}, str(values["source"]).removeprefix(summary.folder)
        found.append(Suspect(rank, int(row), VERDICTS[code], own, file, *ratios))
    return found


def _medians(table: pandas.DataFrame, column: str) -> dict[str, float]:
    """Median absolute value by head; NaN instead of 0, by which one can't divide."""
    medians = table[column].abs().groupby(table["head"], observed=True).median()
    return {str(name): value if value > 0 else math.nan for name, value in medians.items()}
