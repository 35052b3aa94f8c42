"""What is known of the configurations of a run, as the columns of `results.files.COLUMNS`."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..method.processes import ALONE, Processes
from ..results.files import TRAIN
from ..states import JUDGED, MODEL, STATES, UNUSED
from ..weights.records import Records
from ..weights.rows import Rows

Columns = dict[str, Any]
PART = 1_000_000  # rows that are written at a time: bounds the memory


class Split(NamedTuple):
    """The configurations of the training set, or of the validation set; rows as in `provenance`."""

    name: str  # see results.files.TRAIN
    provenance: Provenance
    metadata: Metadata
    records: Records


def columns_of(split: Split) -> Columns:
    """Return the columns of a split; nothing is known of the validation set but its last evaluation."""
    return next(parts_of(split, max(split.records.size, 1)))


def parts_of(split: Split, size: int | None = None, of_share: bool = False) -> Iterator[Columns]:
    """Yield the same, so many rows at a time, None: PART; `of_share`: those of the share of this process."""
    size = PART if size is None else size
    share = split.records.share if of_share else slice(None)
    records: Rows | None = split.records if of_share else split.records.everyone
    if records is None:
        raise RuntimeError("only the first process knows the records of all configurations")
    known = identity(split.name, split.provenance, split.metadata, share)
    codes, training = records.codes.cpu().numpy(), split.name == TRAIN
    for first in range(0, max(len(codes), 1), size):
        part = slice(first, first + size)
        yield {name: column[part] for name, column in known.items()} | _learnt(records, training, codes[part], part)


def parts_of_all(splits: Sequence[Split], causes: Columns) -> Iterator[Columns]:
    """Yield the rows of all splits, one after the other, with `causes` of them all, PART rows at a time."""
    first = 0
    for part in (part for split in splits for part in parts_of(split)):
        own = slice(first, first + len(part["weight"]))
        yield part | {name: column[own] for name, column in causes.items()}
        first = own.stop


def _learnt(records: Rows, training: bool, codes: np.ndarray, part: slice) -> Columns:
    """What a run has found out about some rows, whose states are `codes` (n,), see `records`."""
    values = dict(zip(records.columns, records.table[:, part].cpu().numpy(), strict=True))
    own = {name: getattr(records, name)[part].cpu().numpy() for name in ("times_seen", "mean_weight", "suspect_since")}
    last_epoch, nothing = np.floor(values["time"]).astype(np.int32), np.float32(np.nan)
    judged = np.isin(codes, [STATES.index(JUDGED), STATES.index(MODEL)]) & (last_epoch >= 0)
    columns = {
        "times_seen": own["times_seen"] if training else (last_epoch >= 0).astype(np.int16),
        "last_epoch": last_epoch,
        "weight": values["weight"],
        "mean_weight": own["mean_weight"] if training else values["weight"],
        "zscore": np.where(judged, values["zscore"], nothing),
        "loss": np.where(np.isfinite(values["loss"]), values["loss"], nothing),
    }
    used = codes != STATES.index(UNUSED)
    residuals = {name: np.where(used, values[name], nothing) for name in records.residual_names}
    return columns | residuals | {"suspect_since": own["suspect_since"], "state": text_column(codes, list(STATES))}


def identity(split: str, rows: Provenance, metadata: Metadata, share: slice = slice(None)) -> Columns:
    """Return the columns that say which configuration a row is, of a share of the rows."""
    own, frames = groups(rows, metadata, share), rows.frame[share]
    return {
        "head": own["head"],
        "split": text_column(np.zeros(len(frames), dtype=np.int8), [split]),
        "source": own["source"],
        "frame": frames,
        "config_type": own["config_type"],
        "formula": text_column(*metadata.categories("formula", share)),
        "n_atoms": metadata.n_atoms.numpy()[share],
    }


def groups(rows: Provenance, metadata: Metadata, share: slice = slice(None), processes: Processes = ALONE) -> Columns:
    """Return the columns by which labels go wrong together, of a share of the rows; categories are those of all."""
    return {
        "head": text_column(rows.head[share], rows.heads),
        "source": text_column(rows.source[share], rows.sources),
        "config_type": text_column(*metadata.categories("config_type", share, processes)),
    }


def joined(splits: list[Columns]) -> Columns:
    """Return the rows of all splits, one after the other."""
    if len(splits) == 1:
        return splits[0]
    import pandas

    def column(name: str) -> Any:
        parts = [split[name] for split in splits]
        texts = isinstance(parts[0], pandas.Categorical)
        return pandas.api.types.union_categoricals(parts) if texts else np.concatenate(parts)

    return {name: column(name) for name in splits[0]}


def text_column(codes: np.ndarray, texts: list[str]) -> Any:
    """A column of texts, each held once."""
    import pandas

    return pandas.Categorical.from_codes(codes, texts)
