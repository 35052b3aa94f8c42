"""A configuration with its labels and predictions."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]
NO_VECTORS = np.zeros((0, 3))


class Frame(NamedTuple):
    """Labels and predictions of one configuration of n atoms; NaN, or no rows: not known.

    Made of the frames that a run leaves in `<tag>_outliers.xyz`.
    """

    formula: str
    numbers: NDArray[np.int64]  # (n,) atomic numbers
    is_finite: bool  # whether all labels that there are are finite
    energy: float  # label, eV
    predicted_energy: float  # eV
    isolated: float  # energy of the isolated atoms in the prediction, eV
    forces: Array  # (n, 3) label, eV/A
    predicted_forces: Array  # (n, 3)
    stress: Array  # (3, 3) label, eV/A^3
    predicted_stress: Array  # (3, 3)
    volume: float  # A^3
    expected_forces: float = np.nan  # RMS of a right label's error, by the geometry, eV/A
    expected_stress: float = np.nan  # eV/A^3
    periodic: bool = False  # in any direction
    isolation: float = np.nan  # distance to the nearest trusted configuration, see `explained.isolation`

    @property
    def atoms(self) -> int:
        """How many."""
        return len(self.numbers)

    @property
    def energy_error(self) -> float:
        """Label - prediction, eV/atom."""
        return (self.energy - self.predicted_energy) / self.atoms

    @property
    def has_forces(self) -> bool:
        """Whether label and prediction are known, and finite."""
        return len(self.forces) > 0 and bool(
            np.isfinite(self.forces).all() and np.isfinite(self.predicted_forces).all()
        )

    @property
    def has_stress(self) -> bool:
        """Whether label and prediction are known, and finite."""
        return bool(np.isfinite(self.stress).all() and np.isfinite(self.predicted_stress).all())


def frame_of(atoms: Atoms) -> Frame:
    """Return the labels and predictions of a configuration of a run's sample, see `run.sample`."""
    info, arrays = atoms.info, atoms.arrays
    labels = (info.get("reference_energy"), arrays.get("reference_forces"), info.get("reference_stress"))
    both = "reference_forces" in arrays and "predicted_forces" in arrays
    return Frame(
        formula=atoms.get_chemical_formula("hill"),
        numbers=atoms.numbers,
        is_finite=all(np.isfinite(own).all() for own in labels if own is not None),
        energy=_number(info.get("reference_energy")),
        predicted_energy=_number(info.get("predicted_energy")),
        isolated=_number(info.get("isolated_atoms_energy")),
        forces=arrays["reference_forces"] if both else NO_VECTORS,
        predicted_forces=arrays["predicted_forces"] if both else NO_VECTORS,
        stress=_tensor(info.get("reference_stress")),
        predicted_stress=_tensor(info.get("predicted_stress")),
        volume=float(abs(np.linalg.det(atoms.cell.array))),
        periodic=bool(atoms.pbc.any()),
    )


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _tensor(value: object) -> Array:
    own = np.full((3, 3), np.nan) if value is None else np.asarray(value, dtype=float)
    return own.reshape(3, 3) if own.size == 9 else np.full((3, 3), np.nan)
