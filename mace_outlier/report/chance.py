"""How many suspects are expected to be right: by the fitted populations, or by chance beyond a threshold."""

import math
from collections.abc import Callable
from typing import Any

from ..described import POPULATIONS, Described, apart
from ..populations import SIMILAR
from .heads import AMBIGUOUS, Head, by_chance, judged_by_threshold, total_odds
from .losses import LOGNORMAL, MIXTURE, Losses, exp
from .summary import Summary
from .text import DASH, clean, count, fixed, milli, of_many, percent, significant

MOST_HEADS_NAMED = 6
OVERLAP = 0.1  # share of ambiguous configurations, above which the populations overlap

SIMILAR_TITLE = "Two populations of similar size: which one is wrong?"
SIMILAR_ADVICE = (
    "A fit can't say that. Where there are suspects, the population with the lower losses (the larger one, if only the "
    "energies differ) is taken for right, but it may be the wrong one. Look at examples of both before you trust the "
    "weights; mace_outlier export writes both, as trusted and as suspects."
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
    undecided = [
        _of([head], summary, f"a second population holds {percent(head.losses.fit.open)} of the labels, and ")
        + "either may be the wrong one, so that no configuration lost weight for it."
        for head in summary.heads
        if head.losses.fit and head.losses.fit.open
    ]
    return undecided + [
        _of([head], summary, f"{percent(one.share)} of the labels are of the population that is taken for ")
        + f"wrong, told apart by {_differences(one)}."
        for head in summary.heads
        for one in (head.losses.fit.fits if head.losses.fit else [])
        if one.share > SIMILAR
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
        ("fit", lambda head: _shown_kind(head.losses)),
        ("losses, right", lambda head: significant(head.losses.centre)),
        ("losses, wrong", lambda head: _each(significant, head.losses.upper_centres)),
        ("energies, wrong\nmeV/atom", lambda head: _shown_energies(head.losses)),
        ("wrong by the fit", lambda head: percent(head.losses.fit.wrong) if head.losses.fit else DASH),
        ("certainty", lambda head: percent(head.losses.fit.sure) if head.losses.fit and head.losses.two else DASH),
        ("false alarms", lambda head: about(head.odds.false_alarms) if head.odds else DASH),
        *(chance if judged_by_threshold(heads) else []),
    ]


def _shown_chance(head: Head) -> str:
    return DASH if math.isnan(head.expected) else f"{fixed(head.expected, 1)} to {fixed(head.expected_skewed, 1)}"


def _shown_kind(losses: Losses) -> str:
    if losses.fit:
        return POPULATIONS[len(losses.fit.fits)]
    return losses.kind if losses.recorded else "not recorded"


def _shown_energies(losses: Losses) -> str:
    """Label minus prediction of wrong labels, compared with right ones."""
    return _each(_shown_energy, losses.fit.fits if losses.fit else [])


def _shown_energy(fit: Described) -> str:
    by = apart(fit)
    if by.energies:
        return milli(-fit.high_error, signed=True)
    return f"±{milli(fit.high_error_scale)}" if by.scatter else DASH


def _each(show: Callable[[Any], str], values: list[Any]) -> str:
    """Return what is shown of each population of wrong labels; a dash where there is none."""
    return "; ".join(map(show, values)) or DASH


# --- populations -----------------------------------------------------------------------------------------------------


def _populations(head: Head, summary: Summary) -> str:
    """Which populations the labels of a head show."""
    fit, compared = head.losses.fit, ""
    if head.losses.molecules > 1:
        compared = f" Labels are compared with those of the same molecule ({head.losses.molecules:,} molecules)."
    if not fit or not head.losses.two:
        return _one_population(head, summary) + compared
    sure = "" if math.isnan(fit.sure) else f" (with a certainty of {percent(fit.sure)} for each, on average)"
    told = "; and the others once more, by ".join(_differences(one, one is fit.last) for one in fit.fits)
    are = "is" if head.finite == 1 else "are"
    return (
        f"the labels show {POPULATIONS[len(fit.fits)]}, told apart by {told}.{compared} By the fit about "
        f"{count(head.wrong)} of {of_many(head.judged, f'{summary.trained}label')} ({percent(fit.wrong)}) are "
        f"wrong{sure}; there {are} {of_many(head.finite, f'{summary.trained}suspect')}."
    )


def _differences(fit: Described, others_are_right: bool = True) -> str:
    """What tells the labels of two populations apart."""
    by, said = apart(fit), []
    others, them = ("right labels", "right ones") if others_are_right else ("others", "others")
    if by.losses or not by.by_energy:
        right, wrong = (significant(exp(x), 2) for x in (fit.mode, fit.high_mean))
        said.append(f"losses ({others} around {right}, wrong ones around {wrong})")
    if by.by_energy:
        off = f"{milli(abs(fit.high_error))} meV/atom too {'low' if fit.high_error > 0 else 'high'}"
        if by.scatter:
            off = f"{milli(fit.high_error_scale)} meV/atom off, to both sides"
        said.append(f"energies (wrong labels are {off}, {them} scatter by {milli(fit.error_scale)})")
    return " and ".join(said)


def _one_population(head: Head, summary: Summary) -> str:
    """What there is to say where nothing tells labels apart."""
    said = f"the losses show one population, around {significant(head.losses.centre, 2)}"
    if head.energies:
        said = f"losses and energies show one population, with losses around {significant(head.losses.centre, 2)}"
    said += ": there is no sign of a second kind of labels"
    if not head.odds:
        return f"{said}."
    cut = head.losses.crossing(summary.below)
    alone = "by the loss alone, " if head.energies else "losses "
    beyond = f" ({alone}beyond {significant(cut, 2)})" if math.isfinite(cut) else ""
    hidden = "losses and energy errors" if head.energies else "losses"
    return (
        f"{said}, and only gross outliers are suspects{beyond}. Wrong labels with {hidden} no larger than those of "
        "right ones don't show."
    )


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
        "All this takes the second population for wrong labels; hard configurations, which the model has not learnt "
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
    judged = of_many(sum(head.judged for head in heads), f"{summary.trained}configuration")
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
