"""A judgement in words: a line of the log, and the doubts that log and report both tell. No torch."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from .judgement import FEW, GROSS, UNDECIDED, UNJUDGED, WRONG, Judgement
from .wrong_labels import MOST, PLURALS, WrongLabels, in_percent


def in_a_line(entry: Mapping[str, Any], judgement: Judgement) -> str:
    """What is thought of a head's labels in one line; `entry` of LossDistribution.describe."""
    if math.isfinite(judgement.not_finite_since):
        before = in_a_line(entry, judgement._replace(not_finite_since=math.nan))
        return f"{_since(judgement)}: labels are not judged, the weights are those of before: {before}"
    refused = f"fit refused ({judgement.refused}), that of before stays: " if judgement.refused else ""
    nonfinite = f", {judgement.nonfinite} not finite" if judgement.nonfinite else ""
    if judgement.how is None or judgement.found == UNJUDGED:
        return f"{refused}mu={entry['location']:.4e}, sigma={entry['scale']:.4e}{nonfinite}"
    return f"{refused}{_found(judgement, judgement.how)}{nonfinite}"


def _since(judgement: Judgement) -> str:
    return f"the model is not finite since epoch {judgement.not_finite_since:.0f}"


def _found(judgement: Judgement, how: WrongLabels) -> str:
    verb = "looks" if judgement.suspects == 1 else "look"
    number = f"{judgement.suspects} of {judgement.judged} {verb} wrong ({in_percent(judgement.share)})"
    if judgement.found == WRONG:
        return f"{number}: {_sizes(how)}" + (f"; {_undecided(how)}" if how.undecided else "")
    if judgement.found == GROSS:
        others = _undecided(how) if how.undecided else f"others: {_evidence(judgement, how)}"
        return f"{number}, by gross errors; {others}"
    if judgement.found == UNDECIDED:
        return _undecided(how) if how.undecided else f"undecided: {_sizes(how)}, but two epochs don't agree on which"
    return f"no wrong labels found ({_evidence(judgement, how)})"


def _sizes(how: WrongLabels) -> str:
    each = (f"{own.labels} {own.off} (an estimated {in_percent(own.share)})" for own in how.believed)
    return "; ".join(each)


def _evidence(judgement: Judgement, how: WrongLabels) -> str:
    return f"{judgement.judged} of the {FEW} that it takes" if judgement.few else how.evidence


def _undecided(how: WrongLabels) -> str:
    why = "more than half: which are the wrong ones?" if how.too_many else "which the next epoch has to confirm"
    return f"undecided: {in_percent(how.undecided)} look wrong, {why}"


# --- doubts ----------------------------------------------------------------------------------------------------------


def doubts_of(judgement: Judgement) -> list[str]:
    """Say why a user should look at the labels of a head: undecided, very many, unsteady, or refused; [] where not."""
    how, doubts = judgement.how, []
    if math.isfinite(judgement.not_finite_since):
        doubts.append(f"{_since(judgement)}: labels were not judged since then, and all that is said is from before")
    if judgement.refused:
        doubts.append(f"the last fit was refused ({judgement.refused}): the weights are those of before")
    if how is not None and how.undecided:
        doubts.append(_doubt_who(judgement, how))
    if how is not None and judgement.many:
        doubts.append(
            f"{in_percent(judgement.share)} of the labels are taken for wrong. With so many, it could be the others "
            "that are: look at examples of both"
        )
    if how is not None and not judgement.course.is_steady:
        doubts.append(_unsteady(judgement))
    return doubts


def _doubt_who(judgement: Judgement, how: WrongLabels) -> str:
    share = f"{in_percent(how.undecided)} of the labels look wrong"
    weights = "the weights are those of before" if judgement.suspects else "none of them lost weight"
    if how.too_many:
        most = f"more than {in_percent(MOST)}, so that nobody can say which are the wrong ones"
        return f"{share}, {most}: {weights}. Look at examples of both"
    return (
        f"{share}, but in one epoch only: two have to agree before any of them loses weight. Train longer, or look at "
        "those with the largest z-scores"
    )


def _unsteady(judgement: Judgement) -> str:
    """Say of a verdict that it is new, that it comes and goes, or that it held until a moment ago."""
    course = judgement.course
    what = f"wrong {_listed(PLURALS[name] for name in judgement.lately if name in PLURALS)} were believed in"
    if course is judgement.suspected:
        what = "some labels were taken for wrong"
    end = "" if course.now else ", and not any more at the end"
    return f"{what} {course.in_words}{end}. Train longer, or look at those with the largest z-scores"


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names) or "labels"
