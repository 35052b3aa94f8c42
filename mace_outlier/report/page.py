"""The page: one file of HTML that holds everything, loads nothing and runs nothing but its own script."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..files import replacing
from ..results.reading import Results
from ..results.wrong_labels import number
from . import cards, judgements, text, words
from .bars import draw_groups
from .causes import COLUMNS, CauseGroup
from .columns import label_columns, suspect_columns
from .distributions import draw_losses
from .epochs import draw_weights
from .figures import Figure, encoded, our_style
from .groups import Breakdown, Groups
from .heads import MIXTURE
from .html import fill
from .points import MOST_OTHERS, find_points
from .sample import Sample
from .scatter import draw_map, draw_parity
from .structures import find_structures
from .summary import Summary
from .tiles import tiles_of
from .truth import Truth

TITLES = {
    "file": "By file",
    "frames": "Parts of files that stand out",
    "config_type": "By config_type",
    "formula": "By formula",
    "element": "By element (configurations that contain it)",
    "size": "By number of atoms",
    "head": "By head",
}
PARTS = {"options": "Options of the weighting", "versions": "Versions", "arguments": "Arguments of MACE"}
SCRIPTS = ("list.js", "map.js", "model.js", "viewer.js", "dialog.js", "start.js")


class Report(NamedTuple):
    """All that a page shows."""

    results: Results
    summary: Summary
    groups: Groups
    causes: list[CauseGroup]
    worst: list[Any]  # with a card each
    listed: list[Any]  # these, and more
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
    figures = {figure.name: figure for figure in report.figures}
    shown = [(TITLES[kind], groups.breakdowns[kind]) for kind in TITLES if _is_shown(groups.breakdowns[kind])]
    pictures = {name: encoded(figure.canvas, "svg") for name, figure in figures.items() if name != "groups"}
    points = find_points(report.results.table, summary, figures["residuals"], report.listed)
    others = sum(not point.rank for point in points)
    return fill(
        "page.html.jinja",
        SCRIPTS,
        **report._asdict() | {"figures": figures},
        about=about,
        facts=_facts(report),
        words=words,
        judgements=judgements,
        tiles=tiles_of(summary, groups, report.truth),
        cause_columns=COLUMNS,
        columns=suspect_columns(summary, report.truth),
        heads=summary.heads if several else [],
        label_columns=label_columns(summary.heads, summary.below),
        breakdowns=shown,
        longest=max([group.share for _, breakdown in shown for group in breakdown.groups] + [1e-9]),
        pictures=pictures,
        line_to_copy=text.line_to_copy,
        cards=cards,
        thinned=others if others == MOST_OTHERS else 0,
        data={"points": points, "structures": find_structures(report.sample, report.worst)},
        parts=[(title, _entries(about.get(part))) for part, title in PARTS.items()],
    )


def _is_shown(breakdown: Breakdown) -> bool:
    """Whether there is something to compare: several heads or files, or any group of another kind."""
    return len(breakdown.groups) > (breakdown.kind in ("head", "file"))


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
