"""Writing the table and the description of a run, each as a whole. No torch."""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas

from ..files import replacing
from .files import FILES, FORMAT, MARK, OPTIONAL_TEXT, TEXT, about_path, table_path

FORMULA = rf"^([=+@\t\r\n{MARK}-])"  # what a formula begins with; and the mark, which is taken off when read


def write_results(prefix: Path, table: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Write the table (columns by name, see COLUMNS) and the description; return the table's path."""
    frame = pandas.DataFrame(dict(table), copy=False)
    path = table_path(prefix, len(frame))
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            _write_csv(frame, temporary)
        else:
            frame.to_parquet(temporary, index=False, compression="zstd")
    with replacing(about_path(prefix)) as temporary:
        text = json.dumps({"format": FORMAT, "table": path.name, **about}, indent=1, default=str)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path


def _write_csv(frame: pandas.DataFrame, path: Path) -> None:
    """By pyarrow, which takes a tenth of pandas's time; texts are quoted only where one of them needs it.

    Spreadsheets take a cell for a formula by its first character, in quotes or not, and run it: where a text begins
    with one of these, MARK goes before it.
    """
    import pyarrow
    from pyarrow import compute, csv

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    texts = {
        name: compute.replace_substring_regex(table[name].cast(pyarrow.string()), FORMULA, rf"{MARK}\1")
        for name in (*TEXT, *OPTIONAL_TEXT)
        if name in frame
    }
    special = any(compute.any(compute.match_substring_regex(text, '[",\r\n]')).as_py() for text in texts.values())
    options = csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
    with path.open("wb") as file:
        file.write((",".join(frame) + "\n").encode())
        csv.write_csv(pyarrow.table({name: texts.get(name, table[name]) for name in frame}), file, options)


def set_aside(prefix: Path) -> list[Path]:
    """Rename results that an earlier run under the same name left, so that nothing is lost; return their new paths."""
    for number in itertools.count(1):
        moves = {_file(prefix, suffix): _file(prefix, f".{number}{suffix}") for suffix in FILES}
        if not any(path.exists() for path in moves.values()):
            break
    return [path.replace(moves[path]) for path in moves if path.exists()]


def _file(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)
