"""Writing the table and the description of a run, each as a whole. No torch."""

import contextlib
import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas

from ..files import replacing
from .files import FILES, FORMAT, MARK, OPTIONAL_TEXT, TEXT, about_path, table_path

FORMULA = rf"^([=+@\t\r\n{MARK}-])"  # what a formula begins with; and the mark, which is taken off when read


def write_results(prefix: Path, table: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Write the table (columns by name, see COLUMNS) and the description; return the table's path."""
    return write_parts(prefix, [table], len(next(iter(table.values()))), about)


def write_parts(prefix: Path, parts: Iterable[Mapping[str, Any]], rows: int, about: Mapping[str, Any]) -> Path:
    """The same of a table in parts, of so many rows in all; what goes into a CSV file is one part."""
    path = table_path(prefix, rows)
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            [table] = parts
            _write_csv(pandas.DataFrame(dict(table), copy=False), temporary)
        else:
            _write_parquet(parts, temporary)
    write_about(prefix, path.name, about)
    return path


def write_about(prefix: Path, table: str, about: Mapping[str, Any]) -> None:
    """Write the description; `table`: where that is, seen from the folder of the results."""
    with replacing(about_path(prefix)) as temporary:
        text = json.dumps({"format": FORMAT, "table": table, **about}, indent=1, default=str)
        temporary.write_text(text + "\n", encoding="utf-8")


def write_parquet(parts: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write a table in parts to a file of its own."""
    with replacing(path) as temporary:
        _write_parquet(parts, temporary)


def _write_parquet(parts: Iterable[Mapping[str, Any]], path: Path) -> None:
    """One group of rows for each part, so that only one of them is in memory."""
    import pyarrow
    from pyarrow import parquet

    with contextlib.ExitStack() as stack:
        writer = None
        for part in parts:
            table = pyarrow.table({name: _arrow(column) for name, column in part.items()})
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema, compression="zstd"))
            writer.write_table(table, row_group_size=max(len(table), 1))


def _arrow(column: Any) -> Any:
    """A column as pyarrow has it; texts, each held once, are of the same type in all parts."""
    import pyarrow

    if not isinstance(column, pandas.Categorical):
        return pyarrow.array(column)
    used = column.remove_unused_categories()
    codes = pyarrow.array(used.codes, type=pyarrow.int32(), mask=used.codes < 0)
    return pyarrow.DictionaryArray.from_arrays(codes, pyarrow.array(used.categories, type=pyarrow.string()))


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
