"""A model's errors on every configuration of a data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from tqdm import tqdm

from ...data.metadata import Metadata
from ...data.molecules import molecule_name
from ...data.provenance import Part, Provenance
from ...data.sources import read_frames
from ...data.tagging import Tag, force_size
from ...losses.residuals import residuals
from ...results.files import sample_path
from ...run import sample
from ...weights.features import Features

LABELS = ("energy", "forces")
MOST_FEATURES = 100_000  # all: nothing is known of them before the last batch


class Scores(NamedTuple):
    """What is known of the N configurations once the model has seen them; rows as in `provenance`."""

    provenance: Provenance
    metadata: Metadata
    elements: list[int]  # atomic numbers
    counts: np.ndarray  # (N, elements) atoms
    energy_error: np.ndarray  # (N,) prediction - label, eV/atom; NaN without a label
    force_rmse: np.ndarray  # (N,) eV/A; NaN without a label
    nonfinite: np.ndarray  # (N,) True where a label is NaN or infinite
    features: torch.Tensor  # (N, F) see Features


class Evaluation:
    """A model and a data set.

    Args:
        predictor: see `plugin.models.Predictor`.
        sources: training files.
        energy_key, forces_key: where their labels are.
        batch_size: configurations that are evaluated together.
    """

    def __init__(self, predictor: Any, sources: list[str], energy_key: str, forces_key: str, batch_size: int) -> None:
        self.predictor, self.sources, self.batch_size = predictor, sources, batch_size
        self.keys = {"energy": energy_key, "forces": forces_key}
        self.features = Features(0, predictor.scalars, most=MOST_FEATURES)

    def score(self) -> Scores:
        """Evaluate every configuration once; raises ValueError for unknown elements, or where nothing has labels."""
        places, errors, counts, tags, features = [], [], [], [], []
        for chunk in self._batches(self._frames(), "audit"):
            frames = [atoms for _, _, atoms in chunk]
            places += [(source, frame) for source, frame, _ in chunk]
            tags += [tag_of(atoms, self.keys["forces"]) for atoms in frames]
            counts += [np.bincount(atoms.numbers, minlength=119)[self.predictor.numbers] for atoms in frames]
            own, measured = self._evaluated(frames)
            errors.append(own)
            features.append(measured)
        if not places:
            raise ValueError(f"--data {' '.join(self.sources)}: no configuration in it")
        energy, force, bad = np.concatenate(errors, axis=1)
        if np.isnan(energy).all() and np.isnan(force).all() and not bad.any():
            names = " or ".join(self.keys.values())
            raise ValueError(f"no configuration has a label under {names}: set --energy_key and --forces_key")
        return self._scores(places, tags, np.array(counts), torch.cat(features), energy, force, bad.astype(bool))

    def save_sample(self, prefix: Path, table: dict[str, Any]) -> None:
        """Evaluate suspects and others again, and write them with labels and predictions."""
        suspects, others = sample.choose(table["weight"], table["zscore"], table["n_atoms"])
        rows = np.concatenate((suspects, others))
        wanted = {(str(table["source"][row]), int(table["frame"][row])): row for row in rows}
        found = {}
        for source, frame, atoms in self._frames():
            if (source, frame) in wanted:
                found[wanted[source, frame]] = atoms
        batches = (
            self.predictor.batch([found[row] for row in rows[first : first + self.batch_size]], self.keys)
            for first in range(0, len(rows), self.batch_size)
        )
        frames = sample.evaluate(self.predictor.model, batches, self.predictor.device, {"forces": True})
        sample.write_sample(sample_path(prefix), frames, rows, len(suspects))

    # --- details -----------------------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[tuple[str, int, Atoms]]:
        """Source, frame and configuration, with the labels where MACE's training would find them."""
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
                yield source, frame, atoms

    def _batches(self, frames: Iterator[Any], what: str) -> Iterator[list[Any]]:
        chunk: list[Any] = []
        with tqdm(frames, desc=what, unit=" configurations", mininterval=1.0) as progress:
            for frame in progress:
                chunk.append(frame)
                if len(chunk) == self.batch_size:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    def _evaluated(self, frames: list[Atoms]) -> tuple[np.ndarray, torch.Tensor]:
        """Energy error (eV/atom), force RMSE (eV/A) and whether a label is not finite, (3, frames); and features."""
        batch = self.predictor.batch(frames, self.keys).to(self.predictor.device)
        output = self.predictor.model(batch.to_dict(), training=False, compute_force=True)
        values = torch.stack(residuals(batch, output, ("energy_error", "force_rmse"), LABELS)).detach()
        labelled = torch.stack((batch["energy_weight"], batch["forces_weight"])) != 0
        finite = torch.isfinite(values)
        bad = (labelled & ~finite).any(0, keepdim=True)
        errors = torch.cat((values.masked_fill(~(labelled & finite), torch.nan), bad)).double().cpu().numpy()
        return errors, self.features.measure(batch, output).cpu()

    def _scores(
        self,
        places: list[tuple[str, int]],
        tags: list[Tag],
        counts: np.ndarray,
        features: torch.Tensor,
        *errors: np.ndarray,
    ) -> Scores:
        names, frames = np.array([source for source, _ in places]), np.array([frame for _, frame in places])
        parts = [Part(name, frames[names == name]) for name in dict.fromkeys(names.tolist())]
        rows = Provenance([self.predictor.head], [parts])
        metadata = Metadata(len(rows))
        for row, position in enumerate(rows.position_of_row):
            metadata.note(row, tags[position])
        at = rows.position_of_row
        energy, force, bad = (column[at] for column in errors)
        features = features[torch.from_numpy(at)]
        return Scores(rows, metadata, self.predictor.numbers, counts[at], energy, force, bad, features)


def tag_of(atoms: Atoms, forces_key: str) -> Tag:
    """What a configuration is called, and how large its forces are."""
    config_type = str(atoms.info.get("config_type", "Default"))
    formula = atoms.get_chemical_formula("hill")
    molecule = molecule_name(formula, atoms.numbers, atoms.positions, bool(atoms.pbc.any()))
    return Tag(config_type, formula, molecule, len(atoms), force_size(atoms.arrays.get(forces_key)))
