"""What is believed of the labels of each head, in sentences: wrong labels, what tells them apart, and doubts."""

import math

from ..results.wrong_labels import MOST, NEEDED, WrongLabels, WrongProperty, in_milli
from .heads import Head
from .losses import MIXTURE
from .summary import Summary
from .text import clean, of_many, percent

MOST_HEADS_NAMED = 6

DOUBTS_TITLE = "Look at these labels yourself"
DOUBTS_ADVICE = (
    "mace_outlier export writes both, trusted ones and suspects. The table has a z-score for every configuration, also "
    "for those that kept their weight."
)


def judgements(summary: Summary) -> list[str]:
    """Say of each head which labels are wrong and what tells them apart."""
    judged = [head for head in summary.heads if head.losses.kind == MIXTURE and head.judged]
    told = [head for head in judged if head.losses.recorded]
    said = [of_heads([head], summary, _judgement(head, summary)) for head in told[:MOST_HEADS_NAMED]]
    if len(told) > MOST_HEADS_NAMED:
        said.append(f"And {of_many(len(told) - MOST_HEADS_NAMED, 'more head')}, see the table of heads.")
    return said


def doubts(summary: Summary) -> list[str]:
    """Say where the judgement wants a look: undecided, very many, or refused; nothing where there is no doubt."""
    said = []
    for head in summary.heads:
        if head.losses.wrong and head.losses.undecided:
            said.append(of_heads([head], summary, _undecided(head.losses.wrong)))
        if head.losses.wrong and head.losses.many:
            share = percent(head.losses.wrong.share)
            sentence = f"{share} of the labels are taken for wrong. With so many, it could be the others that are."
            said.append(of_heads([head], summary, f"{sentence} Look at examples of both."))
        if head.losses.refused:
            sentence = f"the last fit was refused ({clean(head.losses.refused, 200)}): the weights are those of before."
            said.append(of_heads([head], summary, sentence))
    return said


def of_heads(heads: list[Head], summary: Summary, sentence: str) -> str:
    """Say which heads a sentence is about, unless it is about all."""
    if len(heads) == len(summary.heads):
        return sentence[0].upper() + sentence[1:]
    names = ", ".join(clean(head.name, 40) for head in heads[:MOST_HEADS_NAMED])
    more = f" and {len(heads) - MOST_HEADS_NAMED:,} more" if len(heads) > MOST_HEADS_NAMED else ""
    return f"{'Head' if len(heads) == 1 else 'Heads'} {names}{more}: {sentence}"


def _undecided(wrong: WrongLabels) -> str:
    share = f"{percent(wrong.undecided)} of the labels look wrong"
    if wrong.too_many:
        return (
            f"{share}. That is more than {percent(MOST)}, so that nobody can say which are the wrong ones, and none of "
            "them lost weight. Look at examples of both."
        )
    return (
        f"{share}, but in one epoch only: two have to agree before any of them loses weight. A longer training would "
        "tell; until then, look at those with the largest z-scores."
    )


def _judgement(head: Head, summary: Summary) -> str:
    """What the errors say that the geometry doesn't explain."""
    wrong = head.losses.wrong
    assert wrong is not None
    labels = of_many(wrong.judged, f"{summary.trained}label")
    if wrong.believed:
        each = "; ".join(map(_told_apart, wrong.believed))
        rest = [own.labels for own in wrong.properties if not own.share]
        others = f" No wrong {' or '.join(rest)} stand out." if rest else ""
        return (
            f"of {labels}, wrong ones stand out by errors that the geometry doesn't explain: {each}.{others} "
            f"{_evidence(wrong)}"
        )
    if wrong.undecided:
        return f"none of {labels} was taken for wrong, because it is undecided which are: see above.{_gross(wrong)}"
    widths = [_width(own) for own in wrong.properties]
    hidden = f" Labels that are off by less than right ones scatter don't show ({', '.join(widths)})." if widths else ""
    return (
        f"no wrong labels stand out among {labels} ({wrong.evidence}): errors are as expected of their geometries."
        f"{_gross(wrong)}{hidden}"
    )


def _told_apart(own: WrongProperty) -> str:
    """How far the wrong labels of a property are off, and the right ones."""
    right = (
        f"right ones scatter by {in_milli(own.right)}" if own.name == "energy" else f"right ones vary {_factor(own)}"
    )
    return f"{own.labels} of {percent(own.share)} are {own.off} ({right})"


def _width(own: WrongProperty) -> str:
    """How far right labels scatter."""
    return f"{own.labels}: " + (f"{in_milli(own.right)} meV/atom" if own.name == "energy" else _factor(own))


def _factor(own: WrongProperty) -> str:
    return f"by a factor of {math.exp(min(own.right, 20.0)):.1f}"


def _gross(wrong: WrongLabels) -> str:
    return (
        f" Only gross errors, as no right label has them, lost weight ({percent(wrong.share)})." if wrong.share else ""
    )


def _evidence(wrong: WrongLabels) -> str:
    """How strong the case for wrong labels is, for all of them together."""
    if wrong.gain < NEEDED:  # believed in before
        return f"The evidence for them is weak by now ({math.floor(wrong.gain)}; they were believed in at {NEEDED:g})."
    return f"The evidence for them is {wrong.gain:,.0f}, and {NEEDED:g} is strong (gain of the BIC)."
