"""A model's errors on every configuration of a data set, which is read as in a training."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ...data.dataset import nonfinite_labels
from ...data.labels import LABELS, RESIDUALS
from ...data.metadata import Metadata
from ...data.provenance import Part, Provenance, by_file_name
from ...data.sources import find_source
from ...data.tagging import TAG_FIELD
from ...losses.residuals import residuals
from ...mace.geometry import fault_of
from ...mace.reading import UnknownElementError
from ...mace.treatment import counted
from ...results.files import sample_path
from ...run import sample
from ...run.causes import cause_columns, causes_of, in_another_order
from ...states import GEOMETRY, JUDGED, LABEL, LOSS, STATES
from ...weights.features import Features

STRAINED = ("stress", "virials")  # audited on demand
MOST_FEATURES = 100_000  # all: nothing is known of them before the last batch


class Scores(NamedTuple):
    """What is known of the N configurations once the model has seen them; rows as in `provenance`."""

    provenance: Provenance
    metadata: Metadata
    errors: dict[str, np.ndarray]  # (N,) by label, in the units of RESIDUALS; NaN without a label
    weights: dict[str, np.ndarray]  # (N,) of these labels in the loss, as the file has them; 0: no label
    states: np.ndarray  # (N,) see `states`
    features: torch.Tensor  # (N, F) see Features
    reading: dict[str, int]  # frames that are left out, or have labels of MACE's, by reason
    left_out: dict[str, int]  # frames with a label that isn't audited, by label


class Evaluation:
    """A model and a data set.

    Args:
        predictor: see `mace.models.Predictor`.
        sources: training files.
        keys: where their labels and conditions are, by MACE's options.
        labels: of RESIDUALS, those that are audited.
        batch_size: configurations that are evaluated together.
    """

    def __init__(
        self, predictor: Any, sources: list[str], keys: dict[str, str], labels: tuple[str, ...], batch_size: int
    ) -> None:
        self.predictor, self.keys, self.labels, self.batch_size = predictor, keys, labels, batch_size
        self.columns = [RESIDUALS[label].column for label in labels]
        self.left_out = [label for label in STRAINED if label not in labels]
        self.sources = sorted(sources, key=by_file_name)  # so that samples are read in the order of rows
        self.features = Features(0, predictor.scalars, most=MOST_FEATURES)
        self._latest: tuple[str, Any] = "", None
        self._places: list[tuple[str, int]] = []  # source and position in it of each row

    def score(self) -> Scores:
        """Evaluate every configuration once; raises ValueError for unknown elements, or where nothing has labels."""
        frames: dict[str, list[int]] = {source: [] for source in self.sources}
        tags, values, features = [], [], []
        samples = iter(tqdm(self._samples(), desc="audit", unit=" configurations", mininterval=1.0))
        while chunk := list(itertools.islice(samples, self.batch_size)):
            for source, one in chunk:
                tags.append(getattr(one, TAG_FIELD))
                frames[source].append(tags[-1].frame)
            batch_values, batch_features = self._evaluated([one for _, one in chunk])
            values.append(batch_values)
            features.append(batch_features)
        if not tags:
            raise ValueError(f"--data {' '.join(self.sources)}: no configuration in it")
        codes, *columns = np.concatenate(values, axis=1)
        states = np.array(STATES)[codes.astype(int)]
        by_label = iter(columns)
        errors, weights, left_out = (
            {label: next(by_label) for label in own} for own in (self.labels, self.labels, self.left_out)
        )
        if LOSS in states and JUDGED not in states:
            raise ValueError("the model predicts nothing finite for any configuration: no label can be judged by it")
        self._refuse_without_labels(errors, weights, states)
        metadata = Metadata(len(tags))
        metadata.note_all(list(enumerate(tags)))
        rows = Provenance([self.predictor.head], [[Part(source, np.array(own)) for source, own in frames.items()]])
        having = {label: int((own != 0).sum()) for label, own in left_out.items()}
        return Scores(rows, metadata, errors, weights, states, torch.cat(features), counted(), having)

    def _refuse_without_labels(
        self, errors: dict[str, np.ndarray], weights: dict[str, np.ndarray], states: np.ndarray
    ) -> None:
        if all(np.isnan(own).all() for own in errors.values()) and (states == JUDGED).all():
            names = " or ".join(self.keys[f"{label}_key"] for label in errors)
            raise ValueError(f"no configuration has a label under {names}: set --energy_key and --forces_key")
        for label in STRAINED:
            if label in self.labels and not weights[label].any():
                key = self.keys[f"{label}_key"]
                raise ValueError(f"--{label}_weight: no configuration has a label under {key}: set --{label}_key")

    def examine(self, prefix: Path, table: dict[str, Any]) -> dict[str, Any]:
        """Evaluate suspects and others again, write them with labels and predictions, and return columns of causes."""
        heads = np.zeros(len(table["weight"]), dtype=np.int64)
        chosen = sample.choose(table["weight"], table["zscore"], table["n_atoms"], heads)
        rows, samples = chosen.rows, dict[int, Any]()
        for source in self.sources:
            own = [row for row in rows.tolist() if self._places[row][0] == source]
            file = self._file(source) if own else None
            samples |= {row: self.predictor.sample(file, self._places[row][1]) for row in own}
        batches = (
            self.predictor.batch([samples[row] for row in rows[first : first + self.batch_size]])
            for first in range(0, len(rows), self.batch_size)
        )
        model, device = self.predictor.model, self.predictor.device
        evaluated = sample.evaluate(model, batches, device, dict.fromkeys(self.labels, True), self.features)
        causes = causes_of(evaluated, chosen, heads)
        sample.write_sample(sample_path(prefix), evaluated.frames, chosen, in_another_order(causes))
        return cause_columns(causes, chosen.suspects, len(heads))

    def _file(self, source: str) -> Any:
        """The samples of a file; the latest one stays open."""
        if self._latest[0] != source:
            try:
                self._latest = source, self.predictor.read(find_source(source), self.keys)
            except Exception as error:  # the readers of so many formats raise anything
                raise ValueError(f"{source} can't be read as a training reads it: {error}") from error
        return self._latest[1]

    def _samples(self) -> Iterator[tuple[str, Any]]:
        """Source and sample, in the order of rows."""
        for source in self.sources:
            file = self._file(source)
            for position in range(len(file)):
                try:
                    one = self.predictor.sample(file, position)
                except Exception as error:
                    raise ValueError(f"{source} frame {file.frame(position)} {_why(error)}") from error
                if one is not None:
                    self._places.append((source, position))
                    yield source, one

    def _evaluated(self, samples: list[Any]) -> tuple[np.ndarray, torch.Tensor]:
        """States (in STATES), errors and weights of L labels, weights of M left out (1 + 2 L + M, B); and features."""
        batch = self.predictor.batch(samples).to(self.predictor.device)
        strained = any(label in self.labels for label in STRAINED)
        output = self.predictor.model(
            batch.to_dict(), training=False, compute_force=True, compute_virials=strained, compute_stress=strained
        )
        errors = torch.stack(residuals(batch, output, self.columns, self.labels)).detach()
        weights = torch.stack([batch[LABELS[label]] for label in self.labels]) * batch["weight"]
        labelled, finite = weights != 0, torch.isfinite(errors)
        codes = torch.zeros(len(samples), device=errors.device)
        codes[(labelled & ~finite).any(0)] = STATES.index(LOSS)
        codes[[bool(nonfinite_labels(sample, self.labels)) for sample in samples]] = STATES.index(LABEL)
        codes[[bool(fault_of(sample)) for sample in samples]] = STATES.index(GEOMETRY)
        errors = errors.masked_fill(~labelled | (codes != 0), torch.nan)  # as in a training, all of a configuration
        left_out = [batch[LABELS[label]][None] for label in self.left_out]
        values = torch.cat((codes[None], errors, weights, *left_out)).cpu().double().numpy()
        return values, self.features.measure(batch, output).cpu()


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, UnknownElementError) else f"can't be read ({type(error).__name__}: {error})"
