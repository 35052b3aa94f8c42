"""What the numbers mean, in sentences: the same ones in the terminal and on the page."""

import math

from .chance import how_many_right
from .groups import Flag, Groups
from .judgements import judgements
from .losses import LOGNORMAL, MIXTURE
from .summary import CERTAIN, ONCE, PERSISTENT, RECENT, SOFT, Count, Summary
from .text import clean, fixed, of_many, percent
from .truth import Agreement, Truth

MOST_WARNINGS = 8


def headline(summary: Summary) -> str:
    """Say how many look wrong."""
    everyone = of_many(summary.rows, "configuration")
    if not summary.suspects:
        every = f"every weight is {summary.below:g} or more"
        if any(head.losses.undecided for head in summary.heads):
            return f"Undecided: some of {everyone} look wrong, but {every}."
        return f"None of {everyone} looks wrong: {every}."
    found = " and ".join(_counted(count) for count in summary.counts)
    verb = "looks wrong" if summary.suspects == 1 else "look wrong"
    if any(head.losses.many for head in summary.heads):
        verb += ", if it isn't the others that are wrong"
    return f"{found} {verb}: weight below {summary.below:g}."


def _counted(count: Count) -> str:
    many = of_many(count.rows, f"{count.split} configuration".strip())
    return f"{count.suspects:,} of {many} ({percent(count.suspects / count.rows)})"


def how_sure(summary: Summary) -> list[str]:
    """Say how sure that is."""
    return [
        *_certain(summary),
        *judgements(summary),
        *how_many_right(summary),
        *_persistence(summary),
        *_softness(summary),
        *_unseen(summary),
    ]


def meaning_of_z(summary: Summary) -> str:
    """Say what a z-score is."""
    meanings = {
        LOGNORMAL: "standard deviations that the logarithm of the loss lies above its mean",
        MIXTURE: "how far the worst label of a configuration lies from right ones, in their widths (energies: the "
        "error that the geometry doesn't explain; others: the logarithm of the error over the expected one)",
    }
    normal = "standard deviations that the loss lies above the mean"
    return "z: " + "; or ".join(dict.fromkeys(meanings.get(head.losses.kind, normal) for head in summary.heads)) + "."


def _certain(summary: Summary) -> list[str]:
    number = summary.verdicts[CERTAIN]
    if number:
        verb = "is" if number == 1 else "are"
        return [f"{number:,} {verb} certainly wrong: a label, or the loss, is not a finite number."]
    return ["No label is certainly wrong: all losses are finite."] if summary.suspects else []


def _persistence(summary: Summary) -> list[str]:
    persistent, recent, once = (summary.verdicts[name] for name in (PERSISTENT, RECENT, ONCE))
    said = []
    if persistent or recent:
        lately = f", {recent:,} only lately" if recent else ""
        said.append(
            f"{persistent:,} of {of_many(persistent + recent, 'suspect')} seen in several epochs had a low weight in "
            f"most of them (persistent: mean weight below {summary.below:g}){lately}."
        )
    if once:
        said.append(f"{of_many(once, 'suspect')} {'was' if once == 1 else 'were'} seen once only.")
    return said


def _softness(summary: Summary) -> list[str]:
    if summary.soft_share > 0.5:
        whose = " of heads with a threshold" if any(head.odds for head in summary.heads) else ""
        return [
            f"The separation is soft: {percent(summary.soft_share)} of the suspects{whose} have a mean weight between "
            f"{SOFT[0]:g} and {SOFT[1]:g}, so the order says more than the cut."
        ]
    return []


def _unseen(summary: Summary) -> list[str]:
    if not summary.unseen:
        return []
    verb = "was" if summary.unseen == 1 else "were"
    return [f"{of_many(summary.unseen, 'configuration')} {verb} never visited: nothing is known of them."]


def truth_sentences(truth: Truth, summary: Summary) -> list[str]:
    """Say how well the suspects agree with what is known, in training and validation."""
    key, every = clean(truth.key, 40), truth.all
    counts = [f"{of.wrong:,} of {of.judged:,} in {name}" for name, of in truth.by_split.items()]
    where = f": {', '.join(counts)}" if counts else ""
    said = [f"By '{key}', {every.wrong:,} of {of_many(every.judged, 'label')} are wrong{where}."]
    for name, agreement in (truth.by_split or {"": every}).items():
        said += _agreement(agreement, f"{name.capitalize()}: " if name else "", summary.below)
    if truth.without:
        said.append(f"{of_many(truth.without, 'frame')} without '{key}' counted as right.")
    return said


def _agreement(of: Agreement, where: str, below: float) -> list[str]:
    if math.isnan(of.auroc_weight):
        return [f"{where}AUROC is not defined: that takes wrong and right ones."]
    hits, precision, recall = f"{of.hits:,} of", percent(of.precision), percent(of.recall)
    at = f"{where}at" if where else "At"
    return [
        f"{where}AUROC {fixed(of.auroc_weight, 4)} by 1 - weight, {fixed(of.auroc_zscore, 4)} by z (1: told apart "
        "perfectly, 0.5: not at all).",
        f"{at} the cut of {below:g}: precision {precision} ({hits} {of.suspects:,} suspects are wrong), "
        f"recall {recall} ({hits} {of.wrong:,} wrong ones are suspects).",
    ]


def group_name(kind: str, name: str) -> str:
    """Return "config_type slab", with what the data files hold made harmless."""
    if kind in ("size", "frames"):
        return clean(name, 120)
    return f"{kind} {clean(name, 60) or '(none)'}"


def group_sentences(groups: Groups, summary: Summary) -> list[str]:
    """Say which groups are over-represented among the suspects."""
    shown = [_warning(warning, groups.share) for warning in groups.warnings[:MOST_WARNINGS]]
    hidden = len(groups.warnings) - len(shown)
    if hidden > 0:
        shown.append(f"And {of_many(hidden, 'more group')}.")
    if not shown and summary.suspects > summary.verdicts[CERTAIN]:
        return ["No config_type, element, formula, head, size or part of a file stands out among the suspects."]
    return shown


def _warning(warning: Flag, share: float) -> str:
    group = warning.group
    also = ", ".join(group_name(other.kind, other.name) for other in warning.also)
    same = f" (the same configurations: {also})" if also else ""
    finite = group.suspects - group.nonfinite
    own = finite / (group.members - group.nonfinite)
    return (
        f"{group_name(group.kind, group.name)}{same}: {finite:,} of {group.members - group.nonfinite:,} are suspects "
        f"({percent(own)}; {percent(share)} over all), mean weight {group.mean_weight:.2f}."
    )


ADVICE = (
    "Such a group may have wrong labels throughout. Or it is right, but rare, and the model hasn't learnt it yet: a "
    "false alarm. Look at some of it before you drop any."
)
