"""Tables in the README of mini-SPICE."""

import re
from pathlib import Path


def write_tables(path: Path, tables: dict[str, str]) -> None:
    """Put tables into their places, <!-- spice NAME: ... --> to <!-- end -->."""
    text = path.read_text()
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- spice {name}: [^\n]*-->\n).*?(<!-- end -->)", re.S)
        assert len(pattern.findall(text)) == 1, name
        text = pattern.sub(lambda match, table=table: match[1] + table + match[2], text)
    path.write_text(text)
