"""The report in a terminal. Nothing that comes from a data file is taken for markup or reaches the terminal unseen."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .causes import COLUMNS, CauseGroup
from .columns import COUNTS, Column, label_columns, suspect_columns
from .groups import Groups
from .judgements import DOUBTS_ADVICE, DOUBTS_TITLE, doubts
from .summary import Summary
from .text import clean
from .truth import Truth
from .words import ADVICE, group_sentences, headline, how_sure, truth_sentences

MEASURED = 2000  # columns that a table may want, to be measured
DROPPED = (
    "epochs\nseen",
    "suspect\nsince",
    "atoms",
    "config_type",
    "mean\nweight",
    "formula",
    "verdict",
)  # if narrow, the first one first


def show(
    out: Console,
    name: str,
    summary: Summary,
    groups: Groups,
    causes: list[CauseGroup],
    worst: list[Any],
    truth: Truth | None,
) -> None:
    """Print how many, how sure, what is wrong with them, which groups, which configurations."""
    out.print(Text(clean(name), style="dim"))
    out.print(Text(headline(summary), style="bold"))
    doubtful = doubts(summary)
    if doubtful:
        out.print(Text(DOUBTS_TITLE, style="bold yellow"))
        _bullets(out, [*doubtful, DOUBTS_ADVICE])
    _bullets(out, [*(truth_sentences(truth, summary) if truth else []), *how_sure(summary)])
    if groups.warnings:
        out.print(Text("\nOver-represented among the suspects", style="bold yellow"))
    _bullets(out, [*group_sentences(groups, summary), *([ADVICE] if groups.warnings else [])])
    name_of = Column("head", lambda row: clean(row.name, 40) or "(none)", "name")
    tables = [_table("What is wrong with them", COLUMNS, causes)] if causes else []
    tables += [_suspects(out, worst, summary, truth)] if worst else []
    if len(summary.heads) > 1:
        labels = label_columns(summary.heads, summary.below)
        tables.append(_table("By head", [name_of, *COUNTS, *labels], summary.heads))
    config_types = groups.breakdowns["config_type"]
    mark = Column("", lambda group: "look at this one" if group.flagged else "", "")
    columns = [name_of._replace(title="config_type"), *COUNTS, mark]
    tables.append(_table("By config_type", columns, config_types.groups))
    if config_types.left_out:
        tables[-1].add_row(Text(f"and {config_types.left_out:,} more"))
    for table in tables:
        out.print()
        out.print(table)


def _bullets(out: Console, sentences: Iterable[str]) -> None:
    grid = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        grid.add_row(Text("-"), Text(sentence))
    out.print(grid)


def _table(title: str, columns: Iterable[Column], rows: Iterable[Any]) -> Table:
    table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    for column in columns:
        table.add_column(Text(column.title), justify="right" if column.kind == "n" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.shown(row)) for column in columns))
    return table


def _suspects(out: Console, worst: list[Any], summary: Summary, truth: Truth | None) -> Table:
    """The worst suspects; on a narrow terminal without the columns that say least."""
    columns = suspect_columns(summary, truth)
    left_out: list[str] = []
    for title in ("", *DROPPED):
        left_out += [" ".join(title.split()) for column in columns if column.title == title]
        columns = [column for column in columns if column.title != title]
        table = _table(f"The worst {len(worst)} of {summary.suspects:,} suspects", columns, worst)
        if out.measure(table, options=out.options.update(max_width=MEASURED)).maximum <= out.width:
            break
    notes = [f"files are in {clean(summary.folder)}"] if summary.folder else []
    notes += [f"left out for want of width: {', '.join(left_out)}"] if left_out else []
    table.caption = Text("\n".join(notes)) if notes else None
    return table
