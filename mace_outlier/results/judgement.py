"""What is thought of the labels of a head: the one object that log and report take their words from. No torch.

What has lost weight is counted from the weights, and from nothing else; how the labels were judged only says why.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..method.settings import Settings
from ..states import JUDGED, MODEL, SET_ASIDE
from .course import Course, course_of
from .wrong_labels import WrongLabels, number, read_wrong_labels

FEW = Settings().few  # configurations, below which only gross errors can be told from hard geometries
MANY = 0.35  # share of suspects from which a user should look at examples of both

# what is found; as a table of heads shows it
WRONG = "wrong labels"  # some lost weight, and wrong labels are believed in
GROSS = "gross errors"  # some lost weight, by errors as no right label has them
UNDECIDED = "undecided"  # there are some, but none lost weight, because it isn't clear which they are
NONE = "none"
UNJUDGED = "not judged"  # or by a threshold of the loss


class Judgement(NamedTuple):
    """What is thought of the training labels of a head."""

    judged: int  # configurations, also those that were before the model was not finite any more
    suspects: int  # of these, with a weight below 1/2
    nonfinite: int  # others, with weight 0: a label, geometry or loss that is not finite
    how: WrongLabels | None  # how they were judged; None: not by what the geometry doesn't explain
    refused: str = ""  # why the last fit was; untrusted
    not_finite_since: float = math.nan  # epoch since which the model is not finite; NaN: it is
    suspected: Course = Course((), ())  # there were suspects
    believed: Course = Course((), ())  # wrong labels were believed in
    lately: tuple[str, ...] = ()  # properties whose wrong labels were, in the last epoch that any were

    @property
    def found(self) -> str:
        """What is found, see above."""
        if self.how is None:
            return UNJUDGED
        if self.suspects:
            return WRONG if self.how.believed else GROSS
        return UNDECIDED if self.how.believed or self.how.undecided else NONE

    @property
    def share(self) -> float:
        """Suspects over all that are judged."""
        return self.suspects / max(self.judged, 1)

    @property
    def many(self) -> bool:
        """Whether so many are taken for wrong that it could be the others that are."""
        return self.share > MANY

    @property
    def few(self) -> bool:
        """Whether there are so few that only gross errors can be told from hard geometries."""
        return self.judged < FEW

    @property
    def course(self) -> Course:
        """In which epochs wrong labels were believed in, or, where they weren't lately, there were suspects."""
        return self.believed if self.believed.in_words else self.suspected


def judgement_of(
    entry: Mapping[str, Any], weights: np.ndarray, states: np.ndarray, history: Iterable[Mapping[str, Any]] = ()
) -> Judgement:
    """Return what is thought of a head.

    Args:
        entry: of LossDistribution.describe.
        weights, states: (N,) of its training configurations that were seen; see `states`.
        history: entries of the run, of any head.
    """
    judged = np.isin(states, (JUDGED, MODEL))
    numbers = int(judged.sum()), int((judged & (weights < 0.5)).sum()), int(np.isin(states, SET_ASIDE).sum())
    return judgement_by(entry, *numbers, history)


def judgement_by(
    entry: Mapping[str, Any], judged: int, suspects: int, nonfinite: int, history: Iterable[Mapping[str, Any]] = ()
) -> Judgement:
    """Return the same by numbers of configurations, see Judgement."""
    own = [past for past in history if past.get("head") == entry.get("head") and "suspects" in past]
    lately: tuple[str, ...] = next((tuple(past["believed"]) for past in reversed(own) if past.get("believed")), ())
    return Judgement(
        judged=judged,
        suspects=suspects,
        nonfinite=nonfinite,
        how=read_wrong_labels(entry),
        refused=str(entry.get("refused") or ""),
        not_finite_since=number(entry.get("not_finite_since")),
        suspected=course_of(own, lambda past: number(past["suspects"]) > 0),
        believed=course_of(own, lambda past: bool(past.get("believed"))),
        lately=lately,
    )
