"""How figures look, and how they are kept: as data of the page, and as PNG and SVG for a paper."""

import base64
import contextlib
import io
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image

from ..files import replacing
from .heads import Head
from .text import clean

# Okabe and Ito's colours, which people with colour-blindness can tell apart
SUSPECT, OTHER, PALE, BLACK, GREY = "#D55E00", "#0072B2", "#56B4E9", "#222222", "#8a8a8a"
MOST_HEADS = 6  # with a panel each
DASHES: Any = (0, (4, 3))
RASTER = 200  # dots per inch of what isn't kept as lines

COLOURS = 64  # of a drawing

STYLE = Path(__file__).with_name("figures.mplstyle")

Array = NDArray[np.float64]


class Figure(NamedTuple):
    """A figure with its title and caption."""

    name: str  # of its files
    title: str
    caption: str
    canvas: Canvas


@contextlib.contextmanager
def our_style() -> Iterator[None]:
    """Draw in the style of the report, whatever the user's matplotlibrc says (LaTeX would run untrusted names)."""
    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def label(name: str, limit: int = 40) -> str:
    """Return an untrusted name for a figure: on one line, and no mathematics in it."""
    return clean(name, limit).replace("\\", "/").replace("$", r"\$") or "(none)"


def note(axes: Axes, text: str) -> None:
    """Say why there is nothing to see."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY)
    axes.set(xticks=[], yticks=[])


def plain_ticks(axis: Axis) -> None:
    """Write 0.2 and 500 on a logarithmic axis, not powers of ten; 2 and 5 as well where the axis is short."""
    low, high = axis.get_view_interval()
    if axis.get_scale() == "log":
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 300 else (1,)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))


def draw_histogram(axes: Axes, values: Array, suspect: NDArray[np.bool_], edges: Array, log_from: int = 300) -> None:
    """Draw a histogram of all values and, before it, that of suspects; values beyond the edges go to the outer bins.

    With more than `log_from` values in the highest bin, a linear axis would hide the suspects.
    """
    values = values.clip(edges[0], edges[-1])
    counts = np.histogram(values, edges)[0]
    axes.stairs(counts, edges, fill=True, color=PALE, label="configurations")
    axes.stairs(np.histogram(values[suspect], edges)[0], edges, fill=True, color=SUSPECT, label="suspects")
    axes.set_xlim(edges[0], edges[-1])
    if counts.max() > log_from:
        axes.set(yscale="log", ylim=(0.6, 3 * counts.max()))
    else:
        axes.set_ylim(0, 1.18 * counts.max())
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    plain_ticks(axes.yaxis)


def largest(heads: list[Head]) -> list[Head]:
    """Return the heads that get a panel."""
    return sorted(heads, key=lambda head: -head.members)[:MOST_HEADS]


def more_heads(heads: list[Head]) -> str:
    """Say how many heads have no panel."""
    hidden = len(heads) - MOST_HEADS
    return f" The {MOST_HEADS} largest heads; {hidden} more are not shown." if hidden > 0 else ""


def head_legend(canvas: Canvas, panels: list[Axes], side: str) -> None:
    """Name what is drawn in any of the panels, once, above all of them."""
    named: dict[str, Any] = {}
    for axes in panels:
        named = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True)) | named
    place: Any = f"outside upper {side}"
    canvas.legend(list(named.values()), list(named), loc=place, ncols=5, handlelength=1.6)


def encoded(canvas: Canvas, kind: str) -> str:
    """Return a figure as a data URI, `kind` svg or png."""
    buffer = io.BytesIO()
    with our_style():
        canvas.savefig(buffer, format=kind, dpi=RASTER, metadata={"Date": None} if kind == "svg" else None)
    media = "svg+xml" if kind == "svg" else kind
    data = buffer.getvalue() if kind == "svg" else _with_few_colours(buffer)
    return f"data:image/{media};base64,{base64.b64encode(data).decode()}"


def _with_few_colours(picture: io.BytesIO) -> bytes:
    """A PNG of COLOURS colours, a quarter of the size: a drawing of atoms needs no more."""
    few, buffer = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE), io.BytesIO()
    few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def save(figures: list[Figure], folder: Path) -> None:
    """Write each figure as PNG and SVG to `folder`."""
    for figure, kind in product(figures, ("png", "svg")):
        with our_style(), replacing(folder / f"{figure.name}.{kind}") as temporary:
            figure.canvas.savefig(temporary, format=kind, dpi=300)
