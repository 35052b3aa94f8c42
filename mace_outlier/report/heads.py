"""The numbers of each head: who is suspected, and how many of them are expected to be right. No words, no drawing."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import expon, norm

from ..results.files import VALID
from ..results.reading import Results
from .losses import MIXTURE, Losses, read_losses

AMBIGUOUS = (0.1, 0.9)  # probabilities between these leave open whether a label is right


class Expected(NamedTuple):
    """What is expected by weights that are probabilities; of visited configurations with a finite loss."""

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
    judged_suspects: int
    by_chance: float  # suspects if all labels were right, with normally distributed losses; NaN: no threshold recorded
    by_chance_skewed: float  # the same for an exponential distribution
    expected: Expected | None  # with the validation set; None: weights are no probabilities


def find_heads(results: Results, below: float, visited: Any, suspect: Any, nonfinite: Any) -> list[Head]:
    """Return the heads of the table in the order of the run; `below`: the cut; (N,) arrays as in Summary."""
    recorded = {str(entry.get("head")): entry for entry in results.about.get("distribution") or []}
    options, table = results.about.get("options") or {}, results.table
    weight, loss = (table[name].to_numpy() for name in ("weight", "loss"))
    training = (table["split"] != VALID).to_numpy()
    order = {str(name): place for place, name in enumerate(results.about.get("heads") or [])}
    heads = []
    for name in sorted(table["head"].cat.categories, key=lambda name: order.get(name, len(order))):
        here = (table["head"] == name).to_numpy()
        losses = read_losses(recorded.get(str(name), {}), options)
        seen, finite = here & visited, here & visited & ~nonfinite
        if losses.kind == MIXTURE:
            finite &= loss > 0  # without a label there is nothing to judge
        judged = int((finite & training).sum())
        z = losses.threshold - float(norm.ppf(below))  # the weight Phi(t - z) is below the cut above that
        heads.append(
            Head(
                name=str(name),
                members=int(here.sum()),
                suspects=int((here & suspect).sum()),
                nonfinite=int((here & nonfinite).sum()),
                mean_weight=float(weight[seen].mean()) if seen.any() else math.nan,
                losses=losses,
                judged=judged,
                judged_suspects=int((finite & training & suspect).sum()),
                by_chance=judged * float(norm.sf(z)),
                by_chance_skewed=judged * float(expon.sf(1 + z)),  # an exponential one has mu = sigma
                expected=_expected(weight[finite].astype(float), suspect[finite]) if losses.probable else None,
            )
        )
    return heads


def _expected(weight: NDArray[np.float64], suspect: NDArray[np.bool_]) -> Expected:
    ambiguous = int(((weight > AMBIGUOUS[0]) & (weight < AMBIGUOUS[1])).sum())
    right, wrong = float(weight[suspect].sum()), float((1 - weight[~suspect]).sum())
    return Expected(int(suspect.sum()), int((~suspect).sum()), right, wrong, ambiguous)


def total_expected(heads: Iterable[Head]) -> Expected | None:
    """Return what is expected over all heads whose weights are probabilities; None: there is no such head."""
    parts = [head.expected for head in heads if head.expected]
    return Expected(*map(sum, zip(*parts, strict=True))) if parts else None


def judged_by_threshold(heads: Iterable[Head]) -> list[Head]:
    """Return the heads whose weights come from a threshold, so that they are no probabilities."""
    return [head for head in heads if head.expected is None and head.judged]


def total_by_chance(heads: Iterable[Head]) -> tuple[float, float]:
    """Return how many suspects right labels would give, with normal and with exponential losses; NaN: not recorded."""
    heads = list(heads)
    return sum(head.by_chance for head in heads), sum(head.by_chance_skewed for head in heads)
