"""The page: one file of HTML that holds everything, loads nothing and runs nothing."""

import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from jinja2 import Environment, StrictUndefined

from ..files import replacing
from ..results.reading import Results
from ..results.wrong_labels import number
from . import text
from .bars import draw_groups
from .columns import head_columns
from .distributions import draw_losses
from .epochs import draw_weights
from .figures import Figure, encoded, our_style
from .groups import KINDS, Groups
from .judgements import DOUBTS_ADVICE, DOUBTS_TITLE, doubts
from .losses import MIXTURE
from .sample import Sample, energy_per_atom, largest_error, largest_force
from .scatter import draw_map, draw_parity
from .structures import draw_structure
from .summary import CERTAIN, Summary, Suspect
from .tiles import tiles_of
from .truth import Truth
from .words import ADVICE, group_sentences, headline, how_sure, meaning_of_z, truth_sentences

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
DRAWN_AS_LINES = 80  # atoms; larger structures are smaller as dots


class Report(NamedTuple):
    """All that a page shows."""

    results: Results
    summary: Summary
    groups: Groups
    worst: list[Suspect]
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
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    filters = ("clean", "percent", "fixed", "milli", "unbroken")
    environment.filters.update({name: getattr(text, name) for name in filters})
    template = environment.from_string(files(__package__).joinpath("page.html.jinja").read_text(encoding="utf-8"))
    return template.render(_context(report))


def _context(report: Report) -> dict[str, Any]:
    summary, about, groups = report.summary, report.results.about, report.groups
    return {
        "name": text.clean(about.get("name") or report.results.prefix.name),
        "audit": summary.audit,
        "facts": _facts(report),
        "headline": headline(summary),
        "tiles": tiles_of(summary, groups, report.truth),
        "how_sure": how_sure(summary),
        "truth": truth_sentences(report.truth, summary) if report.truth else [],
        "group_sentences": group_sentences(groups, summary),
        "flagged": bool(groups.warnings),
        "advice": ADVICE,
        "doubts": doubts(summary),
        "doubts_title": DOUBTS_TITLE,
        "doubts_advice": DOUBTS_ADVICE,
        "head_columns": head_columns(summary.heads),
        "meaning_of_z": meaning_of_z(summary),
        "heads": summary.heads if len(summary.heads) > 1 else [],
        "validation": bool(summary.validation.any()),
        "dash": text.DASH,
        "suspects": [_card(suspect, report) for suspect in report.worst],
        "total": summary.suspects,
        "figures": [(figure, encoded(figure.canvas, "svg")) for figure in report.figures if figure.name != "groups"],
        "note": report.sample.note,
        "breakdowns": [(TITLES[kind], groups.breakdowns[kind]) for kind in KINDS],
        "share": summary.suspects / max(1, summary.rows - summary.unseen),
        "longest": max([group.share for shown in groups.breakdowns.values() for group in shown.groups] + [1e-9]),
        "table": about.get("table"),
        "folder": summary.folder,
        "directory": about.get("directory"),
        "parts": [(title, _shown(about.get(part))) for part, title in PARTS.items()],
    }


def _facts(report: Report) -> list[str]:
    """The run in a line."""
    about, found = report.results.about, []
    found.append("audit of a data set" if report.summary.audit else "training")
    if about.get("finished") is False:
        found.append("not finished")
    if np.isfinite(number(about.get("epoch"))) and not report.summary.audit:
        found.append(f"epoch {number(about['epoch']):.0f}")
    by_threshold = [head.losses for head in report.summary.heads if head.losses.kind != MIXTURE]
    thresholds = {losses.threshold for losses in by_threshold if np.isfinite(losses.threshold)}
    found.extend(f"threshold {threshold:g} sigma" for threshold in sorted(thresholds))
    if about.get("saved"):
        found.append(f"saved {str(about['saved']).replace('T', ' ')[:16]} UTC")
    return [text.clean(fact) for fact in found]


def _shown(part: object) -> list[tuple[str, str]]:
    entries = part if isinstance(part, Mapping) else {}
    return [(text.clean(name, 60), text.clean(value, 300)) for name, value in entries.items()]


def _card(suspect: Suspect, report: Report) -> dict[str, Any]:
    """What is shown of one suspect."""
    values, frame = suspect.values, report.sample.frames.get(suspect.row)
    source = str(values["source"])
    return {
        "rank": suspect.rank,
        "verdict": suspect.verdict,
        "file": suspect.file,
        "validation": suspect.validation,
        "values": values,
        "known": None if report.truth is None else bool(report.truth.labels[suspect.row]),
        "line": text.line_to_copy(source, values["frame"]),
        "reason": _reason(suspect),
        "drawing": _drawing(frame),
        "largest_error": math.nan if frame is None else largest_error(frame),
        "pairs": [] if frame is None else _pairs(frame),
    }


def _pairs(frame: Atoms) -> list[tuple[str, str, str]]:
    """What, label, prediction."""
    energies = [_value(energy_per_atom(frame, f"{kind}_energy"), 4) for kind in ("reference", "predicted")]
    largest = [_value(largest_force(frame, f"{kind}_forces"), 3) for kind in ("reference", "predicted")]
    return [("energy, eV/atom", energies[0], energies[1]), ("largest force, eV/Å", largest[0], largest[1])]


def _value(value: float | None, digits: int) -> str:
    if value is None:
        return text.DASH
    return text.fixed(value, digits) if math.isfinite(value) else "not finite"


def _reason(suspect: Suspect) -> str:
    """Which error stands out, against the median of the head."""
    if suspect.verdict == CERTAIN:
        return "a label, or the loss, is NaN or infinite"
    ratios = (("energy error", suspect.energy_ratio), ("force RMSE", suspect.force_ratio))
    said = [f"{name} {text.significant(ratio, 2)} times the median" for name, ratio in ratios if ratio >= NOTABLE]
    return ", ".join(said)


def _drawing(frame: Atoms | None) -> str:
    """A structure as a data URI; "" where there is none to draw."""
    if frame is None:
        return ""
    with our_style():
        canvas = draw_structure(frame)
    if canvas is None:
        return ""
    return encoded(canvas, "svg" if len(frame) <= DRAWN_AS_LINES else "png")
