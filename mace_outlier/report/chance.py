"""How many suspects are expected to be right: by the fitted populations of losses, or by chance beyond a threshold."""

import math
from collections.abc import Callable

from .heads import AMBIGUOUS, Head, by_chance, judged_by_threshold, total_odds
from .losses import LOGNORMAL, MIXTURE, Losses
from .summary import Summary
from .text import DASH, clean, count, fixed, of_many, percent, significant

MOST_HEADS_NAMED = 6
OVERLAP = 0.1  # share of ambiguous configurations, above which the populations overlap

SIMILAR_TITLE = "Two populations of similar size: which one is wrong?"
SIMILAR_ADVICE = (
    "Losses alone can't say that: the population with the lower losses is taken for right, but it may be the wrong "
    "one. Look at examples of both before you trust the weights. Suspects are of the upper one; mace_outlier export "
    "writes both, as suspects and as trusted."
)


def how_many_right(summary: Summary) -> list[str]:
    """Say how many of the suspects are expected to be right."""
    fitted = [head for head in summary.heads if head.losses.fit and head.judged]
    said = [_of([head], summary, _populations(head, summary)) for head in fitted[:MOST_HEADS_NAMED]]
    if len(fitted) > MOST_HEADS_NAMED:
        said.append(f"And {of_many(len(fitted) - MOST_HEADS_NAMED, 'more head')}, see the table of heads.")
    by_threshold = judged_by_threshold(summary.heads)
    early = [head for head in by_threshold if head.losses.kind == LOGNORMAL]
    others = [head for head in by_threshold if head.losses.kind != LOGNORMAL]
    return [*said, *_odds(summary), *_early(early, summary), *_chance(early, summary), *_chance(others, summary)]


def similar_populations(summary: Summary) -> list[str]:
    """Warn of heads whose two populations are of similar size; nothing to say where there is none."""
    return [
        _of([head], summary, f"{percent(head.losses.fit.share)} of the losses lie in the upper population, around ")
        + f"{significant(head.losses.upper_centre, 2)}, the others around {significant(head.losses.centre, 2)}."
        for head in summary.heads
        if head.losses.fit and head.losses.similar
    ]


def _of(heads: list[Head], summary: Summary, sentence: str) -> str:
    """Say which heads a sentence is about, unless it is about all."""
    if len(heads) == len(summary.heads):
        return sentence[0].upper() + sentence[1:]
    names = ", ".join(clean(head.name, 40) for head in heads[:MOST_HEADS_NAMED])
    more = f" and {len(heads) - MOST_HEADS_NAMED:,} more" if len(heads) > MOST_HEADS_NAMED else ""
    return f"{'Head' if len(heads) == 1 else 'Heads'} {names}{more}: {sentence}"


def head_columns(heads: list[Head]) -> list[tuple[str, Callable[[Head], str]]]:
    """Return what a table of heads says of their losses: titles, and how a head is shown."""
    chance: list[tuple[str, Callable[[Head], str]]] = [("by chance", _shown_chance)]
    if not any(head.losses.kind in (MIXTURE, LOGNORMAL) for head in heads):
        mu, sigma = lambda head: fixed(head.losses.location, 3), lambda head: fixed(head.losses.scale, 3)
        return [("mu", mu), ("sigma", sigma), *chance]
    return [
        ("losses", lambda head: _shown_kind(head.losses)),
        ("right around", lambda head: significant(head.losses.centre)),
        ("wrong around", lambda head: significant(head.losses.upper_centre)),
        ("wrong by the fit", lambda head: percent(head.losses.fit.share) if head.losses.fit else DASH),
        ("false alarms", lambda head: about(head.odds.false_alarms) if head.odds else DASH),
        *(chance if judged_by_threshold(heads) else []),
    ]


def _shown_chance(head: Head) -> str:
    return DASH if math.isnan(head.expected) else f"{fixed(head.expected, 1)} to {fixed(head.expected_skewed, 1)}"


def _shown_kind(losses: Losses) -> str:
    if losses.fit:
        return "two populations" if losses.two else "one population"
    return losses.kind if losses.recorded else "not recorded"


# --- populations -----------------------------------------------------------------------------------------------------


def _populations(head: Head, summary: Summary) -> str:
    """Which populations the losses of a head show."""
    losses, centre = head.losses, significant(head.losses.centre, 2)
    if losses.fit and losses.two:
        are = "is" if head.finite == 1 else "are"
        return (
            f"the losses show two populations, {losses.fit.distance:.1f} widths of the lower one apart: one around "
            f"{centre}, taken for right labels, and one around {significant(losses.upper_centre, 2)}, taken for wrong "
            f"ones. By the fit about {count(head.wrong)} of {of_many(head.judged, 'label')} "
            f"({percent(losses.fit.share)}) are wrong; there {are} {of_many(head.finite, 'suspect')}."
        )
    said = f"the losses show one population, around {centre}: there is no sign of a second kind of labels"
    if not head.odds:
        return f"{said}."
    cut = losses.crossing(summary.below)
    beyond = f" (losses beyond {significant(cut, 2)})" if math.isfinite(cut) else ""
    hidden = "Wrong labels with losses no larger than those of right ones don't show."
    return f"{said}, and only gross outliers are suspects{beyond}. {hidden}"


def _odds(summary: Summary) -> list[str]:
    """False alarms, missed ones and ambiguous ones, over all heads whose weights are probabilities."""
    heads = [head for head in summary.heads if head.odds]
    odds, two = total_odds(heads), any(head.losses.two for head in heads)
    if odds is None or not (two or odds.suspects):
        return []
    said = f"weights are probabilities that a label is right: of {of_many(odds.suspects, 'suspect')} "
    said += f"{about(odds.false_alarms)} should be right (false alarms)"
    if not two:
        return [_of(heads, summary, f"{said}.")]
    said += f", and of {of_many(odds.others, 'other configuration')} {about(odds.missed)} should be wrong (missed)."
    everyone = odds.suspects + odds.others
    share = odds.ambiguous / max(everyone, 1)
    overlap = " The populations overlap, so the order says more than the cut." if share > OVERLAP else ""
    return [
        _of(heads, summary, said),
        f"{odds.ambiguous:,} of these {of_many(everyone, 'configuration')} ({percent(share)}) may be either (weight "
        f"between {AMBIGUOUS[0]:g} and {AMBIGUOUS[1]:g}: ambiguous).{overlap}",
        "All this takes the upper population for wrong labels; hard configurations, which the model has not learnt "
        "yet, can form one too.",
    ]


def about(number: float) -> str:
    """Return an expected number of things in words."""
    return "fewer than 0.1" if number < 0.05 else f"about {count(number)}"


# --- thresholds ------------------------------------------------------------------------------------------------------


def _early(heads: list[Head], summary: Summary) -> list[str]:
    if not heads or not math.isfinite(heads[0].losses.threshold):
        return []
    said = "populations were not fitted (before the end of the first epoch, or too few configurations): a threshold of "
    return [_of(heads, summary, f"{said}{heads[0].losses.threshold:g} sigma holds for the logarithm of the loss.")]


def _chance(heads: list[Head], summary: Summary) -> list[str]:
    """Compare with what right labels would give."""
    if not heads:
        return []
    normal, skewed = by_chance(heads)
    finite = sum(head.finite for head in heads)
    if math.isnan(normal):
        return [_of(heads, summary, _unknown(heads))]
    if not normal:
        said = "the threshold is infinite: no finite loss is ever down-weighted, however large."
        return [_of(heads, summary, said)]
    judged = of_many(sum(head.judged for head in heads), "configuration")
    what = "logarithms of the losses" if heads[0].losses.kind == LOGNORMAL else "losses"
    do = "does" if finite == 1 else "do"
    first = (
        f"if all labels were right, {about(normal)} of {judged} would lie beyond the threshold with normally "
        f"distributed {what}, and {about(skewed)} with skewed ones (exponential); {finite:,} {do}."
    )
    compared = f" {_compared(finite, normal, skewed)}" if any(head.suspects for head in heads) else ""
    return [_of(heads, summary, first + compared)]


def _unknown(heads: list[Head]) -> str:
    if any(head.losses.kind == MIXTURE for head in heads):
        return "the fitted populations were not recorded: how many suspects should be right isn't known."
    return "the threshold was not recorded: how many suspects chance alone would give isn't known."


def _compared(finite: int, normal: float, skewed: float) -> str:
    advice = "The losses of right configurations are skewed: weights rank configurations, they prove nothing."
    if finite <= normal + 2 * math.sqrt(normal):
        return f"That is no more than chance gives. {advice}"
    if finite <= skewed + 2 * math.sqrt(skewed):
        return f"That is no more than right labels with skewed losses can give. {advice}"
    return f"That is more than right labels would give; not every suspect need be wrong. {advice}"
