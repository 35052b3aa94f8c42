"""What a run leaves behind about its configurations, beside the host's results, and how it is read again. No torch.

    <tag>_outliers.csv      one row for each configuration (.parquet above 200,000 rows); see COLUMNS
    <tag>_outliers.json     options, versions, fitted loss distribution, history of the weights: "about"
    <tag>_outliers.xyz      the worst suspects and some others, with labels and predictions (extended XYZ)
    <tag>_outliers.html     the page, where the report wrote one
    <tag>_outliers.parts    tables of very many configurations, while several processes are training: see `run.parts`

Those of an earlier run of this tag are kept as <tag>.1_outliers.*: a tag of their own, by which they are read. Each
file is replaced as a whole, so that a killed run leaves the last complete one.
"""

from pathlib import Path

import numpy as np

LARGEST_CSV = 200_000  # rows; more go to Parquet
FORMAT = 1
DIGITS = 3  # of a weight that are shown
MARK = "'"  # before a text of the CSV that a spreadsheet would take for a formula

TRAIN, VALID, AUDIT = "train", "valid", "audit"  # values of split
TEXT = ("head", "split", "source", "config_type", "formula")
WHOLE = ("frame", "n_atoms", "times_seen", "last_epoch")
# head, split (see above), source (file), frame (0-based, `ase.io.read(source, frame)`), config_type, formula ("": not
# seen yet), n_atoms (0: not seen yet), times_seen (epochs; validation: 1, or 0), last_epoch (-1: never seen), weight
# (latest, in [0, 1]), mean_weight (moving average over epochs; validation: the weight), zscore (sigmas; NaN: not
# judged), loss (unit of the base loss; NaN: not finite, 0: nothing to judge by; `state` says why),
# energy_error_per_atom (prediction - label, eV/atom), force_rmse (eV/A), and residuals of what else is trained, see
# `data.labels.RESIDUALS`: those of the last visit in training, or of the last validation, NaN without a label. Not in
# an audit: suspect_since (epoch after which the weight fell below 1/2, and has been since; -1: it isn't)
COLUMNS = (
    "head", "split", "source", "frame", "config_type", "formula", "n_atoms", "times_seen", "last_epoch", "weight",
    "mean_weight", "zscore", "loss", "energy_error_per_atom", "force_rmse",
)  # fmt: skip
OPTIONAL_TEXT = ("state", "cause")  # see `states`; with cause_certainty, cause_value: see `causes.cause`, "": not known
FILES = ("_outliers.csv", "_outliers.parquet", "_outliers.json", "_outliers.xyz", "_outliers.html", "_outliers.parts")


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


def parts_path(prefix: Path) -> Path:
    """Where the parts of very large tables go, in a folder of each epoch."""
    return prefix.with_name(prefix.name + "_outliers.parts")


def about_path(prefix: Path) -> Path:
    """Where the description of the run goes."""
    return prefix.with_name(prefix.name + "_outliers.json")


def sample_path(prefix: Path) -> Path:
    """Where the evaluated sample goes."""
    return prefix.with_name(prefix.name + "_outliers.xyz")
