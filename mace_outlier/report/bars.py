"""Figure of the groups: share of suspects by config_type, element and size. The page has it as tables."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from .figures import GREY, PALE, SUSPECT, Figure, label, note
from .groups import Breakdown, Groups

SHOWN = ("config_type", "element", "size")


def draw_groups(groups: Groups) -> Figure:
    """Bars of the share of suspects, with the share over all as a line."""
    places = max(3, *(len(groups.breakdowns[kind].groups) for kind in SHOWN))
    canvas = Canvas(figsize=(7.6, 1.0 + 0.2 * places))
    for axes, kind in zip(canvas.subplots(1, len(SHOWN)), SHOWN, strict=True):
        _draw_bars(axes, groups.breakdowns[kind], groups.share, places)
    caption = "Share of suspects by group, over all (line), and groups that are over-represented (orange)."
    return Figure("groups", "Groups", caption, canvas)


def _draw_bars(axes: Axes, breakdown: Breakdown, share: float, places: int) -> None:
    axes.set_title(breakdown.kind)
    groups = breakdown.groups[::-1]
    if not groups:
        note(axes, "none")
        return
    colours = [SUSPECT if group.flagged else PALE for group in groups]
    axes.barh(range(len(groups)), [group.share for group in groups], color=colours, height=0.7)
    axes.set_yticks(range(len(groups)), [label(group.name, 18) for group in groups])
    axes.axvline(share, color=GREY, linewidth=0.9)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(groups) - places - 0.5, len(groups) - 0.5)  # bars of one width in all panels
    axes.set_xlim(0, max(0.01, *(1.1 * group.share for group in groups)))
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel("suspects")
