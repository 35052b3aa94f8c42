"""The page of `mace_outlier check`: what was found before any training. One file, as that of a run."""

from pathlib import Path
from typing import NamedTuple

from ase import Atoms

from ..files import replacing
from .figures import encoded, our_style
from .html import fill
from .structures import draw_structure
from .tiles import Tile


class Place(NamedTuple):
    """Frames of a file."""

    file: str
    frames: str  # "3, 7-9 (4)"; "": the file as a whole, or an option


class Row(NamedTuple):
    """A finding."""

    certainty: str
    what: str
    fix: str
    places: list[Place]


class Drawing(NamedTuple):
    """A frame that a finding names."""

    file: str
    frame: int
    formula: str
    certainty: str
    why: str
    line: str  # of Python, that reads it; "" where there is none
    picture: str  # data URI


class Chapter(NamedTuple):
    """What a check found."""

    check: str
    what: str  # it looks for
    rows: list[Row]
    drawings: list[Drawing]


class ReadFile(NamedTuple):
    """A file that was read."""

    path: str
    role: str
    head: str
    frames: int
    named: int  # frames that a finding names


class FindingsPage(NamedTuple):
    """All that the page shows."""

    name: str
    headline: str
    tiles: list[Tile]
    chapters: list[Chapter]
    nothing: list[str]  # checks that found nothing
    left_out: int  # findings
    files: list[ReadFile]


def write_findings(page: FindingsPage, path: Path) -> None:
    """Write the page, replacing an earlier one as a whole."""
    html = fill("findings.html.jinja", page=page)
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def picture_of(atoms: Atoms) -> str:
    """Draw a structure, as a data URI; "" where that isn't possible."""
    with our_style():
        canvas = draw_structure(atoms)
    return encoded(canvas, "png") if canvas else ""
