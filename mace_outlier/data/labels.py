"""The labels of a configuration, by the names that MACE and this package have for them."""

# the label of a configuration -> the field of the batch that weighs it (0: this configuration has no such label)
LABELS = {
    "energy": "energy_weight",
    "forces": "forces_weight",
    "stress": "stress_weight",
    "virials": "virials_weight",
    "dipole": "dipole_weight",
    "polarizability": "polarizability_weight",
}

# the label of a configuration -> the column of its residual, see `losses.residuals`
COLUMN_OF = {"energy": "energy_error", "forces": "force_rmse", "stress": "stress_rmse", "virials": "virials_rmse"}
LABEL_OF = {column: label for label, column in COLUMN_OF.items()}
