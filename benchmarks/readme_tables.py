"""Tables in the READMEs of benchmarks."""

import re
from pathlib import Path


def write_tables(path: Path, benchmark: str, tables: dict[str, str]) -> None:
    """Put tables into their places, <!-- BENCHMARK NAME: ... --> to <!-- end -->."""
    text = path.read_text()
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {benchmark} {name}: [^\n]*-->\n).*?(<!-- end -->)", re.S)
        assert len(pattern.findall(text)) == 1, name
        text = pattern.sub(lambda match, table=table: match[1] + table + match[2], text)
    path.write_text(text)


def markdown(head: list[str], lines: list[list[str]]) -> str:
    """A table of these columns and lines."""
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows).replace("| --- ", "|---").replace("|--- |", "|---|")
