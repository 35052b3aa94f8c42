"""The worst suspects and some other configurations, evaluated by the trained model: what the report draws."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.io import write

from ..data.labels import LABELS
from ..files import replacing
from ..results.files import worst_first

SUSPECTS, OTHERS = 100, 400
LARGEST = 10_000  # atoms of the suspects, and of the others: a minute of evaluation at most


def choose(weights: np.ndarray, zscores: np.ndarray, n_atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the suspects (weight below 1/2), worst first (NaN z-scores before all), and of others at random."""
    below = np.flatnonzero(weights < 0.5)
    worst = below[worst_first(weights[below], zscores[below], np.isnan(zscores[below]))]
    suspects = _as_many_as_fit(worst[:SUSPECTS], n_atoms)
    others = np.random.default_rng(0).permutation(np.flatnonzero(weights >= 0.5))[:OTHERS]
    return suspects, _as_many_as_fit(others, n_atoms)


def _as_many_as_fit(rows: np.ndarray, n_atoms: np.ndarray) -> np.ndarray:
    return rows[np.cumsum(n_atoms[rows]) <= LARGEST]


def evaluate(model: Any, batches: Iterator[Any], device: torch.device, output_args: dict[str, bool]) -> list[Atoms]:
    """Evaluate the host's `model` on batches of the host; labels and predictions in the names of `results`."""
    frames: list[Atoms] = []
    for batch in batches:
        batch = batch.to(device)
        output = model(
            batch.to_dict(),
            training=False,
            compute_force=output_args.get("forces", False),
            compute_virials=False,
            compute_stress=False,
        )
        frames += _frames(batch, output, model.atomic_numbers)
    return frames


def _frames(batch: Any, output: dict[str, Any], atomic_numbers: torch.Tensor) -> Iterator[Atoms]:
    """The configurations of a batch as ASE has them."""
    numbers = atomic_numbers[batch["node_attrs"].argmax(1)]
    cells = _array(batch["cell"].view(-1, 3, 3))
    known = getattr(batch, "pbc", None)  # MACE 0.3.13 drops it
    pbc = np.asarray(cells.any(axis=(1, 2))) if known is None else _array(known.view(-1, 3))
    for i, (first, last) in enumerate(itertools.pairwise(batch["ptr"].tolist())):
        atoms = Atoms(_array(numbers[first:last]), _array(batch["positions"][first:last]), cell=cells[i], pbc=pbc[i])
        if _has_label(batch, "energy", i):
            atoms.info["reference_energy"] = batch["energy"][i].item()
        if _has_label(batch, "forces", i):
            atoms.arrays["reference_forces"] = _array(batch["forces"][first:last])
        if output.get("energy") is not None:
            atoms.info["predicted_energy"] = output["energy"][i].item()
        if output.get("interaction_energy") is not None:
            isolated = output["energy"][i] - output["interaction_energy"][i]
            atoms.info["isolated_atoms_energy"] = isolated.item()
        if output.get("forces") is not None:
            atoms.arrays["predicted_forces"] = _array(output["forces"][first:last])
        yield atoms


def _has_label(batch: Any, label: str, i: int) -> bool:
    return bool(batch[LABELS[label]][i] != 0)  # a NaN label goes into the file: the report says so


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def write_sample(path: Path, frames: list[Atoms], rows: np.ndarray, suspects: int) -> None:
    """Write the evaluated configurations of `rows`, the first so many of which are suspects."""
    for i, (atoms, row) in enumerate(zip(frames, rows.tolist(), strict=True)):
        atoms.info |= {"row": row, "kind": "suspect" if i < suspects else "other"}
    with replacing(path) as temporary:
        write(temporary, frames, format="extxyz")


def batches_of(dataset: Any, positions: list[int], loader: Any) -> Iterator[Any]:
    """Make the host's batches of some positions of a data set, as `loader` does."""
    for first in range(0, len(positions), loader.batch_size):
        yield loader.collate_fn([dataset[position] for position in positions[first : first + loader.batch_size]])
