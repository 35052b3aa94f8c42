"""Is one group over-represented among the suspects? By config_type, element, formula, head, size and place in a file.

A rare chemistry that a model has not learnt yet looks like wrong labels: such a group is flagged, so that nobody drops
it unseen. Only finite losses count for that: a label that is not finite is wrong, whatever the group.
"""

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray
from scipy.stats import binom

from .blocks import codes_of_blocks, runs_of_blocks
from .summary import Summary
from .text import of_many

KINDS = ("config_type", "element", "formula", "head", "size", "frames")
SMALLEST = 5  # members of a group that is tested
SIGNIFICANCE = 0.001  # after Bonferroni's correction for the number of groups
EXCESS = 2.0  # times the overall share
EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)  # of the sizes, atoms
MOST_SIZES = 10  # up to so many different sizes are listed each for itself

Counts = NDArray[np.floating]  # (4, groups): members, suspects, not finite, sum of weights


class Group(NamedTuple):
    """Configurations that have something in common; only those that were visited."""

    kind: str
    name: str  # as untrusted as in the table
    members: int
    suspects: int
    nonfinite: int  # of the suspects
    share: float  # of suspects
    mean_weight: float
    p_value: float  # of so many suspects or more, were they spread evenly; times the number of tests; NaN: not tested
    flagged: bool


class Breakdown(NamedTuple):
    """The groups of one kind, the worst first (sizes: in order)."""

    kind: str
    groups: list[Group]
    left_out: int  # groups beyond the limit


class Flag(NamedTuple):
    """A flagged group, and those that are the same configurations under another name."""

    group: Group
    also: list[Group]


class Groups(NamedTuple):
    """All breakdowns, the flagged groups (most surplus suspects first), and the share that they are compared with."""

    breakdowns: dict[str, Breakdown]
    warnings: list[Flag]
    share: float  # of suspects among all finite losses


def find_groups(table: pandas.DataFrame, summary: Summary, limit: int = 15) -> Groups:
    """Count suspects by group, flag the groups that stand out, keep the worst `limit` of each kind."""
    formulas = _by_category(table["formula"], table, summary)
    tallies = {
        "config_type": _by_category(table["config_type"], table, summary),
        "element": _by_element(formulas),
        "formula": formulas,
        "head": _by_category(table["head"], table, summary),
        "size": _by_size(table, summary),
        "frames": _by_frames(table, summary),
    }
    finite = int((summary.visited & ~summary.nonfinite).sum())
    share = int((summary.suspect & ~summary.nonfinite).sum()) / max(finite, 1)
    _test(tallies, share)
    blocks = tallies["frames"][tallies["frames"]["flagged"]]
    tallies["frames"] = runs_of_blocks(blocks, list(table["source"].cat.categories), summary.folder)
    flagged = [group for kind in KINDS for group in _listed(kind, tallies[kind][tallies[kind]["flagged"]])]
    return Groups({kind: _breakdown(kind, tallies[kind], limit) for kind in KINDS}, _merged(flagged, share), share)


# --- counting --------------------------------------------------------------------------------------------------------


def _count(codes: NDArray[np.integer], size: int, table: pandas.DataFrame, summary: Summary) -> Counts:
    codes = codes[summary.visited]
    columns = (None, summary.suspect, summary.nonfinite, table["weight"].to_numpy())
    weights = [None if column is None else column[summary.visited] for column in columns]
    return np.stack([np.bincount(codes, weights=weight, minlength=size) for weight in weights]).astype(float)


def _tally(names: list[str], counts: Counts) -> pandas.DataFrame:
    columns = ("members", "suspects", "nonfinite", "weight")
    tally = pandas.DataFrame(dict(zip(columns, counts, strict=True)), index=pandas.Index(names, dtype=object))
    return tally[tally["members"] > 0]


def _by_category(column: pandas.Series, table: pandas.DataFrame, summary: Summary) -> pandas.DataFrame:
    names = list(column.cat.categories)
    return _tally(names, _count(column.cat.codes.to_numpy(), len(names), table, summary))


def _by_element(formulas: pandas.DataFrame) -> pandas.DataFrame:
    """Configurations that contain an element, out of those of each formula."""
    symbols = [sorted(set(re.findall("[A-Z][a-z]?", name))) for name in formulas.index]
    names = sorted({symbol for found in symbols for symbol in found})
    place = {name: i for i, name in enumerate(names)}
    elements = np.array([place[symbol] for found in symbols for symbol in found], dtype=np.int64)
    rows = np.repeat(np.arange(len(symbols)), [len(found) for found in symbols])
    columns = formulas.to_numpy()[rows].T
    counts = [np.bincount(elements, weights=column, minlength=len(names)) for column in columns]
    return _tally(names, np.array(counts).reshape(4, len(names)).astype(float))


def _by_size(table: pandas.DataFrame, summary: Summary) -> pandas.DataFrame:
    atoms = table["n_atoms"].to_numpy()
    sizes = np.unique(atoms[summary.visited])
    if len(sizes) <= MOST_SIZES:
        names = [of_many(int(size), "atom") for size in sizes]
        codes = np.searchsorted(sizes, atoms).clip(max=len(sizes) - 1)
    else:
        names = ["0 atoms", *(_interval(*pair) for pair in pairwise(EDGES)), f"{EDGES[-1]:,} or more"]
        codes = np.searchsorted(EDGES, atoms, side="right")
    return _tally(names, _count(codes, len(names), table, summary))


def _by_frames(table: pandas.DataFrame, summary: Summary) -> pandas.DataFrame:
    codes, blocks = codes_of_blocks(table)
    return _tally(list(blocks.index), _count(codes, len(blocks), table, summary)).join(blocks)


def _interval(first: int, end: int) -> str:
    return f"{first:,} atom" if end == first + 1 else f"{first:,} to {end - 1:,} atoms"


# --- testing and listing ---------------------------------------------------------------------------------------------


def _test(tallies: dict[str, pandas.DataFrame], share: float) -> None:
    """Add the p-values, corrected for the number of groups, and flag."""
    tested = {kind: (tally["members"] >= SMALLEST) & (len(tally) > 1) for kind, tally in tallies.items()}
    counts = {kind: int(which.sum()) for kind, which in tested.items()}
    for kind, tally in tallies.items():
        # there are so many blocks of frames that they would hide all else
        tests = counts[kind] if kind == "frames" else sum(counts.values()) - counts["frames"]
        members = tally["members"] - tally["nonfinite"]
        suspects = tally["suspects"] - tally["nonfinite"]
        p_values = tests * binom.sf(suspects - 1, members, share)  # as scipy.stats.binomtest(alternative="greater")
        tally["p_value"] = np.where(tested[kind], p_values, np.nan)
        tally["surprise"] = -binom.logsf(
            tally["suspects"] - 1, tally["members"], share
        )  # for the order: NaN labels count
        tally["flagged"] = (tally["p_value"] < SIGNIFICANCE) & (suspects >= EXCESS * share * members)
        tally["share"] = tally["suspects"] / tally["members"]
        tally["mean_weight"] = tally["weight"] / tally["members"]


def _breakdown(kind: str, tally: pandas.DataFrame, limit: int) -> Breakdown:
    if kind == "formula":
        tally = tally[(tally["members"] >= SMALLEST) & (tally.index != "")]
    if kind not in ("size", "frames"):
        by = ["flagged", "surprise", "share"]
        tally = tally.sort_values(by, ascending=False, kind="stable")
    return Breakdown(kind, _listed(kind, tally.iloc[:limit]), max(0, len(tally) - limit))


def _listed(kind: str, tally: pandas.DataFrame) -> list[Group]:
    columns = ["members", "suspects", "nonfinite", "share", "mean_weight", "p_value", "flagged"]
    return [
        Group(kind, str(name), int(row[0]), int(row[1]), int(row[2]), *row[3:])
        for name, row in zip(tally.index, tally[columns].itertuples(index=False), strict=True)
    ]


def _merged(flagged: list[Group], share: float) -> list[Flag]:
    """One entry for groups that are the same configurations (all of config_type "slab" have the formula Pt36)."""
    same: dict[tuple[int, int, int, float], list[Group]] = {}
    for group in flagged:
        key = (group.members, group.suspects, group.nonfinite, round(group.mean_weight, 9))
        same.setdefault(key, []).append(group)
    merged = [Flag(groups[0], groups[1:]) for groups in same.values()]
    return sorted(merged, key=lambda warning: -_surplus(warning.group, share))


def _surplus(group: Group, share: float) -> float:
    return group.suspects - group.nonfinite - share * (group.members - group.nonfinite)
