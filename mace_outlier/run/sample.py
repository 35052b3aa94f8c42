"""Suspects and some other configurations, evaluated by the trained model: what causes and the report are made from."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.io import write
from torch.utils.data import ConcatDataset

from ..data.labels import LABELS
from ..files import replacing
from ..results.files import worst_first
from ..weights.features import Features

SUSPECTS, OTHERS = 2_000, 400
ATOMS, ATOMS_OF_OTHERS = 100_000, 10_000  # at most: on a CPU, a minute for each 10,000 of a large model
DRAWN = 100  # suspects that go into the file, which the report draws


class Chosen(NamedTuple):
    """Rows of the table."""

    suspects: np.ndarray  # weight below 1/2, the worst first
    others: np.ndarray  # at random, as many of each head

    @property
    def rows(self) -> np.ndarray:
        """All of them."""
        return np.concatenate((self.suspects, self.others))


def choose(weights: np.ndarray, zscores: np.ndarray, n_atoms: np.ndarray, heads: np.ndarray) -> Chosen:
    """Choose what is evaluated; all arrays (N,). Without a z-score (NaN), suspects come first, others don't count."""
    below = np.flatnonzero(weights < 0.5)
    worst = below[worst_first(weights[below], zscores[below], np.isnan(zscores[below]))]
    trusted = (weights >= 0.5) & ~np.isnan(zscores)
    rng, names = np.random.default_rng(0), np.unique(heads)
    others = [rng.permutation(np.flatnonzero(trusted & (heads == name)))[: OTHERS // len(names)] for name in names]
    fitting = [_as_many_as_fit(own, n_atoms, ATOMS_OF_OTHERS // len(names)) for own in others]
    return Chosen(_as_many_as_fit(worst[:SUSPECTS], n_atoms, ATOMS), np.concatenate(fitting))


def _as_many_as_fit(rows: np.ndarray, n_atoms: np.ndarray, most: int) -> np.ndarray:
    return rows[np.cumsum(n_atoms[rows]) <= most]


class Evaluated(NamedTuple):
    """Configurations as the trained model sees them."""

    frames: list[Atoms]  # labels and predictions in the names of `results`
    measured: torch.Tensor  # (N, EXTRA + K) see Features


def evaluate(
    model: Any, batches: Iterator[Any], device: torch.device, output_args: dict[str, bool], features: Features
) -> Evaluated:
    """Evaluate the host's `model` on batches of the host."""
    frames, measured = list[Atoms](), []
    strained = output_args.get("stress", False) or output_args.get("virials", False)
    for batch in batches:
        batch = batch.to(device)
        output = model(
            batch.to_dict(),
            training=False,
            compute_force=output_args.get("forces", False),
            compute_virials=strained,
            compute_stress=strained,
        )
        frames += _frames(batch, output, model.atomic_numbers)
        measured.append(features.measure(batch, output).cpu())
    return Evaluated(frames, torch.cat(measured) if measured else torch.empty(0, 0))


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
        if output.get("stress") is not None:
            atoms.info |= _stress(batch, output, i, atoms.get_volume())
        yield atoms


def _stress(batch: Any, output: dict[str, Any], i: int, volume: float) -> dict[str, np.ndarray]:
    """Label and prediction, eV/A^3; the label of virials divided by the volume (stress = -virials / V)."""
    stress = {"predicted_stress": _array(output["stress"][i])}
    if _has_label(batch, "stress", i):
        stress["reference_stress"] = _array(batch["stress"][i])
    elif _has_label(batch, "virials", i):
        stress["reference_stress"] = -_array(batch["virials"][i]) / volume
    return stress


def _has_label(batch: Any, label: str, i: int) -> bool:
    return bool(batch[LABELS[label]][i] != 0)  # a NaN label goes into the file: the report says so


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def write_sample(path: Path, frames: list[Atoms], chosen: Chosen, needed: Sequence[int] = ()) -> None:
    """Write evaluated configurations: the worst suspects and those of them that are `needed`, and the others."""
    suspects = len(chosen.suspects)
    drawn = {*range(min(DRAWN, suspects)), *needed, *range(suspects, len(frames))}
    for i in sorted(drawn):
        frames[i].info |= {"row": int(chosen.rows[i]), "kind": "suspect" if i < suspects else "other"}
    with replacing(path) as temporary:
        write(temporary, [frames[i] for i in sorted(drawn)], format="extxyz")


def batches_of_rows(
    training: Any, validation: Sequence[Any], positions: np.ndarray, others: np.ndarray, loader: Any
) -> Callable[[np.ndarray], Iterator[Any]]:
    """What makes the host's batches, as `loader` does, of rows: those of its training set, then of its validation sets.

    `positions`, `others`: where they are in the training set, and in all validation sets one after another.
    """
    items: ConcatDataset[Any] = ConcatDataset([training, *validation])
    places = np.concatenate((positions, len(training) + others))

    def batches(rows: np.ndarray) -> Iterator[Any]:
        for first in range(0, len(rows), loader.batch_size):
            yield loader.collate_fn(
                [items[place] for place in places[rows[first : first + loader.batch_size]].tolist()]
            )

    return batches
