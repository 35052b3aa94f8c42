"""The columns of tables, the same ones in the terminal and on the page: suspects, groups, heads and their labels."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..data.labels import RESIDUALS
from ..results.wrong_labels import ALIKE, PLURALS, WrongProperty, in_milli
from .heads import LOGNORMAL, MIXTURE, Head, by_chance, judged_by_threshold
from .residuals import shown_residual, shown_unit
from .summary import Summary
from .text import DASH, about, clean, fixed, percent, significant
from .truth import Truth


class Column(NamedTuple):
    """A column of a table."""

    title: str  # in lines
    shown: Callable[[Any], str]  # what is shown of what the row is about
    kind: str = "n"  # its class on the page; n: a number, to the right, name or file: text that may be broken


def suspect_columns(summary: Summary, truth: Truth | None) -> list[Column]:
    """Return what is shown of each suspect."""
    validation = bool(summary.validation.any())
    return [
        Column("#", lambda suspect: str(suspect.rank)),
        *([Column("head", lambda suspect: clean(suspect.head, 20), "name")] if len(summary.heads) > 1 else []),
        *([Column("split", lambda suspect: clean(suspect.split, 16), "")] if validation else []),
        Column("file", lambda suspect: clean(suspect.file, 40), "file"),
        Column("frame", lambda suspect: str(suspect.frame)),
        Column("config_type", lambda suspect: clean(suspect.config_type, 28), "name"),
        Column("formula", lambda suspect: clean(suspect.formula, 24), "name"),
        Column("atoms", lambda suspect: str(suspect.n_atoms)),
        Column("weight", lambda suspect: fixed(suspect.weight, 3)),
        Column("mean\nweight", lambda suspect: fixed(suspect.mean_weight, 3)),
        Column("z", lambda suspect: fixed(suspect.zscore)),
        *(Column(*_residual(label)) for label in summary.residuals),
        *([Column("suspect\nsince", lambda suspect: _shown_epoch(suspect.suspect_since))] if summary.since else []),
        Column("epochs\nseen", lambda suspect: DASH if suspect.validation else str(suspect.times_seen)),
        Column("verdict", lambda suspect: suspect.verdict, ""),
        *([Column("cause", lambda suspect: clean(suspect.cause or DASH, 200), "name")] if summary.examined else []),
        *([Column("truth", lambda suspect: "wrong" if truth.labels[suspect.row] else "right", "")] if truth else []),
    ]


def _shown_epoch(epoch: float) -> str:
    return f"epoch {epoch:.0f}" if epoch >= 0 else DASH


def _residual(label: str) -> tuple[str, Callable[[Any], str]]:
    """The title of the residual of a label, and how it is shown."""
    title = f"{RESIDUALS[label].name} {shown_unit(label)}".replace(" ", "\n")
    return title, lambda suspect: shown_residual(label, suspect)


# of a group, or of a head
COUNTS = (
    Column("configurations", lambda group: f"{group.members:,}"),
    Column("suspects", lambda group: f"{group.suspects:,}"),
    Column("share", lambda group: percent(group.suspects / max(group.members, 1))),
    Column("mean weight", lambda group: fixed(group.mean_weight, 3)),
)


def label_columns(heads: list[Head], below: float) -> list[Column]:
    """Return what a table of heads says of their losses and labels."""
    chance = Column("by chance", lambda head: _shown_by_chance(*by_chance([head], below)))
    if not any(head.losses.kind in (MIXTURE, LOGNORMAL) for head in heads):
        mu = Column("mu", lambda head: fixed(head.losses.location, 3))
        return [mu, Column("sigma", lambda head: fixed(head.losses.scale, 3)), chance]
    return [
        Column("found", _shown_kind),
        Column("losses, right", lambda head: significant(head.losses.centre)),
        *(_property_column(name) for name in PLURALS if any(name in _properties(head) for head in heads)),
        Column("evidence", lambda head: f"{math.floor(head.losses.wrong.gain):,}" if head.losses.wrong else DASH),
        Column(
            "certainty",
            lambda head: percent(head.expected.certainty) if head.expected and head.expected.suspects else DASH,
        ),
        Column("false alarms", lambda head: about(head.expected.false_alarms) if head.expected else DASH),
        *([chance] if judged_by_threshold(heads) else []),
    ]


def _property_column(name: str) -> Column:
    unit = "meV/atom" if name == "energy" else "error / expected"
    return Column(f"wrong {PLURALS[name]}\n{unit}", lambda head: _shown_property(_properties(head).get(name)))


def _properties(head: Head) -> dict[str, WrongProperty]:
    return {prop.name: prop for prop in head.losses.wrong.properties} if head.losses.wrong else {}


def _shown_property(prop: WrongProperty | None) -> str:
    """Share of the wrong ones, and how far they are off; energies: label minus what is expected."""
    if prop is None or not prop.share:
        return DASH
    if prop.name != "energy":
        return f"{percent(prop.share)}, {prop.wrong:.1f} x"
    sign = "±" if max(prop.too_low, 1 - prop.too_low) <= ALIKE else "-" if prop.too_low > 0.5 else "+"
    return f"{percent(prop.share)}, {sign}{in_milli(prop.wrong)}"


def _shown_kind(head: Head) -> str:
    if not head.losses.recorded:
        return "not recorded"
    return head.losses.kind if head.losses.kind != MIXTURE else head.judgement.found


def _shown_by_chance(normal: float, skewed: float) -> str:
    return DASH if math.isnan(normal) else f"{fixed(normal, 1)} to {fixed(skewed, 1)}"
