"""The numbers of a report: who is suspected, in which order, and how sure that is. No words, no drawing.

Suspect: a configuration with a weight below the cut. Arrays of shape (N,) are in the order of the table.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray

from ..data.labels import RESIDUALS
from ..results.files import TEXT, VALID, worst_first
from ..results.reading import Results
from ..results.whole_groups import KINDS, WholeGroup, whole_groups
from ..states import MODEL, SET_ASIDE, STATES, UNUSED, were_seen
from .heads import Head, find_heads
from .residuals import known_residuals
from .text import common_folder

# how sure it is that a suspect is wrong
CERTAIN = "not finite"  # a label, the geometry, or the loss: the table's state says which
PERSISTENT = "persistent"  # mean weight over epochs below the cut: it was a suspect in most of them
RECENT = "recent"  # a suspect at the last visit, but not on average
ONCE = "seen once"  # a single visit, so that nothing is known about persistence
JUDGED = "suspect"  # of an audit or a validation set: only the last judgement is known
VERDICTS = (CERTAIN, PERSISTENT, RECENT, ONCE, JUDGED)
MOST_LISTED = 1_000  # suspects in the list of a page
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
    judged: NDArray[np.bool_]  # (N,) visited, and with something to judge by
    unseen: int  # configurations that were never visited, so that nothing is known of them
    unused: int  # with nothing to judge by
    suspect: NDArray[np.bool_]  # (N,)
    nonfinite: NDArray[np.bool_]  # (N,) set aside, see `states`
    states: dict[str, int]  # configurations by state
    verdict: NDArray[np.int8]  # (N,) index in VERDICTS; -1: no suspect
    order: NDArray[np.int64]  # rows of the suspects, the worst first
    verdicts: dict[str, int]  # suspects by verdict
    soft_share: float  # of the finite suspects: mean weight within SOFT; NaN: none, or weights are probabilities
    heads: list[Head]
    residuals: list[str]  # labels that configurations have a residual of
    whole: list[WholeGroup]  # of the training set
    since: bool  # whether it was noted since which epoch suspects are some
    new: int  # suspects of the training set that weren't before the last epoch
    examined: bool  # whether causes of suspects are known
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
    def not_judged(self) -> int:
        """Configurations that were visited last when the model was not finite: what is said of them is from before."""
        return self.states[MODEL]


def with_categories(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return the table with its text as categories, so that two million rows are counted in no time."""
    filled = {name: table[name].astype(object).fillna("") if table[name].isna().any() else table[name] for name in TEXT}
    return table.assign(
        **{name: column.astype("category").cat.remove_unused_categories() for name, column in filled.items()}
    )


def summarise(results: Results, below: float) -> Summary:
    """Find the suspects: weight below `below`, in (0, 1]. Text columns have to be categories."""
    table, audit = results.table, results.about.get("kind") == "audit"
    weight, mean_weight, zscore = (table[name].to_numpy() for name in ("weight", "mean_weight", "zscore"))
    visited, unused = were_seen(table), (table["state"] == UNUSED).to_numpy()
    suspect, validation = weight < below, (table["split"] == VALID).to_numpy()
    state = table["state"].to_numpy().astype(str)
    nonfinite = visited & np.isin(state, SET_ASIDE)
    once, persistent = table["times_seen"].to_numpy() <= 1, mean_weight < below
    verdict = np.select([~suspect, nonfinite, validation | audit, once, persistent], [-1, 0, 4, 3, 1], default=2)
    rows = np.flatnonzero(suspect)
    heads = find_heads(results, visited & ~unused, suspect, nonfinite)
    by_threshold = table["head"].isin([head.name for head in heads if head.expected is None]).to_numpy()
    means = mean_weight[suspect & ~nonfinite & ~validation & by_threshold]
    return Summary(
        below=below,
        validation=validation,
        judged=visited & ~unused,
        unseen=int((~visited).sum()),
        unused=int(unused.sum()),
        suspect=suspect,
        nonfinite=nonfinite,
        states={name: int((visited & (state == name)).sum()) for name in STATES},
        verdict=verdict.astype(np.int8),
        order=rows[worst_first(weight[rows], zscore[rows], nonfinite[rows])],
        verdicts={name: int((verdict == i).sum()) for i, name in enumerate(VERDICTS)},
        soft_share=float(((means >= SOFT[0]) & (means <= SOFT[1])).mean()) if means.size else math.nan,
        heads=heads,
        residuals=known_residuals(table),
        whole=whole_groups({name: table[name] for name in (*KINDS, "weight")}, visited & ~unused & ~validation),
        since="suspect_since" in table,
        new=_new(table, suspect & ~validation),
        examined="cause" in table,
        audit=audit,
        folder=common_folder(table["source"].cat.categories),
    )


def _new(table: pandas.DataFrame, suspect: NDArray[np.bool_]) -> int:
    """How many suspects (N,) are some since the last epoch only; 0 where there was one epoch, or nothing was noted."""
    if "suspect_since" not in table or not (last := table["last_epoch"].max()) > 0:
        return 0
    return int((suspect & (table["suspect_since"] == last)).sum())


def worst(table: pandas.DataFrame, summary: Summary, top: int) -> list[Any]:
    """Return the `top` worst suspects: named tuples of their columns in the table and of the ones below.

    rank (from 1), row (of the table), verdict, validation (whether it is of the validation set), file (within the
    folder of all), ratios: by label, size of the residual in medians of the head. Strings are untrusted.
    """
    rows = summary.order[:top]
    errors = table[[RESIDUALS[label].column for label in summary.residuals]].abs()
    medians = errors.groupby(table["head"], observed=True).median().replace(0, math.nan)  # one can't divide by 0
    suspects = table.iloc[rows]
    ratios = errors.iloc[rows].to_numpy() / medians.loc[suspects["head"]].to_numpy()
    suspects = suspects.assign(
        rank=range(1, len(rows) + 1),
        row=rows,
        verdict=[
            state if code == 0 else VERDICTS[code]
            for code, state in zip(summary.verdict[rows], suspects["state"], strict=True)
        ],
        validation=summary.validation[rows],
        file=[str(source).removeprefix(summary.folder) for source in suspects["source"]],
        ratios=[dict(zip(summary.residuals, of_row, strict=True)) for of_row in ratios.tolist()],
    )
    return list(suspects.itertuples(index=False, name="Suspect"))
