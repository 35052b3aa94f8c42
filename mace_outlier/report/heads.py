"""The numbers of each head: who is suspected, and how many of them are expected to be right. No words, no drawing."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import expon, norm

from ..results.files import VALID
from ..results.reading import Results
from .losses import MIXTURE, Losses, beyond, read_losses

AMBIGUOUS = (0.1, 0.9)  # probabilities between these leave open whether a label is right


class Odds(NamedTuple):
    """What weights that are probabilities say; of configurations that were visited and have a finite loss."""

    suspects: int
    others: int
    false_alarms: float  # suspects that are expected to be right
    missed: float  # others that are expected to be wrong
    ambiguous: int


class Head(NamedTuple):
    """One head (MACE's: a level of theory with its own loss distribution)."""

    name: str
    members: int
    suspects: int
    nonfinite: int
    mean_weight: float
    losses: Losses
    judged: int  # not of the validation set, visited, with a finite loss; mixture: and a label
    finite: int  # of these: suspects
    expected: float  # suspects among right labels, were the losses normally distributed; NaN: not recorded, or odds
    expected_skewed: float  # the same for an exponential distribution
    odds: Odds | None  # with the validation set; None: weights are no probabilities


def find_heads(results: Results, below: float, visited: Any, suspect: Any, nonfinite: Any) -> list[Head]:
    """Return the heads of the table in the order of the run; `below`: the cut; (N,) arrays as in Summary."""
    recorded = {str(entry.get("head")): entry for entry in results.about.get("distribution") or []}
    options = results.about.get("options") or {}
    names, codes = results.table["head"].cat.categories, results.table["head"].cat.codes.to_numpy()
    weight, loss = (results.table[name].to_numpy() for name in ("weight", "loss"))
    training = (results.table["split"] != VALID).to_numpy()
    known = [str(name) for name in results.about.get("heads") or []]
    heads = []
    for name in sorted(names, key=lambda name: known.index(name) if name in known else len(known)):
        here = codes == names.get_loc(name)
        losses = read_losses(recorded.get(str(name), {}), options)
        seen, finite = here & visited, here & visited & ~nonfinite
        if losses.kind == MIXTURE:
            finite &= loss > 0  # without a label there is nothing to judge
        learnt = finite & training
        judged = int(learnt.sum())
        heads.append(
            Head(
                str(name),
                int(here.sum()),
                int((here & suspect).sum()),
                int((here & nonfinite).sum()),
                float(weight[seen].mean()) if seen.any() else math.nan,
                losses,
                judged,
                int((learnt & suspect).sum()),
                *_expected(judged, losses, below),
                _odds(weight[finite], suspect[finite]) if losses.probable else None,
            )
        )
    return heads


def _expected(judged: int, losses: Losses, below: float) -> tuple[float, float]:
    """Suspects among `judged` right labels: N P(Z > z) with z where the weight falls below the cut."""
    z = beyond(losses.threshold, below)
    return judged * float(norm.sf(z)), judged * float(expon.sf(1 + z))  # an exponential has mu = sigma


def _odds(weight: NDArray[np.floating], suspect: NDArray[np.bool_]) -> Odds:
    suspects, others = weight[suspect].astype(float), weight[~suspect].astype(float)
    ambiguous = int(((weight > AMBIGUOUS[0]) & (weight < AMBIGUOUS[1])).sum())
    return Odds(len(suspects), len(others), float(suspects.sum()), float((1 - others).sum()), ambiguous)


def total_odds(heads: Iterable[Head]) -> Odds | None:
    """Return the odds of all heads that have some; None: none has."""
    found = [head.odds for head in heads if head.odds]
    return Odds(*(sum(values) for values in zip(*found, strict=True))) if found else None


def judged_by_threshold(heads: Iterable[Head]) -> list[Head]:
    """Return the heads whose weights come from a threshold, so that they are no probabilities."""
    return [head for head in heads if head.odds is None and head.judged]


def by_chance(heads: Iterable[Head]) -> tuple[float, float]:
    """Return how many suspects right labels would give, with normal and with exponential losses; NaN: not recorded."""
    found = list(heads)
    return sum(head.expected for head in found), sum(head.expected_skewed for head in found)
