"""Finding and reading the results of a run. No torch."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from ..states import with_states
from .files import COLUMNS, FILES, MARK, OPTIONAL_TEXT, TEXT, WHOLE, about_path, sample_path


class ResultsError(ValueError):
    """The results of a run can't be found or read; the message says where was looked and what to do."""


class Results(NamedTuple):
    """The saved results of one run."""

    prefix: Path  # of its files: <results_dir>/<tag>
    table: pandas.DataFrame  # a row for each configuration: COLUMNS; training first, by heads, sources and frames
    about: dict[str, Any]

    @property
    def sample(self) -> Path:
        """Suspects and others with labels and predictions; may not exist (a run that was killed)."""
        return sample_path(self.prefix)


def read_results(run: str | Path) -> Results:
    """Read the results of a run: one of its files, its `<results_dir>/<tag>`, or a folder that holds one run.

    Raises:
        ResultsError: there is none, there are several, or the files are not ours.
    """
    prefix = find_prefix(Path(run))
    try:
        about = json.loads(about_path(prefix).read_text(encoding="utf-8"))
        path = _path_of_table(prefix, Path(about["table"]))
        table = _read_table(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"the results {prefix}_outliers.* can't be read: {error}") from error
    if about.get("rows", len(table)) != len(table):
        raise ResultsError(
            f"{path} has {len(table)} rows, but {about_path(prefix).name} says {about['rows']}: "
            "one of them was cut, or is of another run"
        )
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ResultsError(f"{path} has no column {', '.join(missing)}: it is no table of mace-outlier")
    return Results(prefix, with_states(table), about)


def _path_of_table(prefix: Path, told: Path) -> Path:
    """Where a table is that was told to be there when the run had its first name: a file, or a folder in a folder."""
    return about_path(prefix).with_suffix(Path(*told.parts[:1]).suffix) / Path(*told.parts[1:2])


def find_prefix(run: Path) -> Path:
    """Return `<results_dir>/<tag>` for a file, a tag or a folder; raises ResultsError."""
    if run.name and about_path(run).exists():
        return run  # beside a folder of the same name, too
    if run.is_dir() and run.suffix != ".parts":
        return _only_run(run)
    tag = next((run.name.removesuffix(suffix) for suffix in FILES if run.name.endswith(suffix)), run.name)
    for folder in (run.parent, run.parent / "results"):
        if about_path(folder / tag).exists():
            return folder / tag
    raise ResultsError(
        f"there is no {about_path(run.with_name(tag))}: give the folder of the training, <results_dir>/<tag> or the "
        "table that the training wrote there"
    )


def _only_run(folder: Path) -> Path:
    paths = sorted([*folder.glob("*_outliers.json"), *folder.glob("results/*_outliers.json")])
    if not paths:
        raise ResultsError(f"no *_outliers.json in {folder} or {folder / 'results'}: was it trained with ema_robust?")
    found = [path.with_name(path.name.removesuffix("_outliers.json")) for path in paths]
    set_aside = {path for path in found if path.suffix[1:].isdigit() and path.with_suffix("") in found}
    prefixes = [path for path in found if path not in set_aside]
    if len(prefixes) > 1:
        raise ResultsError(f"several runs in {folder}, name one of them: {', '.join(map(str, prefixes))}")
    return prefixes[0]


def _read_table(path: Path) -> pandas.DataFrame:
    if path.suffix == ".parquet" or path.is_dir():
        from pyarrow import parquet

        return parquet.read_table(path).to_pandas(split_blocks=True, self_destruct=True)  # never all of it twice
    # a config_type may be called "NA" or "001": text stays as it is
    types: dict[str, Any] = dict.fromkeys((*TEXT, *OPTIONAL_TEXT), str) | dict.fromkeys(WHOLE, np.int64)
    columns = pandas.read_csv(path, nrows=0, encoding="utf-8").columns
    numbers = {name: [""] for name in columns if types.get(name) is not str}
    table = pandas.read_csv(path, dtype=types, keep_default_na=False, na_values=numbers, encoding="utf-8")
    for name in {*TEXT, *OPTIONAL_TEXT} & {*table}:
        if table[name].str.startswith(MARK).any():
            table[name] = table[name].str.removeprefix(MARK)
    return table
