"""What is known of the configurations of a run, as the columns of `results.files.COLUMNS`."""

from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..results.files import TRAIN
from ..states import JUDGED, MODEL, STATES, UNUSED
from ..weights.records import Records

Columns = dict[str, Any]


class Split(NamedTuple):
    """The configurations of the training set, or of the validation set; rows as in `provenance`."""

    name: str  # see results.files.TRAIN
    provenance: Provenance
    metadata: Metadata
    records: Records


def columns_of(split: Split) -> Columns:
    """Return the columns of a split; nothing is known of the validation set but its last evaluation."""
    rows, records, training = split.provenance, split.records, split.name == TRAIN
    state = records.state_dict().items()
    values = {name: values.cpu().numpy() for name, values in state if isinstance(values, torch.Tensor)}
    codes = records.codes.cpu().numpy()
    states = np.array(STATES)[codes]
    last_epoch = np.floor(values["time"]).astype(np.int32)
    nothing = np.float32(np.nan)
    columns = {
        **identity(split.name, rows, split.metadata),
        "times_seen": values["times_seen"] if training else (last_epoch >= 0).astype(np.int16),
        "last_epoch": last_epoch,
        "weight": values["weight"],
        "mean_weight": values["mean_weight"] if training else values["weight"],
        "zscore": np.where(np.isin(states, (JUDGED, MODEL)) & (last_epoch >= 0), values["zscore"], nothing),
        "loss": np.where(np.isfinite(values["loss"]), values["loss"], nothing),
    }
    residuals = {name: np.where(states != UNUSED, values[name], nothing) for name in records.residual_names}
    return columns | residuals | {"suspect_since": values["suspect_since"], "state": text_column(codes, list(STATES))}


def identity(split: str, rows: Provenance, metadata: Metadata) -> Columns:
    """Return the columns that say which configuration a row is."""
    return {
        "head": text_column(rows.head, rows.heads),
        "split": text_column(np.zeros(len(rows), dtype=np.int8), [split]),
        "source": text_column(rows.source, rows.sources),
        "frame": rows.frame,
        "config_type": text_column(*metadata.categories("config_type")),
        "formula": text_column(*metadata.categories("formula")),
        "n_atoms": metadata.n_atoms.numpy(),
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
