"""The page: one file of HTML that holds everything, loads nothing and runs nothing."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms

from ..files import replacing
from ..results.reading import Results
from ..results.wrong_labels import number
from . import judgements, text, words
from .bars import draw_groups
from .causes import COLUMNS, CauseGroup
from .columns import label_columns, suspect_columns
from .distributions import draw_losses
from .epochs import draw_weights
from .figures import Figure, encoded, our_style
from .groups import Groups
from .heads import MIXTURE
from .html import fill
from .sample import Sample, energy_and_force, largest_error
from .scatter import draw_map, draw_parity
from .structures import draw_structure
from .summary import CERTAIN, Summary
from .tiles import tiles_of
from .truth import Truth

TITLES = {
    "config_type": "By config_type",
    "element": "By element (configurations that contain it)",
    "formula": "By formula",
    "head": "By head",
    "size": "By number of atoms",
    "frames": "Parts of files that stand out",
}
PARTS = {"options": "Options of the weighting", "versions": "Versions", "arguments": "Arguments of MACE"}
NOTABLE = 2.0  # medians, from which an error is named as a reason


class Report(NamedTuple):
    """All that a page shows."""

    results: Results
    summary: Summary
    groups: Groups
    causes: list[CauseGroup]
    worst: list[Any]
    truth: Truth | None
    sample: Sample
    figures: list[Figure]


def draw_figures(
    results: Results, summary: Summary, groups: Groups, sample: Sample, truth: Truth | None = None
) -> list[Figure]:
    """Draw the figures of a report."""
    with our_style():
        return [
            draw_losses(results.table, summary),
            draw_weights(results.table, summary, results.about),
            draw_map(results.table, summary, None if truth is None else truth.labels),
            draw_parity(sample, summary),
            draw_groups(groups),
        ]


def write_page(report: Report, path: Path) -> None:
    """Write the page, replacing an earlier one as a whole."""
    page = render(report)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(report: Report) -> str:
    """Return the page; every string in it is escaped."""
    summary, groups, about = report.summary, report.groups, report.results.about
    several = len(summary.heads) > 1
    shown = [(TITLES[kind], groups.breakdowns[kind]) for kind in TITLES if kind != "head" or several]
    return fill(
        "page.html.jinja",
        **report._asdict(),
        about=about,
        facts=_facts(report),
        words=words,
        judgements=judgements,
        tiles=tiles_of(summary, groups, report.truth),
        cause_columns=COLUMNS,
        columns=suspect_columns(summary, report.truth),
        heads=summary.heads if several else [],
        label_columns=label_columns(summary.heads, summary.below),
        breakdowns=[(title, breakdown) for title, breakdown in shown if breakdown.groups],
        longest=max([group.share for _, breakdown in shown for group in breakdown.groups] + [1e-9]),
        encoded=encoded,
        line_to_copy=text.line_to_copy,
        reason=_reason,
        drawing=_drawing,
        largest_error=largest_error,
        pairs=_pairs,
        parts=[(title, _entries(about.get(part))) for part, title in PARTS.items()],
    )


def _facts(report: Report) -> list[str]:
    """The run in a line."""
    about, summary = report.results.about, report.summary
    facts = ["audit of a data set" if summary.audit else "training"]
    if about.get("finished") is False:
        facts.append("not finished")
    if math.isfinite(number(about.get("epoch"))) and not summary.audit:
        facts.append(f"epoch {number(about['epoch']):.0f}")
    thresholds = {head.losses.threshold for head in summary.heads if head.losses.kind != MIXTURE}
    facts += [f"threshold {threshold:g} sigma" for threshold in sorted(filter(math.isfinite, thresholds))]
    if about.get("saved"):
        facts.append(f"saved {str(about['saved']).replace('T', ' ')[:16]} UTC")
    return [text.clean(fact) for fact in facts]


def _entries(part: object) -> list[tuple[str, str]]:
    entries = part if isinstance(part, Mapping) else {}
    return [(text.clean(name, 60), text.clean(value, 300)) for name, value in entries.items()]


def _drawing(frame: Atoms | None) -> str:
    """A structure as a data URI; "" where there is none to draw."""
    with our_style():
        canvas = draw_structure(frame) if frame else None
    return encoded(canvas, "png") if canvas else ""


def _pairs(frame: Atoms) -> list[list[str]]:
    """What, label, prediction."""
    label, prediction = energy_and_force(frame, "reference"), energy_and_force(frame, "predicted")
    rows = zip(("energy, eV/atom", "largest force, eV/Å"), label, prediction, (4, 3), strict=True)
    return [[what, *(_value(value, digits) for value in values)] for what, *values, digits in rows]


def _value(value: float | None, digits: int) -> str:
    if value is None:
        return text.DASH
    return text.fixed(value, digits) if math.isfinite(value) else "not finite"


def _reason(suspect: Any) -> str:
    """Which error stands out, against the median of the head."""
    if suspect.verdict == CERTAIN:
        return "a label, or the loss, is NaN or infinite"
    ratios = {"energy error": suspect.energy_ratio, "force RMSE": suspect.force_ratio}
    return ", ".join(
        f"{name} {text.significant(ratio, 2)} times the median" for name, ratio in ratios.items() if ratio >= NOTABLE
    )
