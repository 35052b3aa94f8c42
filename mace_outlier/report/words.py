"""What the numbers mean, in sentences: the same ones in the terminal and on the page."""

import math

from .groups import Flag, Groups
from .summary import CERTAIN, ONCE, PERSISTENT, RECENT, SOFT, Summary, expected
from .text import clean, count, fixed, of_many, percent
from .truth import Truth

MOST_WARNINGS = 8


def headline(summary: Summary) -> str:
    """Say how many look wrong."""
    everyone = of_many(summary.rows, "configuration")
    if not summary.suspects:
        return f"None of {everyone} looks wrong: every weight is {summary.below:g} or more."
    share = percent(summary.suspects / summary.rows)
    verb = "looks" if summary.suspects == 1 else "look"
    return f"{summary.suspects:,} of {everyone} ({share}) {verb} wrong: weight below {summary.below:g}."


def how_sure(summary: Summary) -> list[str]:
    """Say how sure that is."""
    return [*_certain(summary), *_chance(summary), *_persistence(summary), *_softness(summary), *_unseen(summary)]


def _certain(summary: Summary) -> list[str]:
    number = summary.verdicts[CERTAIN]
    if number:
        verb = "is" if number == 1 else "are"
        return [f"{number:,} {verb} certainly wrong: a label, or the loss, is not a finite number."]
    return ["No label is certainly wrong: all losses are finite."] if summary.suspects else []


def _chance(summary: Summary) -> list[str]:
    normal, skewed = expected(summary)
    finite = summary.suspects - summary.verdicts[CERTAIN]
    if math.isnan(normal):
        return ["The threshold was not recorded: how many suspects chance alone would give isn't known."]
    if not normal:
        return ["The threshold is infinite: no finite loss is ever down-weighted, however large."]
    judged = of_many(int((summary.visited & ~summary.nonfinite).sum()), "configuration")
    first = (
        f"If all labels were right, about {count(normal)} of {judged} would lie beyond the threshold with normally "
        f"distributed losses, and about {count(skewed)} with skewed ones (exponential); {finite:,} do."
    )
    return [f"{first} {_compared(finite, normal, skewed)}"] if summary.suspects else [first]


def _compared(finite: int, normal: float, skewed: float) -> str:
    advice = "The losses of right configurations are skewed: weights rank configurations, they prove nothing."
    if finite <= normal + 2 * math.sqrt(normal):
        return f"That is no more than chance gives. {advice}"
    if finite <= skewed + 2 * math.sqrt(skewed):
        return f"That is no more than right labels with skewed losses can give. {advice}"
    return f"That is more than right labels would give; not every suspect need be wrong. {advice}"


def _persistence(summary: Summary) -> list[str]:
    persistent, recent, once = (summary.verdicts[name] for name in (PERSISTENT, RECENT, ONCE))
    said = []
    if persistent or recent:
        lately = f", {recent:,} only lately" if recent else ""
        said.append(
            f"{persistent:,} of {of_many(persistent + recent, 'suspect')} seen in several epochs had a low weight in "
            f"most of them (persistent: mean weight below {summary.below:g}){lately}."
        )
    if once and not summary.audit:
        said.append(f"{of_many(once, 'suspect')} {'was' if once == 1 else 'were'} seen once only.")
    return said


def _softness(summary: Summary) -> list[str]:
    if summary.soft_share > 0.5:
        return [
            f"The separation is soft: {percent(summary.soft_share)} of the suspects have a mean weight between "
            f"{SOFT[0]:g} and {SOFT[1]:g}, so the order says more than the cut."
        ]
    return []


def _unseen(summary: Summary) -> list[str]:
    if not summary.unseen:
        return []
    verb = "was" if summary.unseen == 1 else "were"
    return [f"{of_many(summary.unseen, 'configuration')} {verb} never visited: nothing is known of them."]


def truth_sentences(truth: Truth, summary: Summary) -> list[str]:
    """Say how well the suspects agree with what is known."""
    key = clean(truth.key, 40)
    said = [f"By '{key}', {truth.wrong:,} of {of_many(truth.judged, 'label')} are wrong."]
    if math.isnan(truth.auroc_weight):
        said.append("AUROC is not defined: that takes wrong and right ones.")
    else:
        weight, zscore = fixed(truth.auroc_weight, 4), fixed(truth.auroc_zscore, 4)
        said.append(f"AUROC {weight} by 1 - weight, {zscore} by z (1: told apart perfectly, 0.5: not at all).")
        hits, precision, recall = f"{truth.hits:,} of", percent(truth.precision), percent(truth.recall)
        said.append(
            f"At the cut of {summary.below:g}: precision {precision} ({hits} {summary.suspects:,} suspects "
            f"are wrong), recall {recall} ({hits} {truth.wrong:,} wrong ones are suspects)."
        )
    if truth.without:
        said.append(f"{of_many(truth.without, 'frame')} without '{key}' counted as right.")
    return said


def group_name(kind: str, name: str) -> str:
    """Return "config_type slab", with what the data files hold made harmless."""
    if kind == "size":
        return name
    return f"{kind} {clean(name, 60) or '(none)'}"


def group_sentences(groups: Groups, summary: Summary) -> list[str]:
    """Say which groups are over-represented among the suspects."""
    shown = [_warning(warning, groups.share) for warning in groups.warnings[:MOST_WARNINGS]]
    hidden = len(groups.warnings) - len(shown)
    if hidden > 0:
        shown.append(f"And {of_many(hidden, 'more group')}.")
    if not shown and summary.suspects > summary.verdicts[CERTAIN]:
        return ["No config_type, element, formula, head or size is over-represented among the suspects."]
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
