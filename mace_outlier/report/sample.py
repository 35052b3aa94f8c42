"""The evaluated sample of a run: structures with labels and predictions, for parity plots and drawings."""

import math
from typing import Any, NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ..results.reading import Results
from ..results.wrong_labels import number
from .summary import Summary

Array = NDArray[np.float64]


class Sample(NamedTuple):
    """Frames by row of the table; `note` says what is wrong with the file, if anything."""

    frames: dict[int, Atoms]
    note: str


class Pairs(NamedTuple):
    """Labels and predictions."""

    values: Array  # (2, M): labels, predictions
    suspect: NDArray[np.bool_]  # (M,)


def read_sample(results: Results) -> Sample:
    """Read the sample; without a file, or with one that can't be read, it is empty and the note says so."""
    if not results.sample.exists():
        return Sample({}, f"{results.sample.name} was not written: the training was cut short.")
    try:
        read: Any = ase.io.read(results.sample, ":", format="extxyz")
        frames = {int(frame.info["row"]): frame for frame in read if "row" in frame.info}
    except Exception as error:  # the readers of extended XYZ raise a dozen kinds
        return Sample({}, f"{results.sample.name} can't be read ({type(error).__name__}: {error}).")
    # a table of a later training under the same name: its rows are other configurations
    sizes = results.table["n_atoms"].to_numpy()
    return Sample({row: f for row, f in frames.items() if 0 <= row < len(sizes) and sizes[row] == len(f)}, "")


def energies(sample: Sample, summary: Summary) -> tuple[Pairs, str]:
    """Return energies per atom (eV/atom) without those of the isolated atoms, and what was subtracted, in words.

    Where the sample doesn't have the energies of the isolated atoms, a least-squares fit of one energy per element
    to the labels of the trusted configurations takes their place.
    """
    names = ("reference_energy", "predicted_energy", "isolated_atoms_energy")
    entries = {row: [number(frame.info.get(name)) for name in names] for row, frame in sample.frames.items()}
    rows = [row for row, values in entries.items() if np.isfinite(values[:2]).all()]  # with label and prediction
    *totals, offsets = np.array([entries[row] for row in rows]).reshape(-1, 3).T
    frames, suspect = [sample.frames[row] for row in rows], summary.suspect[np.array(rows, dtype=int)]
    words = "minus the energies of the isolated atoms"
    if not np.isfinite(offsets).all():
        words = "minus one fitted energy per element"
        offsets = _fitted(frames, totals[0], ~suspect)
    atoms = np.array([len(frame) for frame in frames])
    return Pairs((np.array(totals) - offsets) / atoms, suspect), words


def _fitted(frames: list[Atoms], labels: Array, trusted: NDArray[np.bool_]) -> Array:
    """One energy for each element, by least squares; from the trusted configurations if these are enough."""
    elements = np.unique(np.concatenate([frame.numbers for frame in frames]))
    counts = np.array([(frame.numbers[:, None] == elements).sum(axis=0) for frame in frames])
    used = trusted if trusted.sum() > len(elements) else np.ones_like(trusted)
    return counts @ np.linalg.lstsq(counts[used], labels[used], rcond=None)[0]


def forces(sample: Sample, summary: Summary) -> Pairs:
    """Return the components of the forces (eV/A) of all atoms."""
    values, suspect = [np.zeros((2, 0))], [np.zeros(0, dtype=bool)]
    for row, frame in sample.frames.items():
        if frame.has("reference_forces") and frame.has("predicted_forces"):
            pairs = np.stack([frame.arrays["reference_forces"].ravel(), frame.arrays["predicted_forces"].ravel()])
            values.append(pairs[:, np.isfinite(pairs).all(axis=0)])
            suspect.append(np.full(values[-1].shape[1], summary.suspect[row]))
    return Pairs(np.concatenate(values, axis=1), np.concatenate(suspect))


def force_errors(frame: Atoms) -> Array | None:
    """Return prediction - label (n_atoms, 3), eV/A; None where one is missing or not finite."""
    if not (frame.has("reference_forces") and frame.has("predicted_forces")):
        return None
    errors = frame.arrays["predicted_forces"] - frame.arrays["reference_forces"]
    return errors if np.isfinite(errors).all() else None


def largest_error(frame: Atoms | None) -> float:
    """Return the largest force error on an atom, eV/A; NaN where there is none."""
    errors = force_errors(frame) if frame else None
    return math.nan if errors is None else float(np.linalg.norm(errors, axis=1).max())


def energy_and_force(frame: Atoms, kind: str) -> tuple[float | None, float | None]:
    """Return energy (eV/atom) and largest force (eV/A), `kind` reference or predicted; NaN: not finite, None: none."""
    energy, forces = frame.info.get(f"{kind}_energy"), frame.arrays.get(f"{kind}_forces")
    largest = None if forces is None else float(np.linalg.norm(forces, axis=1).max())
    return None if energy is None else number(energy) / len(frame), largest
