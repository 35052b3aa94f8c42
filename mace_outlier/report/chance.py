"""How many suspects are expected to be right, in sentences: by their weights, or by chance beyond a threshold."""

import math

from .heads import AMBIGUOUS, Head, judged_by_threshold, total_by_chance, total_expected
from .judgements import of_heads
from .losses import LOGNORMAL, MIXTURE
from .summary import Summary
from .text import about, of_many, percent

OVERLAP = 0.1  # share of ambiguous configurations, above which the order says more than the cut
ADVICE = "The losses of right configurations are skewed: weights rank configurations, they prove nothing."


def how_many_right(summary: Summary) -> list[str]:
    """Say how many of the suspects are expected to be right."""
    by_threshold = judged_by_threshold(summary.heads)
    early = [head for head in by_threshold if head.losses.kind == LOGNORMAL]
    others = [head for head in by_threshold if head.losses.kind != LOGNORMAL]
    sentences = _by_weights(summary)
    if early and math.isfinite(early[0].losses.threshold):
        sentence = (
            "labels were not judged yet (before the end of the first epoch, or too few configurations): a threshold of "
            f"{early[0].losses.threshold:g} sigma holds for the logarithm of the loss."
        )
        sentences.append(of_heads(early, summary, sentence))
    return sentences + [of_heads(heads, summary, _by_chance(heads, summary)) for heads in (early, others) if heads]


def _by_weights(summary: Summary) -> list[str]:
    """False alarms, missed ones and ambiguous ones, over all heads whose weights are probabilities."""
    heads = [head for head in summary.heads if head.expected]
    expected = total_expected(heads)
    if expected is None or not expected.suspects:
        return []
    sentence = (
        "a weight is the probability that all labels of a configuration are right. By that, of "
        f"{of_many(expected.suspects, 'suspect')} {about(expected.false_alarms)} are expected to be right (false "
        "alarms; the sum of their weights)"
    )
    if not any(head.losses.believed for head in heads):
        return [of_heads(heads, summary, f"{sentence}.")]
    others = of_many(expected.others, "other configuration")
    sentences = [
        of_heads(heads, summary, f"{sentence}, and of {others} {about(expected.missed)} to be wrong (missed).")
    ]
    if expected.ambiguous:
        everyone = expected.suspects + expected.others
        share = expected.ambiguous / everyone
        sentences.append(
            f"{expected.ambiguous:,} of these {of_many(everyone, 'configuration')} ({percent(share)}) may be either "
            f"(weight between {AMBIGUOUS[0]:g} and {AMBIGUOUS[1]:g}: ambiguous)."
            + " Right and wrong ones overlap, so the order says more than the cut."
            * (share > OVERLAP)
        )
    return [
        *sentences,
        "These numbers take for granted that what stands out is wrong, not hard in a way that the model's features and "
        "the other configurations don't show. Look at some suspects before you believe them.",
    ]


def _by_chance(heads: list[Head], summary: Summary) -> str:
    """Compare the suspects of a threshold with what right labels would give."""
    normal, skewed = total_by_chance(heads)
    suspects = sum(head.judged_suspects for head in heads)
    if math.isnan(normal):
        if any(head.losses.kind == MIXTURE for head in heads):
            return "how the labels were judged was not recorded: how many suspects should be right isn't known."
        return "the threshold was not recorded: how many suspects chance alone would give isn't known."
    if not normal:
        return "the threshold is infinite: no finite loss is ever down-weighted, however large."
    judged = of_many(sum(head.judged for head in heads), f"{summary.trained}configuration")
    losses = "logarithms of the losses" if heads[0].losses.kind == LOGNORMAL else "losses"
    sentence = (
        f"if all labels were right, {about(normal)} of {judged} would lie beyond the threshold with normally "
        f"distributed {losses}, and {about(skewed)} with skewed ones (exponential); {suspects:,} "
        f"{'does' if suspects == 1 else 'do'}."
    )
    if not any(head.suspects for head in heads):
        return sentence
    if suspects <= normal + 2 * math.sqrt(normal):
        return f"{sentence} That is no more than chance gives. {ADVICE}"
    if suspects <= skewed + 2 * math.sqrt(skewed):
        return f"{sentence} That is no more than right labels with skewed losses can give. {ADVICE}"
    return f"{sentence} That is more than right labels would give; not every suspect need be wrong. {ADVICE}"
