"""Is one group over-represented among the suspects? By config_type, element, formula, head, size, file and place in it.

A rare chemistry that a model has not learnt yet looks like wrong labels: such a group is flagged, so that nobody drops
it unseen. Only finite losses count for that: a label that is not finite is wrong, whatever the group.
"""

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas
from scipy.stats import binom

from .summary import Summary
from .text import of_many

COUNTS = ["members", "suspects", "nonfinite", "weight"]
SMALLEST = 5  # members of a group that is tested
SIGNIFICANCE = 0.001  # after Bonferroni's correction for the number of groups
EXCESS = 2.0  # times the overall share
EDGES = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)  # of the sizes, atoms
MOST_SIZES = 10  # up to so many different sizes are listed each for itself
BLOCK = 10  # consecutive frames of a file: a part of a trajectory, or of a batch of calculations


class Group(NamedTuple):
    """Configurations that have something in common; only those that were judged."""

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
    columns = table[["config_type", "formula", "head", "source", "frame", "n_atoms", "weight"]]
    counted = columns.assign(members=1, suspects=summary.suspect, nonfinite=summary.nonfinite)
    judged = counted[summary.judged]
    finite = judged[~judged["nonfinite"]]
    share = float(finite["suspects"].mean()) if len(finite) else 0.0
    formulas = _count(judged, "formula")
    symbols = [sorted(set(re.findall("[A-Z][a-z]?", name))) for name in formulas.index]
    counts = {  # of groups that are the same configurations, the first one gives the name
        "config_type": _count(judged, "config_type"),
        "element": _count(formulas.assign(element=symbols).explode("element"), "element"),
        "formula": formulas,
        "head": _count(judged, "head"),
        "size": _count(judged.assign(size=_sizes(judged["n_atoms"])), "size"),
        "file": _within(_count(judged, "source"), summary.folder),
        "frames": _count(judged.assign(block=judged["frame"].clip(lower=0) // BLOCK), ["source", "block"]),
    }
    _test(counts, share)
    counts["frames"] = _parts_of_files(counts["frames"][counts["frames"]["flagged"]], summary.folder)
    flagged = [group for kind, groups in counts.items() for group in _groups(kind, groups[groups["flagged"]])]
    breakdowns = {kind: _breakdown(kind, groups, limit) for kind, groups in counts.items()}
    return Groups(breakdowns, _without_repeats(flagged, share), share)


# --- counting --------------------------------------------------------------------------------------------------------


def _count(rows: pandas.DataFrame, by: str | list[str]) -> pandas.DataFrame:
    return rows.groupby(by, observed=True)[COUNTS].sum()


def _sizes(atoms: pandas.Series) -> pandas.Categorical:
    """Each number of atoms for itself where there are few, or intervals."""
    sizes = np.unique(atoms)
    if len(sizes) <= MOST_SIZES:
        return pandas.Categorical(atoms, sizes).rename_categories([of_many(int(size), "atom") for size in sizes])
    names = [f"{a} atom{'s' * (a != 1)}" if b == a + 1 else f"{a:,} to {b - 1:,} atoms" for a, b in pairwise(EDGES)]
    names.append(f"{EDGES[-1]:,} or more")
    return pandas.cut(atoms, [*EDGES, np.inf], right=False, labels=names).array


def _within(files: pandas.DataFrame, folder: str) -> pandas.DataFrame:
    """Files by their names within `folder`."""
    return files.set_axis(pandas.Index([str(file).removeprefix(folder) for file in files.index], dtype=object))


def _parts_of_files(blocks: pandas.DataFrame, folder: str) -> pandas.DataFrame:
    """Flagged blocks that follow one another in a file, as one, named by their frames and the file within `folder`."""
    blocks = blocks.reset_index().astype({"source": str})
    follows = (blocks["source"] == blocks["source"].shift()) & (blocks["block"].diff() == 1)
    parts = blocks.groupby((~follows).cumsum())
    counts = parts[COUNTS].sum().assign(p_value=parts["p_value"].min(), flagged=True)
    ends = zip(parts["source"].first(), BLOCK * parts["block"].min(), BLOCK * parts["block"].max() + 9, strict=True)
    names = [f"{file.removeprefix(folder)}, frames {first:,} to {last:,}" for file, first, last in ends]
    return _with_shares(counts.set_axis(pandas.Index(names, dtype=object)))


def _with_shares(counts: pandas.DataFrame) -> pandas.DataFrame:
    members = counts["members"]
    return counts.assign(share=counts["suspects"] / members, mean_weight=counts["weight"] / members)


# --- testing and listing ---------------------------------------------------------------------------------------------


def _test(counts: dict[str, pandas.DataFrame], share: float) -> None:
    """Add the p-values, corrected for the number of groups, and flag."""
    tested = {kind: (groups["members"] >= SMALLEST) & (len(groups) > 1) for kind, groups in counts.items()}
    tests = {kind: int(which.sum()) for kind, which in tested.items()}
    for kind, groups in counts.items():
        # there are so many blocks of frames that they would hide all else
        number = tests[kind] if kind == "frames" else sum(tests.values()) - tests["frames"]
        members, suspects = (groups[name] - groups["nonfinite"] for name in ("members", "suspects"))
        p_value = number * binom.sf(suspects - 1, members, share)  # as scipy.stats.binomtest(alternative="greater")
        counts[kind] = _with_shares(groups).assign(
            p_value=np.where(tested[kind], p_value, np.nan),
            surprise=-binom.logsf(groups["suspects"] - 1, groups["members"], share),  # for the order: with all labels
            flagged=tested[kind] & (p_value < SIGNIFICANCE) & (suspects >= EXCESS * share * members),
        )


def _breakdown(kind: str, counts: pandas.DataFrame, limit: int) -> Breakdown:
    if kind == "formula":
        counts = counts[(counts["members"] >= SMALLEST) & (counts.index != "")]
    if kind not in ("size", "frames"):
        counts = counts.sort_values(["flagged", "surprise", "share"], ascending=False, kind="stable")
    return Breakdown(kind, _groups(kind, counts.iloc[:limit]), max(0, len(counts) - limit))


def _groups(kind: str, counts: pandas.DataFrame) -> list[Group]:
    rows = counts[list(Group._fields[2:])].to_dict("records")
    return [Group(kind, str(name), **row) for name, row in zip(counts.index, rows, strict=True)]


def _without_repeats(flagged: list[Group], share: float) -> list[Flag]:
    """One entry for groups that are the same configurations (all of config_type "slab" have the formula Pt36)."""
    same: dict[tuple[int, int, int, float], list[Group]] = {}
    for group in flagged:
        key = (group.members, group.suspects, group.nonfinite, round(group.mean_weight, 9))
        same.setdefault(key, []).append(group)
    flags = [Flag(groups[0], groups[1:]) for groups in same.values()]
    return sorted(flags, key=lambda flag: -_surplus(flag.group, share))


def _surplus(group: Group, share: float) -> float:
    return group.suspects - group.nonfinite - share * (group.members - group.nonfinite)
