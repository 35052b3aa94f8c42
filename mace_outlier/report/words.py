"""What the numbers mean, in sentences: the same ones in the terminal and on the page."""

import math

from ..results.judgement import UNDECIDED
from ..states import GEOMETRY, LABEL, LOSS, MODEL
from .groups import Flag, Group, Groups
from .heads import LOGNORMAL, MIXTURE
from .judgements import how_many_right, judgements
from .summary import CERTAIN, ONCE, PERSISTENT, RECENT, SOFT, Summary
from .text import DASH, clean, fixed, of_many, percent
from .truth import Agreement, Truth

MOST_WARNINGS = 8
OF_STATES = {
    LABEL: "{} {} a label that is not a finite number: certainly wrong.",
    GEOMETRY: "{} {} atoms on the same place, or positions that are no numbers: left out, because nothing can be "
    "predicted for it, and nothing is known of its label.",
    LOSS: "{} {} a loss that is not finite, nor is the prediction as a rule, though the model was finite for others: "
    "look at geometry and label.",
    MODEL: "{} {} a label that was not judged at the last visit, because the model was not finite any more: what is "
    "said of it is from before.",
}


def headline(summary: Summary) -> str:
    """Say how many look wrong."""
    everyone = of_many(summary.rows, "configuration")
    judgements_of = [head.judgement for head in summary.heads]
    if summary.not_judged == summary.rows - summary.unseen > 0 and not any(own.how for own in judgements_of):
        return f"No label was judged: the model is not finite, and was not when the first ones were to be. ({everyone})"
    if not summary.suspects:
        every = f"every weight is {summary.below:g} or more"
        if any(own.found == UNDECIDED for own in judgements_of):
            return f"Undecided: some of {everyone} look wrong, but {every}."
        return f"None of {everyone} looks wrong: {every}."
    parts = " and ".join(
        f"{suspects:,} of {of_many(rows, f'{split} configuration'.strip())} ({percent(suspects / rows)})"
        for split, suspects, rows in summary.counts
    )
    verb = "looks wrong" if summary.suspects == 1 else "look wrong"
    if any(own.how and own.many for own in judgements_of):
        verb += ", if it isn't the others that are wrong"
    return f"{parts} {verb}: weight below {summary.below:g}."


def how_sure(summary: Summary) -> list[str]:
    """Say how sure that is."""
    sentences = [
        sentence.format(
            of_many(summary.states[state], "configuration"), "has" if summary.states[state] == 1 else "have"
        )
        for state, sentence in OF_STATES.items()
        if summary.states[state]
    ]
    if not sentences and summary.suspects:
        sentences.append("No label is certainly wrong: all losses are finite.")
    sentences += [*judgements(summary), *how_many_right(summary), *_persistence(summary)]
    if summary.unseen:
        verb = "was" if summary.unseen == 1 else "were"
        sentences.append(f"{of_many(summary.unseen, 'configuration')} {verb} never visited: nothing is known of them.")
    if summary.unused:
        verb = "was" if summary.unused == 1 else "were"
        sentences.append(
            f"{of_many(summary.unused, 'configuration')} {verb} not judged, nor trained on: weight 0 in their file, or "
            "no label."
        )
    return sentences


def _persistence(summary: Summary) -> list[str]:
    """In how many epochs suspects had a low weight."""
    persistent, recent, once = (summary.verdicts[name] for name in (PERSISTENT, RECENT, ONCE))
    sentences = []
    if persistent or recent:
        lately = f", {recent:,} only lately" if recent else ""
        lately += f", {summary.new:,} not before the last epoch" if summary.new else ""
        sentences.append(
            f"{persistent:,} of {of_many(persistent + recent, 'suspect')} seen in several epochs had a low weight in "
            f"most of them (persistent: mean weight below {summary.below:g}){lately}."
        )
    if once:
        sentences.append(f"{of_many(once, 'suspect')} {'was' if once == 1 else 'were'} seen once only.")
    if summary.soft_share > 0.5:
        whose = " of heads with a threshold" if any(head.expected for head in summary.heads) else ""
        sentences.append(
            f"The separation is soft: {percent(summary.soft_share)} of the suspects{whose} have a mean weight between "
            f"{SOFT[0]:g} and {SOFT[1]:g}, so the order says more than the cut."
        )
    return sentences


def meaning_of_z(summary: Summary) -> str:
    """Say what a z-score is."""
    meanings = {
        LOGNORMAL: "standard deviations that the logarithm of the loss lies above its mean",
        MIXTURE: "how far the worst label of a configuration lies from right ones, in their widths (energies: the "
        "error that the geometry doesn't explain; others: the logarithm of the error over the expected one)",
    }
    normal = "standard deviations that the loss lies above the mean"
    return "z: " + "; or ".join(dict.fromkeys(meanings.get(head.losses.kind, normal) for head in summary.heads)) + "."


def truth_sentences(truth: Truth, summary: Summary) -> list[str]:
    """Say how well the suspects agree with what is known, in training and validation."""
    key, every = clean(truth.key, 40), truth.all
    counts = [f"{of.wrong:,} of {of.judged:,} in {name}" for name, of in truth.by_split.items()]
    where = f": {', '.join(counts)}" if counts else ""
    sentences = [f"By '{key}', {every.wrong:,} of {of_many(every.judged, 'label')} are wrong{where}."]
    for name, agreement in (truth.by_split or {"": every}).items():
        sentences += _agreement(agreement, f"{name.capitalize()}: " if name else "", summary.below)
    if truth.without:
        sentences.append(f"{of_many(truth.without, 'frame')} without '{key}' counted as right.")
    return sentences


def _agreement(of: Agreement, where: str, below: float) -> list[str]:
    if math.isnan(of.auroc_weight):
        return [f"{where}AUROC is not defined: that takes wrong and right ones."]
    hits, precision, recall = f"{of.hits:,} of", _ratio(of.hits, of.suspects), _ratio(of.hits, of.wrong)
    at = f"{where}at" if where else "At"
    return [
        f"{where}AUROC {fixed(of.auroc_weight, 4)} by 1 - weight, {fixed(of.auroc_zscore, 4)} by z (1: told apart "
        "perfectly, 0.5: not at all).",
        f"{at} the cut of {below:g}: precision {precision} ({hits} {of.suspects:,} suspects are wrong), "
        f"recall {recall} ({hits} {of.wrong:,} wrong ones are suspects).",
    ]


def _ratio(part: int, everything: int) -> str:
    return percent(part / everything) if everything else DASH


def group_sentences(groups: Groups, summary: Summary) -> list[str]:
    """Say which groups are over-represented among the suspects."""
    sentences = [_warning(flag, groups.share) for flag in groups.warnings[:MOST_WARNINGS]]
    if len(groups.warnings) > MOST_WARNINGS:
        sentences.append(f"And {of_many(len(groups.warnings) - MOST_WARNINGS, 'more group')}.")
    if not sentences and summary.suspects > summary.verdicts[CERTAIN]:
        return ["No config_type, element, formula, head, size, file or part of a file stands out among the suspects."]
    return sentences


def _warning(flag: Flag, share: float) -> str:
    group = flag.group
    same = f" (the same configurations: {', '.join(map(_name, flag.also))})" if flag.also else ""
    suspects, members = group.suspects - group.nonfinite, group.members - group.nonfinite
    return (
        f"{_name(group)}{same}: {suspects:,} of {members:,} are suspects ({percent(suspects / members)}; "
        f"{percent(share)} over all), mean weight {group.mean_weight:.2f}."
    )


def _name(group: Group) -> str:
    """Return "config_type slab", with what the data files hold made harmless."""
    if group.kind in ("size", "frames"):
        return clean(group.name)
    return f"{group.kind} {clean(group.name, 60) or '(none)'}"


ADVICE = (
    "Such a group may have wrong labels throughout. Or it is right, but rare, and the model hasn't learnt it yet: a "
    "false alarm. Look at some of it before you drop any."
)
