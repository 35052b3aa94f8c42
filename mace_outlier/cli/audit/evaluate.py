"""A model's errors on every configuration of a data set."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from ...data.dataset import nonfinite_labels
from ...data.metadata import Metadata
from ...data.provenance import Part, Provenance, by_file_name
from ...data.sources import read_frames
from ...data.tagging import Tag, tag_of
from ...losses.residuals import residuals
from ...mace.geometry import fault_of
from ...results.files import sample_path
from ...run import sample
from ...run.causes import cause_columns, causes_of, in_another_order
from ...states import GEOMETRY, JUDGED, LABEL, LOSS, STATES
from ...weights.features import Features

LABELS = ("energy", "forces")
MOST_FEATURES = 100_000  # all: nothing is known of them before the last batch


class Scores(NamedTuple):
    """What is known of the N configurations once the model has seen them; rows as in `provenance`."""

    provenance: Provenance
    metadata: Metadata
    energy_error: np.ndarray  # (N,) prediction - label, eV/atom; NaN without a label
    force_rmse: np.ndarray  # (N,) eV/A; NaN without a label
    states: np.ndarray  # (N,) see `states`
    features: torch.Tensor  # (N, F) see Features


class Evaluation:
    """A model and a data set.

    Args:
        predictor: see `mace.models.Predictor`.
        sources: training files.
        energy_key, forces_key: where their labels are.
        batch_size: configurations that are evaluated together.
    """

    def __init__(self, predictor: Any, sources: list[str], energy_key: str, forces_key: str, batch_size: int) -> None:
        self.predictor, self.batch_size = predictor, batch_size
        self.sources = sorted(sources, key=by_file_name)  # so that frames are read in the order of rows
        self.keys = {"energy": energy_key, "forces": forces_key}
        self.features = Features(0, predictor.scalars, most=MOST_FEATURES)

    def score(self) -> Scores:
        """Evaluate every configuration once; raises ValueError for unknown elements, or where nothing has labels."""
        lengths: Counter[str] = Counter()  # by source
        tags: list[Tag] = []
        errors, features = [], []
        configurations = iter(tqdm(self._frames(), desc="audit", unit=" configurations", mininterval=1.0))
        while chunk := list(itertools.islice(configurations, self.batch_size)):
            lengths.update(source for source, _ in chunk)
            frames = [atoms for _, atoms in chunk]
            tags += map(self._tag, frames)
            batch_errors, batch_features = self._evaluated(frames)
            errors.append(batch_errors)
            features.append(batch_features)
        if not tags:
            raise ValueError(f"--data {' '.join(self.sources)}: no configuration in it")
        energy, force, codes = np.concatenate(errors, axis=1)
        states = np.array(STATES)[codes.astype(int)]
        if LOSS in states and JUDGED not in states:
            raise ValueError("the model predicts nothing finite for any configuration: no label can be judged by it")
        if np.isnan(energy).all() and np.isnan(force).all() and (states == JUDGED).all():
            names = " or ".join(self.keys.values())
            raise ValueError(f"no configuration has a label under {names}: set --energy_key and --forces_key")
        parts = [Part(source, np.arange(length)) for source, length in lengths.items()]
        metadata = Metadata(len(tags))
        for row, tag in enumerate(tags):
            metadata.note(row, tag)
        rows = Provenance([self.predictor.head], [parts])
        return Scores(rows, metadata, energy, force, states, torch.cat(features))

    def examine(self, prefix: Path, table: dict[str, Any]) -> dict[str, Any]:
        """Evaluate suspects and others again, write them with labels and predictions, and return columns of causes."""
        heads = np.zeros(len(table["weight"]), dtype=np.int64)
        chosen = sample.choose(table["weight"], table["zscore"], table["n_atoms"], heads)
        rows, wanted = chosen.rows, set(chosen.rows.tolist())
        frames = {row: atoms for row, (_, atoms) in enumerate(self._frames()) if row in wanted}
        batches = (
            self.predictor.batch([frames[row] for row in rows[first : first + self.batch_size]], self.keys)
            for first in range(0, len(rows), self.batch_size)
        )
        model, device = self.predictor.model, self.predictor.device
        evaluated = sample.evaluate(model, batches, device, {"forces": True}, self.features)
        causes = causes_of(evaluated, chosen, heads)
        sample.write_sample(sample_path(prefix), evaluated.frames, chosen, in_another_order(causes))
        return cause_columns(causes, chosen.suspects, len(heads))

    def _frames(self) -> Iterator[tuple[str, Atoms]]:
        """Source and configuration, with the labels where MACE's training would find them; in the order of rows."""
        for source in self.sources:
            for frame, atoms in enumerate(read_frames(source)):
                results = atoms.calc.results if atoms.calc is not None else {}
                # MACE takes what is called "energy" and "forces" from the results of the calculator
                if self.keys["energy"] == "energy" in results:
                    atoms.info["energy"] = results["energy"]
                if self.keys["forces"] == "forces" in results:
                    atoms.arrays["forces"] = results["forces"]
                unknown = self.predictor.unknown_elements(atoms.numbers)
                if unknown:
                    raise ValueError(f"{source} frame {frame} has elements that the model does not know: Z = {unknown}")
                yield source, atoms

    def _tag(self, atoms: Atoms) -> Tag:
        config_type, forces = atoms.info.get("config_type", "Default"), atoms.arrays.get(self.keys["forces"])
        formula = atoms.get_chemical_formula("hill")
        return tag_of(config_type, formula, atoms.numbers, atoms.positions, atoms.pbc, forces)

    def _evaluated(self, frames: list[Atoms]) -> tuple[np.ndarray, torch.Tensor]:
        """Energy error (eV/atom), force RMSE (eV/A) and state (place in STATES), (3, frames); and features."""
        items = self.predictor.samples(frames, self.keys)
        batch = self.predictor.collate(items).to(self.predictor.device)
        output = self.predictor.model(batch.to_dict(), training=False, compute_force=True)
        values = torch.stack(residuals(batch, output, ("energy_error", "force_rmse"), LABELS)).detach()
        labelled = torch.stack((batch["energy_weight"], batch["forces_weight"])) != 0
        finite, codes = torch.isfinite(values), torch.zeros(len(frames), device=values.device)
        codes[(labelled & ~finite).any(0)] = STATES.index(LOSS)
        codes[[bool(nonfinite_labels(item, LABELS)) for item in items]] = STATES.index(LABEL)
        codes[[bool(fault_of(item)) for item in items]] = STATES.index(GEOMETRY)
        errors = torch.cat((values.masked_fill(~(labelled & finite), torch.nan), codes[None])).cpu().double().numpy()
        return errors, self.features.measure(batch, output).cpu()
