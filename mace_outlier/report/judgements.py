"""What is believed of the labels of each head, in sentences: wrong labels, doubts, and how many suspects are right."""

import math

from ..method.settings import Settings
from ..results.in_words import doubts_of
from ..results.judgement import FEW, GROSS, UNDECIDED, WRONG, Judgement
from ..results.wrong_labels import NEEDED, WrongLabels, WrongProperty, in_milli
from .heads import AMBIGUOUS, LOGNORMAL, MIXTURE, Head, by_chance, judged_by_threshold, total_expected
from .summary import Summary
from .text import about, clean, of_many, percent

OVERLAP = 0.1  # share of ambiguous configurations, above which the order says more than the cut
ADVICE = "The losses of right configurations are skewed: weights rank configurations, they prove nothing."
MOST_HEADS_NAMED = 6
MOST_GROUPS_NAMED = 8
LEAST = Settings().least  # configurations of a head that can be compared at all

DOUBTS_TITLE = "Look at these labels yourself"
DOUBTS_ADVICE = (
    "mace_outlier export writes both, trusted ones and suspects. The table has a z-score for every configuration, also "
    "for those that kept their weight."
)


def judgements(summary: Summary) -> list[str]:
    """Say of each head which labels are wrong and what tells them apart."""
    judged = [(head, head.losses.wrong) for head in summary.heads if head.losses.wrong and head.judgement.judged]
    shown = judged[:MOST_HEADS_NAMED]
    sentences = [of_heads([head], summary, _judged(head.judgement, how, summary.trained)) for head, how in shown]
    if len(judged) > MOST_HEADS_NAMED:
        more = of_many(len(judged) - MOST_HEADS_NAMED, "more head")
        sentences.append(f"And {more}, see the table of heads.")
    return sentences


def doubts(summary: Summary) -> list[str]:
    """Say where the judgement wants a look, as the log does, and which groups are set aside; [] where none is."""
    told = [([head], clean(doubt, 400)) for head in summary.heads for doubt in doubts_of(head.judgement)]
    groups = [clean(group.in_words, 400) for group in summary.whole[:MOST_GROUPS_NAMED]]
    more = len(summary.whole) - len(groups)
    groups += [f"And {of_many(more, 'more group')} of which next to nothing is trained on"] if more else []
    return [f"{of_heads(heads, summary, doubt)}." for heads, doubt in told] + [f"{group}." for group in groups]


def of_heads(heads: list[Head], summary: Summary, sentence: str) -> str:
    """Say which heads a sentence is about, unless it is about all."""
    if len(heads) == len(summary.heads):
        return sentence[0].upper() + sentence[1:]
    names = ", ".join(clean(head.name, 40) for head in heads[:MOST_HEADS_NAMED])
    more = f" and {len(heads) - MOST_HEADS_NAMED:,} more" if len(heads) > MOST_HEADS_NAMED else ""
    return f"{'Head' if len(heads) == 1 else 'Heads'} {names}{more}: {sentence}"


def _judged(judgement: Judgement, how: WrongLabels, trained: str) -> str:
    """Say what the errors tell that the geometry doesn't explain; who lost weight is counted from the weights."""
    labels = of_many(judgement.judged, f"{trained}label")
    lost = f"{judgement.suspects:,} of {labels} ({percent(judgement.share)}) lost weight"
    if how.believed:
        none = "none of them lost weight: two epochs have to agree which these are"
        who = f"{lost}{_since(judgement.course.in_words)}" if judgement.found == WRONG else none
        each = "; ".join(map(_how_far_off, how.believed))
        rest = [prop.labels for prop in how.properties if not prop.share]
        others = f" No wrong {' or '.join(rest)} stand out." if rest else ""
        return f"of {labels}, wrong ones stand out: {each}.{others} {who[0].upper()}{who[1:]}. {_evidence(how)}"
    if judgement.found == UNDECIDED:
        return f"none of {labels} was taken for wrong, because it is undecided which are: see above."
    gross = f"{lost}, by gross errors as no right label has them{_since(judgement.suspected.in_words)}. "
    others = f"{gross if judgement.found == GROSS else ''}{_no_others(judgement, how, labels)}"
    scatter = ", ".join(f"{prop.labels}: {_scatter(prop, ' meV/atom')}" for prop in how.properties)
    return others + f" Labels that are off by less than right ones scatter don't show ({scatter})." * bool(scatter)


def _no_others(judgement: Judgement, how: WrongLabels, labels: str) -> str:
    """Say that nothing stands out, beside gross errors where there are some, and how sure that is."""
    if judgement.found == GROSS:
        if how.undecided:
            return "Which others are wrong is undecided: see above."
        return f"Of the others, none stands out ({how.evidence if not judgement.few else _of_the_few(judgement)})."
    if judgement.few:
        return f"no gross errors among {labels} ({_of_the_few(judgement)})."
    as_expected = "" if how.too_close else ": errors are as expected of their geometries"
    return f"no wrong labels stand out among {labels} ({how.evidence}){as_expected}."


def _of_the_few(judgement: Judgement) -> str:
    return f"{judgement.judged} of the {FEW} that it takes to tell wrong ones from hard geometries"


def _since(course: str) -> str:
    return f", {course}" if course else ""


def _how_far_off(prop: WrongProperty) -> str:
    """How far the wrong labels of a property are off, and the right ones."""
    verb = "scatter by" if prop.name == "energy" else "vary"
    return f"{prop.labels} of an estimated {percent(prop.share)} are {prop.off} (right ones {verb} {_scatter(prop)})"


def _scatter(prop: WrongProperty, unit: str = "") -> str:
    """How far right labels scatter."""
    in_words = f"by a factor of {math.exp(min(prop.right, 20.0)):.1f}"
    return f"{in_milli(prop.right)}{unit}" if prop.name == "energy" else in_words


def _evidence(wrong: WrongLabels) -> str:
    """How strong the case for wrong labels is, for all of them together."""
    if wrong.gain < NEEDED:  # believed in before
        return f"The evidence for them is weak by now ({math.floor(wrong.gain)}; they were believed in at {NEEDED:g})."
    return f"The evidence for them is {wrong.gain:,.0f}, and {NEEDED:g} is strong (gain of the BIC)."


# --- how many suspects are right -------------------------------------------------------------------------------------


def how_many_right(summary: Summary) -> list[str]:
    """Say how many of the suspects are expected to be right."""
    by_threshold = judged_by_threshold(summary.heads)
    early = [head for head in by_threshold if head.losses.kind == LOGNORMAL]
    others = [head for head in by_threshold if head.losses.kind != LOGNORMAL]
    sentences = _by_weights(summary)
    if early and math.isfinite(early[0].losses.threshold):
        sentence = (
            f"labels were not judged yet ({_why_not(early)}): a threshold of {early[0].losses.threshold:g} sigma holds "
            "for the logarithm of the loss."
        )
        sentences.append(of_heads(early, summary, sentence))
    return sentences + [of_heads(heads, summary, _by_chance(heads, summary)) for heads in (early, others) if heads]


def _why_not(heads: list[Head]) -> str:
    """Why labels were not judged."""
    judged = [head.judgement.judged for head in heads]
    few = [f"{number} of the {LEAST} configurations that it takes" for number in judged if number < LEAST]
    return ", ".join(few[:MOST_HEADS_NAMED] or ["before the end of the first epoch"])


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
    if not any(head.judgement.found == WRONG for head in heads):
        return [of_heads(heads, summary, f"{sentence}.")]
    sentence += (
        f", and of {of_many(expected.others, 'other configuration')} {about(expected.missed)} to be wrong (missed)."
    )
    sentences = [of_heads(heads, summary, sentence)]
    if expected.ambiguous:
        everyone = expected.suspects + expected.others
        share = expected.ambiguous / everyone
        overlap = " Right and wrong ones overlap, so the order says more than the cut."
        sentences.append(
            f"{expected.ambiguous:,} of these {of_many(everyone, 'configuration')} ({percent(share)}) may be either "
            f"(weight between {AMBIGUOUS[0]:g} and {AMBIGUOUS[1]:g}: ambiguous).{overlap * (share > OVERLAP)}"
        )
    return [
        *sentences,
        "These numbers take for granted that what stands out is wrong, not hard in a way that the model's features and "
        "the other configurations don't show. Look at some suspects before you believe them.",
    ]


def _by_chance(heads: list[Head], summary: Summary) -> str:
    """Compare the suspects of a threshold with what right labels would give."""
    normal, skewed = by_chance(heads, summary.below)
    suspects = sum(head.judged_suspects for head in heads)
    if math.isnan(normal):
        if any(head.losses.kind == MIXTURE for head in heads):
            return "how the labels were judged was not recorded: how many suspects should be right isn't known."
        return "the threshold was not recorded: how many suspects chance alone would give isn't known."
    if not normal:
        return "the threshold is infinite: no finite loss is ever down-weighted, however large."
    judged = of_many(sum(head.judgement.judged for head in heads), f"{summary.trained}configuration")
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
