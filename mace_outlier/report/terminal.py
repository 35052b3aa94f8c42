"""The report in a terminal. Nothing that comes from a data file is taken for markup or reaches the terminal unseen."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .columns import head_columns
from .groups import Breakdown, Groups
from .judgements import DOUBTS_ADVICE, DOUBTS_TITLE, doubts
from .summary import Summary, Suspect
from .text import DASH, clean, fixed, milli, percent
from .truth import Truth
from .words import ADVICE, group_sentences, headline, how_sure, truth_sentences

PIPED_WIDTH = 200  # columns where the output is no terminal
# name -> (side, what is shown of a suspect)
COLUMNS: dict[str, tuple[str, Callable[[Suspect], str]]] = {
    "#": ("right", lambda suspect: str(suspect.rank)),
    "head": ("left", lambda suspect: clean(suspect.values["head"], 16)),
    "split": ("left", lambda suspect: clean(suspect.values["split"], 16)),
    "source": ("left", lambda suspect: clean(suspect.file, 40)),
    "frame": ("right", lambda suspect: str(suspect.values["frame"])),
    "config_type": ("left", lambda suspect: clean(suspect.values["config_type"], 24)),
    "formula": ("left", lambda suspect: clean(suspect.values["formula"], 20)),
    "atoms": ("right", lambda suspect: str(suspect.values["n_atoms"])),
    "weight": ("right", lambda suspect: fixed(suspect.values["weight"], 3)),
    "mean": ("right", lambda suspect: fixed(suspect.values["mean_weight"], 3)),
    "z": ("right", lambda suspect: fixed(suspect.values["zscore"])),
    "dE\nmeV/atom": ("right", lambda suspect: milli(suspect.values["energy_error_per_atom"], signed=True)),
    "F RMSE\nmeV/A": ("right", lambda suspect: milli(suspect.values["force_rmse"])),
    "seen": ("right", lambda suspect: DASH if suspect.validation else str(suspect.values["times_seen"])),
    "verdict": ("left", lambda suspect: suspect.verdict),
}
DROPPED = ("seen", "atoms", "config_type", "mean", "formula", "verdict")  # on a narrow terminal, the first one first


class OurConsole(Console):
    """Rich's own would end the program, and the page would not be written."""

    def on_broken_pipe(self) -> None:
        """Leave it to `output.may_be_unread`."""
        raise BrokenPipeError


def console() -> Console:
    """Return a console that shows text as it is."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode
    options: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
    return OurConsole(**options) if sys.stdout.isatty() else OurConsole(width=PIPED_WIDTH, **options)


def show(out: Console, name: str, summary: Summary, groups: Groups, worst: list[Suspect], truth: Truth | None) -> None:
    """Print how many, how sure, which groups, which configurations."""
    out.print(Text(clean(name), style="dim"))
    out.print(Text(headline(summary), style="bold"))
    doubtful = doubts(summary)
    if doubtful:
        out.print(Text(DOUBTS_TITLE, style="bold yellow"))
        _bullets(out, [*doubtful, DOUBTS_ADVICE])
    _bullets(out, [*(truth_sentences(truth, summary) if truth else []), *how_sure(summary)])
    if groups.warnings:
        out.print(Text("\nOver-represented among the suspects", style="bold yellow"))
        _bullets(out, [*group_sentences(groups, summary), ADVICE])
    else:
        _bullets(out, group_sentences(groups, summary))
    tables = [_suspects(out, worst, summary, truth)] if worst else []
    tables += [_heads(summary)] if len(summary.heads) > 1 else []
    for table in [*tables, _breakdown(groups.breakdowns["config_type"])]:
        out.print()
        out.print(table)


def _bullets(out: Console, sentences: Iterable[str]) -> None:
    grid = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        grid.add_row(Text("-"), Text(sentence))
    out.print(grid)


def _table(title: str, columns: Iterable[tuple[str, str]]) -> Table:
    """A table with (name, "left" or "right") columns."""
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    for name, side in columns:
        table.add_column(Text(name), justify="right" if side == "right" else "left", overflow="fold")
    return table


def _suspects(out: Console, worst: list[Suspect], summary: Summary, truth: Truth | None) -> Table:
    """The worst suspects; on a narrow terminal without the columns that say least."""
    columns = dict(COLUMNS)
    if truth:
        columns["truth"] = ("left", lambda suspect: "wrong" if truth.labels[suspect.row] else "right")
    if len(summary.heads) == 1:
        del columns["head"]
    if not summary.validation.any():
        del columns["split"]
    left_out: list[str] = []
    for dropped in ("", *DROPPED):
        left_out += [dropped] if columns.pop(dropped, None) else []
        title = f"The worst {len(worst)} of {summary.suspects:,} suspects"
        table = _table(title, [(name, side) for name, (side, _) in columns.items()])
        for suspect in worst:
            table.add_row(*(Text(show(suspect)) for _, show in columns.values()))
        if out.measure(table, options=out.options.update(max_width=10 * PIPED_WIDTH)).maximum <= out.width:
            break
    notes = [f"sources are in {clean(summary.folder)}"] if summary.folder else []
    notes += [f"left out for want of width: {', '.join(left_out)}"] if left_out else []
    table.caption = Text("\n".join(notes)) if notes else None
    return table


def _heads(summary: Summary) -> Table:
    columns = head_columns(summary.heads)
    names = ("configurations", "suspects", "share", "mean weight", *(name for name, _ in columns))
    table = _table("By head", [("head", "left"), *((name, "right") for name in names)])
    for head in summary.heads:
        cells = [clean(head.name, 40), f"{head.members:,}", f"{head.suspects:,}"]
        cells += [percent(head.suspects / max(head.members, 1)), fixed(head.mean_weight, 3)]
        table.add_row(*(Text(cell) for cell in [*cells, *(shown(head) for _, shown in columns)]))
    return table


def _breakdown(breakdown: Breakdown) -> Table:
    names = ("configurations", "suspects", "share", "mean weight")
    table = _table(
        f"By {breakdown.kind}", [(breakdown.kind, "left"), *((name, "right") for name in names), ("", "left")]
    )
    for group in breakdown.groups:
        cells = [clean(group.name, 40) or "(none)", f"{group.members:,}", f"{group.suspects:,}", percent(group.share)]
        cells += [f"{group.mean_weight:.3f}", "look at this one" if group.flagged else ""]
        table.add_row(*(Text(cell) for cell in cells))
    if breakdown.left_out:
        table.add_row(Text(f"and {breakdown.left_out:,} more"))
    return table
