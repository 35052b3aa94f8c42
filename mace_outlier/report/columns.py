"""The columns of a table of heads: what is known of their losses and of their wrong labels."""

import math
from collections.abc import Callable

from ..results.wrong_labels import ALIKE, PLURALS, WrongProperty, in_milli
from .chance import about
from .heads import Head, judged_by_threshold
from .losses import LOGNORMAL, MIXTURE, Losses
from .text import DASH, fixed, percent, significant

Column = tuple[str, Callable[[Head], str]]  # title, and how a head is shown


def head_columns(heads: list[Head]) -> list[Column]:
    """Return what a table of heads says of their losses and labels."""
    chance: list[Column] = [("by chance", _shown_chance)]
    if not any(head.losses.kind in (MIXTURE, LOGNORMAL) for head in heads):
        mu, sigma = lambda head: fixed(head.losses.location, 3), lambda head: fixed(head.losses.scale, 3)
        return [("mu", mu), ("sigma", sigma), *chance]
    return [
        ("found", lambda head: _shown_kind(head.losses)),
        ("losses, right", lambda head: significant(head.losses.centre)),
        *(_property_column(name) for name in PLURALS if any(_property(head, name) for head in heads)),
        ("evidence", lambda head: f"{math.floor(head.losses.wrong.gain):,}" if head.losses.wrong else DASH),
        ("certainty", lambda head: _shown_certainty(head.losses)),
        ("false alarms", lambda head: about(head.odds.false_alarms) if head.odds else DASH),
        *(chance if judged_by_threshold(heads) else []),
    ]


def _property_column(name: str) -> Column:
    unit = "meV/atom" if name == "energy" else "error / expected"
    return f"wrong {PLURALS[name]}\n{unit}", lambda head: _shown_property(_property(head, name))


def _property(head: Head, name: str) -> WrongProperty | None:
    known = head.losses.wrong.properties if head.losses.wrong else ()
    return next((own for own in known if own.name == name), None)


def _shown_property(own: WrongProperty | None) -> str:
    """Share of the wrong ones, and how far they are off; energies: label minus what is expected."""
    if own is None or not own.share:
        return DASH
    if own.name != "energy":
        return f"{percent(own.share)}, {own.wrong:.1f} x"
    sign = "±" if max(own.too_low, 1 - own.too_low) <= ALIKE else "-" if own.too_low > 0.5 else "+"
    return f"{percent(own.share)}, {sign}{in_milli(own.wrong)}"


def _shown_kind(losses: Losses) -> str:
    if not losses.recorded:
        return "not recorded"
    if losses.kind != MIXTURE:
        return losses.kind
    return "wrong labels" if losses.found else "undecided" if losses.undecided else "none"


def _shown_certainty(losses: Losses) -> str:
    return percent(losses.wrong.certainty) if losses.wrong and losses.wrong.share else DASH


def _shown_chance(head: Head) -> str:
    return DASH if math.isnan(head.expected) else f"{fixed(head.expected, 1)} to {fixed(head.expected_skewed, 1)}"
