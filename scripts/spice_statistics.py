"""The statistics file of a training (that of mace_prepare_data), and the summary; the rows of one shard in memory.

Wrong labels must not spoil what a model starts from: configurations whose labels are NaN, or so far from all others
that no chemistry explains them (`mace_outlier.data.gross`), are left out of E0s, mean and scale. They stay in the data.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
from ase.data import atomic_numbers, chemical_symbols
from ase.units import Hartree
from spice_folder import Folder
from spice_plan import SPLITS, Shard
from spice_reading import open_spice

from mace_outlier.data.gross import Limits, limits
from mace_outlier.data.shift import fit_shifts

SAMPLE = 50_000  # configurations, from which limits are taken
ISOLATED = "isolated_atom_energy_hartree"  # an attribute of some files: {atomic number: hartree}


# --- energies of isolated atoms ---------------------------------------------------------------------------------------


def read_e0s(given: str, unit: str | None, source: Path) -> dict[int, float] | None:
    """E0s in eV, or None for `average`: those are fitted in the end.

    Args:
        given: "average", "isolated" (an attribute of the source), or a JSON file {element or atomic number: energy}.
            The energy may be a table {charge: energy}, as in SPICE's downloader.py: that of the neutral atom is taken.
        unit: of the file, "hartree" or "eV".
        source: SPICE's file.
    """
    if unit is not None and given in ("average", "isolated"):
        raise ValueError(f"--E0s_unit {unit}: it is for a file of --E0s, not for --E0s {given}")
    if given == "average":
        return None
    if given == "isolated":
        with open_spice(source) as file:
            if ISOLATED not in file.attrs:
                raise ValueError(f"--E0s isolated: {source} has no attribute {ISOLATED!r}; give a JSON file")
            return {int(z): float(e) * Hartree for z, e in ast.literal_eval(file.attrs[ISOLATED]).items()}
    if unit is None:
        raise ValueError(f"--E0s {given}: say in which unit its energies are: --E0s_unit hartree or --E0s_unit eV")
    try:
        table = json.loads(Path(given).read_text(encoding="utf-8"))
        return {
            _number(key): _neutral(key, value) * (Hartree if unit == "hartree" else 1) for key, value in table.items()
        }
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"--E0s {given}: neither average, isolated nor a JSON file {{element: energy}} ({error})"
        ) from error


def _number(key: str) -> int:
    if key not in atomic_numbers and not key.isdigit():
        raise ValueError(f"{key!r} is no element")
    return atomic_numbers[key] if key in atomic_numbers else int(key)


def _neutral(key: str, value: Any) -> float:
    """The energy of the neutral atom; of the only charge where there is one (SPICE's alkali metals are cations)."""
    if not isinstance(value, dict):
        return float(value)
    if "0" not in value and len(value) != 1:
        raise ValueError(f"{key} has several charges and none is 0")
    return float(value["0"] if "0" in value else next(iter(value.values())))


# --- the training set -------------------------------------------------------------------------------------------------


class Training(NamedTuple):
    """Labels of some training configurations."""

    energies: np.ndarray  # (n,) eV
    counts: np.ndarray  # (n, elements)
    mean_square_forces: np.ndarray  # (n,) (eV/A)^2
    edges: int
    receivers: int

    @property
    def atoms(self) -> np.ndarray:
        """How many atoms each has, (n,)."""
        return self.counts.sum(axis=1)


def training_parts(folder: Folder, shards: Sequence[Shard], elements: Sequence[int]) -> Iterator[Training]:
    """Yield the training set, a shard at a time."""
    columns = ["group", "energy", "mean_square_force", "edges", "receivers"]
    for shard in (shard for shard in shards if shard.split == "train"):
        part = pandas.read_parquet(folder.part(shard), columns=columns)
        compositions = {piece.molecule.group: dict(piece.molecule.composition) for piece in shard.pieces}
        counts = {group: [found.get(z, 0) for z in elements] for group, found in compositions.items()}
        yield Training(
            part["energy"].to_numpy(),
            np.array([counts[group] for group in part["group"]], dtype=float).reshape(-1, len(elements)),
            part["mean_square_force"].to_numpy(),
            int(part["edges"].sum()),
            int(part["receivers"].sum()),
        )


class Plausible(NamedTuple):
    """Tells labels that can be used from gross errors."""

    shifts: np.ndarray  # (elements,) eV, from a fit that gross errors hardly move
    known: np.ndarray  # (elements,) which of them the fit has seen
    limits: Limits

    def energies(self, part: Training) -> np.ndarray:
        """Which energies are plausible, (n,) boolean; nothing is known against those of the rarest elements."""
        errors = (part.energies - part.counts @ self.shifts) / part.atoms
        rare = part.counts[:, ~self.known].any(axis=1)
        return np.isfinite(errors) & (rare | ~(np.abs(errors - self.limits.energy) > self.limits.width))

    def forces(self, part: Training) -> np.ndarray:
        """Which forces are plausible, (n,) boolean."""
        return np.isfinite(part.mean_square_forces) & ~(np.sqrt(part.mean_square_forces) > self.limits.force)


def plausible(parts: Iterator[Training], total: int) -> Plausible:
    """Take limits from every so-manieth of `total` configurations."""
    step, first, chosen = -(-total // SAMPLE) or 1, 0, []
    for part in parts:
        rows = slice(-first % step, None, step)
        chosen.append((part.energies[rows], part.counts[rows], part.mean_square_forces[rows]))
        first += len(part.energies)
    energies, counts, squares = (np.concatenate(column) for column in zip(*chosen, strict=True))
    finite = np.isfinite(energies)
    shifts = fit_shifts(energies[finite], counts[finite])
    found = limits((energies - counts @ shifts) / counts.sum(axis=1), np.sqrt(squares))
    found = found if shifts.any() else found._replace(width=np.inf)  # no shifts: too few to tell
    return Plausible(shifts, counts[finite].any(axis=0), found)


def fit_e0s(parts: Iterator[Training], usable: Plausible) -> np.ndarray:
    """Energies of the elements that explain the training energies best: MACE's `average`, (elements,) eV."""
    size = len(usable.shifts)
    squares, moments = np.zeros((size, size)), np.zeros(size)
    for part in parts:
        use = usable.energies(part)
        counts = part.counts[use]
        squares += counts.T @ counts
        moments += counts.T @ (part.energies[use] - counts @ usable.shifts)
    scale = np.sqrt(np.maximum(np.diag(squares), 1.0))  # rare elements are as well determined as others
    return usable.shifts + np.linalg.lstsq(squares / np.outer(scale, scale), moments / scale, rcond=1e-10)[0] / scale


class Statistics(NamedTuple):
    """What MACE reads, and how many labels were left out of it."""

    content: dict[str, Any]
    left_out: dict[str, int]


def compute(
    folder: Folder, shards: Sequence[Shard], elements: Sequence[int], e0s: dict[int, float] | None, r_max: float
) -> Statistics:
    """Compute the statistics of the training set as mace_prepare_data defines them.

    mean: of the energies per atom without isolated atoms, eV/atom. std: root mean square of the forces, eV/A.
    """
    total = sum(folder.note(shard)["count"] for shard in shards if shard.split == "train")
    usable = plausible(training_parts(folder, shards, elements), total)
    fitted = fit_e0s(training_parts(folder, shards, elements), usable) if e0s is None else [e0s[z] for z in elements]
    sums, counted = np.zeros(2), np.zeros(2)  # of energies per atom, and of squares of forces for each atom
    edges = receivers = 0
    left_out = Counter(energies=0, forces=0)
    for part in training_parts(folder, shards, elements):
        energies, forces = usable.energies(part), usable.forces(part)
        binding = (part.energies - part.counts @ fitted) / part.atoms
        sums += binding[energies].sum(), (part.mean_square_forces * part.atoms)[forces].sum()
        counted += energies.sum(), part.atoms[forces].sum()
        edges, receivers = edges + part.edges, receivers + part.receivers
        left_out.update(energies=int((~energies).sum()), forces=int((~forces).sum()))
    mean, mean_square = sums / np.maximum(counted, 1)
    content = {
        "atomic_energies": str({z: float(e) for z, e in zip(elements, fitted, strict=True)}),
        "avg_num_neighbors": edges / max(receivers, 1),
        "mean": float(mean),
        "std": float(np.sqrt(mean_square)) or 1.0,
        "atomic_numbers": str(list(elements)),
        "r_max": r_max,
    }
    return Statistics(content, dict(left_out))


# --- summary ----------------------------------------------------------------------------------------------------------


def summarise(folder: Folder, shards: Sequence[Shard], elements: Sequence[int]) -> dict[str, Any]:
    """Count what was written: configurations of each split and subset, labels that are missing or not finite."""
    subsets: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    labels, left_out = Counter[str](), Counter[str]()
    largest: dict[str, Any] = {"eV/A": 0.0}
    for shard in shards:
        part = pandas.read_parquet(folder.part(shard))
        left_out.update(folder.note(shard)["left_out"])
        subsets[shard.split].update(part["subset"].value_counts().to_dict())
        for name, column in (("energy", "energy"), ("forces", "largest_force")):
            has = part[f"has_{name}"]
            labels[f"{name} missing"] += int((~has).sum())
            labels[f"{name} not finite"] += int((has & ~np.isfinite(part[column])).sum())
        finite = part[np.isfinite(part["largest_force"])]
        if len(finite) and finite["largest_force"].max() > largest["eV/A"]:
            row = finite.loc[finite["largest_force"].idxmax()]
            largest = {"eV/A": float(row["largest_force"]), "group": row["group"]}
            largest["conformation"] = int(row["conformation"])
    return {
        "configurations": {split: sum(counts.values()) for split, counts in subsets.items()},
        "subsets": {split: dict(sorted(counts.items())) for split, counts in subsets.items()},
        "elements": [chemical_symbols[z] for z in elements],
        "labels": dict(labels),
        "left_out": dict(left_out),
        "largest_force": largest,
    }
