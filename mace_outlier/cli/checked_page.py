"""What `mace_outlier check --html` writes: the findings as a page, with drawings of a few frames that they name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..checks.catalogue import CHECKS
from ..checks.finding import CERTAIN, LIKELY, LOOK, Finding
from ..checks.naming import by_file, numbered
from ..checks.reading import pick
from ..checks.survey import Survey
from ..report.findings import Chapter, Drawing, FindingsPage, Place, ReadFile, Row, picture_of, write_findings
from ..report.text import common_folder, line_to_copy, of_many
from ..report.tiles import Tile
from .checked import count_of, headline

__all__ = ["page_of", "write_findings"]

MOST = 300  # findings on the page
PIECES = 40  # of a list of frames: "3, 7-9, 12"
DRAWN = ("work", "net_force", "sizes", "energies", "geometry")  # checks whose frames are drawn
EACH, ALL = 3, 24  # drawings of a finding, and of the page
LAST = 100_000  # frames of a file that are gone through for a drawing


def page_of(survey: Survey, findings: Sequence[Finding], names: Sequence[str]) -> FindingsPage:
    """Put together what the page shows."""
    shown, counts = findings[:MOST], count_of(findings)
    named = np.unique(np.concatenate([np.zeros(0, np.int64), *(finding.rows for finding in findings)]))
    drawings = _drawings(survey, shown)
    chapters = []
    for name in names:
        own = [finding for finding in shown if finding.check == name]
        if own:
            rows = [_row(survey, finding) for finding in own]
            chapters.append(Chapter(name, CHECKS[name][1], rows, [d for f in own for d in drawings.get(id(f), [])]))
    paths = [source.path for source in survey.sources]
    several = common_folder(paths) or of_many(len(paths), "file")
    return FindingsPage(
        name=Path(paths[0]).name if len(paths) == 1 else several,
        headline=headline(survey, findings),
        tiles=[
            Tile(f"{counts[CERTAIN]:,}", "findings that are certain", counts[CERTAIN] > 0),
            Tile(f"{counts[LIKELY]:,}", "findings that are likely", counts[LIKELY] > 0),
            Tile(f"{counts[LOOK]:,}", "findings to look at"),
            Tile(f"{len(named):,}", f"of {of_many(len(survey.frames), 'frame')} in a finding"),
        ],
        chapters=chapters,
        nothing=[name for name in names if not any(finding.check == name for finding in findings)],
        left_out=len(findings) - len(shown),
        files=_files(survey, named),
    )


def _row(survey: Survey, finding: Finding) -> Row:
    frames = by_file(survey, finding.rows)
    places = [Place(path, numbered(survey, path, own, PIECES)) for path, own in frames.items()]
    group = finding.where.partition(", config_type ")[2]
    if group:
        places.append(Place(f"config_type {group}", ""))
    if not places and finding.where:
        places = [Place(finding.where, "")]
    return Row(finding.certainty, finding.what, finding.fix, places)


def _files(survey: Survey, named: np.ndarray) -> list[ReadFile]:
    inside = np.bincount(survey.frames["source"][named], minlength=len(survey.sources))
    sizes = np.bincount(survey.frames["source"], minlength=len(survey.sources))
    return [
        ReadFile(source.path, source.role, source.head, int(frames), int(own))
        for source, frames, own in zip(survey.sources, sizes, inside, strict=True)
    ]


def _drawings(survey: Survey, findings: Sequence[Finding]) -> dict[int, list[Drawing]]:
    """A few frames of each finding that isn't about most of the data, by the finding's `id`."""
    chosen: dict[str, list[tuple[Finding, int]]] = {}  # by file
    count = 0
    for finding in findings:
        if finding.check not in DRAWN or len(finding.rows) > 0.5 * len(survey.frames):
            continue
        for row in finding.rows[: min(EACH, ALL - count)].tolist():
            source, frame = survey.frames[row][["source", "frame"]].tolist()
            if frame < LAST:
                chosen.setdefault(survey.sources[source].path, []).append((finding, frame))
                count += 1
    found: dict[int, list[Drawing]] = {}
    for path, wanted in chosen.items():
        frames = pick(path, [frame for _, frame in wanted])
        for finding, frame in wanted:
            picture = picture_of(frames[frame])
            if picture:
                formula, line = frames[frame].get_chemical_formula("hill"), line_to_copy(path, frame)
                drawing = Drawing(path, frame, formula, finding.certainty, finding.what, line, picture)
                found.setdefault(id(finding), []).append(drawing)
    return found
