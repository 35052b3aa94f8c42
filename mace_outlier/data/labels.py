"""The labels of a configuration, by the names that MACE and this package have for them."""

from typing import NamedTuple

# the label of a configuration -> the field of the batch that weighs it (0: this configuration has no such label)
LABELS = {
    "energy": "energy_weight",
    "forces": "forces_weight",
    "stress": "stress_weight",
    "virials": "virials_weight",
    "dipole": "dipole_weight",
    "polarizability": "polarizability_weight",
}


class Residual(NamedTuple):
    """The column that says how far a prediction lies from a label, see `losses.residuals`."""

    column: str
    name: str  # in words
    unit: str  # "/atom": it is divided by the number of atoms
    judged: bool = False  # whether labels are told apart by it; others count by the loss alone

    @property
    def per_atom(self) -> bool:
        """Whether it is divided by the number of atoms, as MACE's losses do."""
        return self.unit.endswith("/atom")


# dipoles and polarizabilities: in the unit of the labels, which MACE doesn't know
RESIDUALS = {
    "energy": Residual("energy_error_per_atom", "energy error", "eV/atom", judged=True),
    "forces": Residual("force_rmse", "force RMSE", "eV/A", judged=True),
    "stress": Residual("stress_rmse", "stress RMSE", "eV/A^3", judged=True),
    "virials": Residual("virials_rmse", "virials RMSE", "eV/atom", judged=True),
    "dipole": Residual("dipole_rmse", "dipole RMSE", "unit/atom"),
    "polarizability": Residual("polarizability_rmse", "polarizability RMSE", "unit/atom"),
}
LABEL_OF = {residual.column: label for label, residual in RESIDUALS.items()}
ALWAYS = ("energy", "forces")  # have a column in every table, whatever is trained
