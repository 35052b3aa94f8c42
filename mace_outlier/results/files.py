"""What a run leaves behind about its configurations, beside the host's results, and how it is read again. No torch.

    <tag>_outliers.csv      one row for each configuration (.parquet above 200,000 rows); see COLUMNS
    <tag>_outliers.json     options, versions, fitted loss distribution, history of the weights: "about"
    <tag>_outliers.xyz      the worst suspects and some others, with labels and predictions (extended XYZ)

Each file is replaced as a whole, so that a killed run leaves the last complete one.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from ..files import replacing

LARGEST_CSV = 200_000  # rows; more go to Parquet
FORMAT = 1
DIGITS = 3  # of a weight that are shown
UNKNOWN_SOURCE = "training set"  # a kind of data that we don't know; frame: position in it, counted over all heads

TRAIN, VALID, AUDIT = "train", "valid", "audit"  # values of split
TEXT = ("head", "split", "source", "config_type", "formula")
WHOLE = ("frame", "n_atoms", "times_seen", "last_epoch")
# head, split (see above), source (file), frame (0-based, `ase.io.read(source, frame)`), config_type, formula ("": not
# seen yet), n_atoms (0: not seen yet), times_seen (epochs; validation: 1, or 0), last_epoch (-1: never seen), weight
# (latest, in [0, 1]), mean_weight (moving average over epochs; validation: the weight), zscore (sigmas), loss (unit of
# the base loss; NaN: labels or loss not finite), energy_error_per_atom (prediction - label, eV/atom), force_rmse
# (eV/A), stress_rmse (eV/A^3, where stress is trained); residuals are those of the last visit in training, or of the
# last validation, NaN without a label
COLUMNS = (
    "head", "split", "source", "frame", "config_type", "formula", "n_atoms", "times_seen", "last_epoch", "weight",
    "mean_weight", "zscore", "loss", "energy_error_per_atom", "force_rmse",
)  # fmt: skip
OPTIONAL_COLUMNS = ("stress_rmse", "virials_rmse")


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


def worst_first(weights: np.ndarray, zscores: np.ndarray, nonfinite: np.ndarray) -> np.ndarray:
    """Return the order in which suspects (M,) are named.

    Labels or losses that are not finite first, then by rising weight as far as it is shown (of two that are certainly
    wrong, the tiny weights say nothing), then by falling z-score, NaN last.
    """
    falling = -np.nan_to_num(zscores.astype(float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return np.lexsort((falling, np.round(weights, DIGITS), ~nonfinite))


def table_path(prefix: Path, rows: int) -> Path:
    """Where a table of so many rows goes."""
    return prefix.with_name(prefix.name + "_outliers" + (".csv" if rows <= LARGEST_CSV else ".parquet"))


def about_path(prefix: Path) -> Path:
    """Where the description of the run goes."""
    return prefix.with_name(prefix.name + "_outliers.json")


def sample_path(prefix: Path) -> Path:
    """Where the evaluated sample goes."""
    return prefix.with_name(prefix.name + "_outliers.xyz")


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
        temporary.write_text(json.dumps({"format": FORMAT, "table": path.name, **about}, indent=1, default=str) + "\n")
    return path


def _write_csv(frame: pandas.DataFrame, path: Path) -> None:
    """By pyarrow, which takes a tenth of pandas's time; texts are quoted only where one of them needs it."""
    import pyarrow
    from pyarrow import compute, csv

    table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    texts = {name: table[name].cast(pyarrow.string()) for name in TEXT if name in frame}
    special = any(compute.any(compute.match_substring_regex(own, '[",\r\n]')).as_py() for own in texts.values())
    options = csv.WriteOptions(include_header=False, quoting_style="needed" if special else "none")
    with path.open("wb") as file:
        file.write((",".join(frame) + "\n").encode())
        csv.write_csv(pyarrow.table({name: texts.get(name, table[name]) for name in frame}), file, options)


def set_aside(prefix: Path) -> list[Path]:
    """Rename results that an earlier run under the same name left, so that nothing is lost; return their new paths."""
    found = [path for path in _all_paths(prefix) if path.exists()]
    number = 1
    while any(_numbered(path, number).exists() for path in _all_paths(prefix)):
        number += 1
    for path in found:
        os.replace(path, _numbered(path, number))
    return [_numbered(path, number) for path in found]


def _all_paths(prefix: Path) -> list[Path]:
    return [table_path(prefix, 0), table_path(prefix, LARGEST_CSV + 1), about_path(prefix), sample_path(prefix)]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


# --- reading ---------------------------------------------------------------------------------------------------------


def read_results(run: str | Path) -> Results:
    """Read the results of a run: one of its files, its `<results_dir>/<tag>`, or a folder that holds one run.

    Raises:
        ResultsError: there is none, there are several, or the files are not ours.
    """
    prefix = find_prefix(Path(run))
    try:
        about = json.loads(about_path(prefix).read_text())
        path = prefix.with_name(about["table"])
        table = _read_table(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"the results {prefix}_outliers.* can't be read: {error}") from error
    if about.get("rows", len(table)) != len(table):
        raise ResultsError(
            f"{path} has {len(table)} rows, but {about_path(prefix).name} says {about['rows']}: "
            "one of them was cut, or is of another run"
        )
    if "split" not in table:  # of a version that knew the training set only
        table["split"] = pandas.Categorical.from_codes(np.zeros(len(table), dtype=np.int8), [TRAIN])
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ResultsError(f"{path} has no column {', '.join(missing)}: it is no table of mace-outlier")
    return Results(prefix, table, about)


def find_prefix(run: Path) -> Path:
    """Return `<results_dir>/<tag>` for a file, a tag or a folder; raises ResultsError."""
    if run.is_dir():
        return _only(run)
    name = run.name
    if "_outliers" in name and run.suffix in (".csv", ".parquet", ".json", ".xyz", ".html"):
        name = name[: name.rindex("_outliers")]
    for folder in (run.parent, run.parent / "results"):
        if about_path(folder / name).exists():
            return folder / name
    raise ResultsError(
        f"there is no {about_path(run.with_name(name))}: give the folder of the training, <results_dir>/<tag> or the "
        "table that the training wrote there"
    )


def _only(folder: Path) -> Path:
    found = sorted([*folder.glob("*_outliers.json"), *folder.glob("results/*_outliers.json")])
    if not found:
        raise ResultsError(f"no *_outliers.json in {folder} or {folder / 'results'}: was it trained with ema_robust?")
    prefixes = [path.with_name(path.name.removesuffix("_outliers.json")) for path in found]
    if len(prefixes) > 1:
        raise ResultsError(f"several runs in {folder}, name one of them: {', '.join(map(str, prefixes))}")
    return prefixes[0]


def _read_table(path: Path) -> pandas.DataFrame:
    if path.suffix == ".parquet":
        return pandas.read_parquet(path)
    # a config_type may be called "NA" or "001": text stays as it is
    types: dict[str, Any] = dict.fromkeys(TEXT, str) | dict.fromkeys(WHOLE, np.int64)
    numbers = {name: [""] for name in (*COLUMNS, *OPTIONAL_COLUMNS) if name not in TEXT}
    return pandas.read_csv(path, dtype=types, keep_default_na=False, na_values=numbers)
