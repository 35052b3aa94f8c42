"""How many suspects are expected to be right: by their weights, or by chance beyond a threshold."""

import math

from .heads import AMBIGUOUS, Head, by_chance, judged_by_threshold, total_odds
from .judgements import of_heads
from .losses import LOGNORMAL, MIXTURE
from .summary import Summary
from .text import count, of_many, percent

OVERLAP = 0.1  # share of ambiguous configurations, above which the order says more than the cut


def how_many_right(summary: Summary) -> list[str]:
    """Say how many of the suspects are expected to be right."""
    by_threshold = judged_by_threshold(summary.heads)
    early = [head for head in by_threshold if head.losses.kind == LOGNORMAL]
    others = [head for head in by_threshold if head.losses.kind != LOGNORMAL]
    return [*_odds(summary), *_early(early, summary), *_chance(early, summary), *_chance(others, summary)]


# --- weights that are probabilities ----------------------------------------------------------------------------------


def _odds(summary: Summary) -> list[str]:
    """False alarms, missed ones and ambiguous ones, over all heads whose weights are probabilities."""
    heads = [head for head in summary.heads if head.odds]
    odds = total_odds(heads)
    if odds is None or not odds.suspects:
        return []
    found = any(head.losses.found for head in heads)
    suspects = of_many(odds.suspects, "suspect")
    said = f"a weight is the probability that all labels of a configuration are right. By that, of {suspects} "
    said += f"{about(odds.false_alarms)} are expected to be right (false alarms; the sum of their weights)"
    if not found:
        return [of_heads(heads, summary, f"{said}.")]
    said += f", and of {of_many(odds.others, 'other configuration')} {about(odds.missed)} to be wrong (missed)."
    everyone = odds.suspects + odds.others
    share = odds.ambiguous / max(everyone, 1)
    overlap = " Right and wrong ones overlap, so the order says more than the cut." if share > OVERLAP else ""
    either = (
        f"{odds.ambiguous:,} of these {of_many(everyone, 'configuration')} ({percent(share)}) may be either (weight "
        f"between {AMBIGUOUS[0]:g} and {AMBIGUOUS[1]:g}: ambiguous).{overlap}"
    )
    return [
        of_heads(heads, summary, said),
        *([either] if odds.ambiguous else []),
        "These numbers take for granted that what stands out is wrong, not hard in a way that the model's features and "
        "the other configurations don't show. Look at some suspects before you believe them.",
    ]


def about(number: float) -> str:
    """Return an expected number of things in words."""
    return "fewer than 0.1" if number < 0.05 else f"about {count(number)}"


# --- thresholds ------------------------------------------------------------------------------------------------------


def _early(heads: list[Head], summary: Summary) -> list[str]:
    if not heads or not math.isfinite(heads[0].losses.threshold):
        return []
    said = "labels were not judged yet (before the end of the first epoch, or too few configurations): a threshold of "
    return [of_heads(heads, summary, f"{said}{heads[0].losses.threshold:g} sigma holds for the logarithm of the loss.")]


def _chance(heads: list[Head], summary: Summary) -> list[str]:
    """Compare with what right labels would give."""
    if not heads:
        return []
    normal, skewed = by_chance(heads)
    finite = sum(head.finite for head in heads)
    if math.isnan(normal):
        return [of_heads(heads, summary, _unknown(heads))]
    if not normal:
        said = "the threshold is infinite: no finite loss is ever down-weighted, however large."
        return [of_heads(heads, summary, said)]
    judged = of_many(sum(head.judged for head in heads), f"{summary.trained}configuration")
    what = "logarithms of the losses" if heads[0].losses.kind == LOGNORMAL else "losses"
    do = "does" if finite == 1 else "do"
    first = (
        f"if all labels were right, {about(normal)} of {judged} would lie beyond the threshold with normally "
        f"distributed {what}, and {about(skewed)} with skewed ones (exponential); {finite:,} {do}."
    )
    compared = f" {_compared(finite, normal, skewed)}" if any(head.suspects for head in heads) else ""
    return [of_heads(heads, summary, first + compared)]


def _unknown(heads: list[Head]) -> str:
    if any(head.losses.kind == MIXTURE for head in heads):
        return "how the labels were judged was not recorded: how many suspects should be right isn't known."
    return "the threshold was not recorded: how many suspects chance alone would give isn't known."


def _compared(finite: int, normal: float, skewed: float) -> str:
    advice = "The losses of right configurations are skewed: weights rank configurations, they prove nothing."
    if finite <= normal + 2 * math.sqrt(normal):
        return f"That is no more than chance gives. {advice}"
    if finite <= skewed + 2 * math.sqrt(skewed):
        return f"That is no more than right labels with skewed losses can give. {advice}"
    return f"That is more than right labels would give; not every suspect need be wrong. {advice}"
