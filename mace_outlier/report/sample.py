"""The evaluated sample of a run: structures with labels and predictions, for parity plots and drawings."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas
from ase import Atoms
from numpy.typing import NDArray

from ..results.reading import Results
from .summary import Summary


class Sample(NamedTuple):
    """Frames by row of the table; `note` says what is wrong with the file, if anything."""

    frames: dict[int, Atoms]
    note: str


class Pairs(NamedTuple):
    """Labels and predictions, (M,) each."""

    reference: NDArray[np.float64]
    predicted: NDArray[np.float64]
    suspect: NDArray[np.bool_]


def read_sample(results: Results) -> Sample:
    """Read the sample; without a file, or with one that can't be read, it is empty and the note says so."""
    import ase.io

    if not results.sample.exists():
        return Sample({}, f"{results.sample.name} was not written: the training was cut short.")
    try:
        read: Any = ase.io.read(results.sample, ":", format="extxyz")
    except Exception as error:  # the readers of extended XYZ raise a dozen kinds
        return Sample({}, f"{results.sample.name} can't be read ({type(error).__name__}: {error}).")
    frames = {int(frame.info["row"]): frame for frame in read if "row" in frame.info}
    sizes = results.table["n_atoms"]
    # a table of a later training under the same name: its rows are other configurations
    return Sample({row: f for row, f in frames.items() if 0 <= row < len(sizes) and sizes.iloc[row] == len(f)}, "")


def energies(sample: Sample, summary: Summary) -> tuple[Pairs, str]:
    """Return energies per atom (eV/atom) without those of the isolated atoms, and what was subtracted, in words.

    Where the sample doesn't have the energies of the isolated atoms, a least-squares fit of one energy per element
    to the labels of the trusted configurations takes their place.
    """
    rows = [row for row, frame in sample.frames.items() if _both(frame.info, "reference_energy", "predicted_energy")]
    frames = [sample.frames[row] for row in rows]
    suspect = summary.suspect[rows] if rows else np.zeros(0, dtype=bool)
    reference = np.array([float(frame.info["reference_energy"]) for frame in frames])
    predicted = np.array([float(frame.info["predicted_energy"]) for frame in frames])
    atoms = np.array([len(frame) for frame in frames], dtype=float)
    offsets = np.array([_float(frame.info.get("isolated_atoms_energy")) for frame in frames])
    words = "minus the energies of the isolated atoms"
    if not np.isfinite(offsets).all():
        offsets, words = _fitted(frames, reference, suspect), "minus one fitted energy per element"
    return Pairs((reference - offsets) / atoms, (predicted - offsets) / atoms, suspect), words


def _both(entries: Any, *names: str) -> bool:
    return all(name in entries and np.isfinite(_float(entries[name])) for name in names)


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _fitted(frames: list[Atoms], energies: NDArray[np.float64], suspect: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One energy for each element, by least squares; from the trusted configurations if these are enough."""
    elements = sorted({int(number) for frame in frames for number in frame.numbers})
    counts = np.array([[np.count_nonzero(frame.numbers == z) for z in elements] for frame in frames], dtype=float)
    used = ~suspect if np.count_nonzero(~suspect) > len(elements) else np.ones(len(frames), dtype=bool)
    fitted = np.linalg.lstsq(counts[used], energies[used], rcond=None)[0]
    return counts @ fitted


def forces(sample: Sample, summary: Summary) -> Pairs:
    """Return the components of the forces (eV/A) of all atoms."""
    names = ("reference_forces", "predicted_forces")
    found = [(row, f) for row, f in sample.frames.items() if all(name in f.arrays for name in names)]
    parts = [
        np.concatenate([np.ravel(f.arrays[name]) for _, f in found] or [np.zeros(0)]).astype(float) for name in names
    ]
    suspect = np.repeat([summary.suspect[row] for row, _ in found], [3 * len(f) for _, f in found]).astype(bool)
    finite = np.isfinite(parts[0]) & np.isfinite(parts[1])
    return Pairs(parts[0][finite], parts[1][finite], suspect[finite])


def force_errors(frame: Atoms) -> NDArray[np.float64] | None:
    """Return prediction - label (n_atoms, 3), eV/A; None where one is missing or not finite."""
    if "reference_forces" not in frame.arrays or "predicted_forces" not in frame.arrays:
        return None
    errors = frame.arrays["predicted_forces"] - frame.arrays["reference_forces"]
    return errors if np.isfinite(errors).all() else None


def largest_error(frame: Atoms) -> float:
    """Return the largest force error on an atom, eV/A; NaN where there is none."""
    errors = force_errors(frame)
    return math.nan if errors is None else float(np.linalg.norm(errors, axis=1).max())


def largest_force(frame: Atoms, name: str) -> float | None:
    """Return the largest force on an atom, eV/A; NaN: not finite, None: there is none."""
    if name not in frame.arrays:
        return None
    return float(np.linalg.norm(frame.arrays[name], axis=1).max())


def energy_per_atom(frame: Atoms, name: str) -> float | None:
    """Return the energy `name` of a frame, eV/atom; NaN: not finite, None: there is none."""
    return _float(frame.info[name]) / len(frame) if name in frame.info else None


def has_pairs(table: pandas.DataFrame) -> NDArray[np.bool_]:
    """Return which configurations have an energy error and a force RMSE, both finite (N,)."""
    return np.isfinite(table["energy_error_per_atom"].to_numpy()) & np.isfinite(table["force_rmse"].to_numpy())
