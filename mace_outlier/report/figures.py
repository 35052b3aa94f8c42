"""How figures look, and how they are kept: as data of the page, and as PNG and SVG for a paper."""

import base64
import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..files import replacing
from .heads import Head
from .text import clean

# Okabe and Ito's colours, which people with colour-blindness can tell apart
SUSPECT, OTHER, PALE, BLACK, GREY = "#D55E00", "#0072B2", "#56B4E9", "#222222", "#8a8a8a"
WRONG = "#7a2e00"  # a curve before the colour of suspects
CYCLE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")  # heads; not the colour of suspects
MOST_HEADS = 6  # that get a panel of their own
RASTER = 200  # dots per inch of what isn't kept as lines

STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e9e9e9",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "legend.framealpha": 0.8,
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "mace-outlier",
    "figure.constrained_layout.use": True,
}


class Figure(NamedTuple):
    """A figure with what is said about it."""

    name: str  # of its files
    title: str
    caption: str
    canvas: Canvas


@contextlib.contextmanager
def our_style() -> Iterator[None]:
    """Draw in the style of the report, whatever the user's own matplotlibrc says (LaTeX would run untrusted names)."""
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
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))


def _plain(value: float) -> str:
    if not value:
        return "0"
    return f"{value:,.6g}" if 1e-3 <= abs(value) < 1e6 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")


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
        named = {name: handle for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)} | named
    place: Any = f"outside upper {side}"
    canvas.legend(list(named.values()), list(named), loc=place, ncols=5, handlelength=1.6)


def encoded(canvas: Canvas, kind: str, dpi: float = RASTER) -> str:
    """Return a figure as a data URI, `kind` svg or png."""
    buffer = io.BytesIO()
    with our_style():
        canvas.savefig(buffer, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
    media = "image/svg+xml" if kind == "svg" else "image/png"
    return f"data:{media};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def save(figures: list[Figure], folder: Path) -> list[Path]:
    """Write each figure as PNG and SVG to `folder`; return the paths."""
    paths = []
    for figure in figures:
        for kind in ("png", "svg"):
            path = folder / f"{figure.name}.{kind}"
            with our_style(), replacing(path) as temporary:
                figure.canvas.savefig(temporary, format=kind, dpi=300)
            paths.append(path)
    return paths
