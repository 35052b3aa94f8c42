"""Which components of the stress of mlearn are yz and xz? Asked of models that saw no stress; nothing is trained here.

    python benchmarks/real/real_stress.py     # after run.py --sets Si Mo --faults clean --train forces

Models that were trained on energies and forces predict the stress of the training files as they come, read in the order
of ASE and MACE (xx, yy, zz, yz, xz, xy). For each config_type, how labels yz and xz correlate with predictions of the
same component, and with those of the other one: stress.csv and a table in README.md.
"""

import csv
import itertools
from typing import Any

import _real_paths  # noqa: F401 (first)
import numpy as np
from ase import Atoms
from ase.io import read
from predictions import predictions
from readme_tables import markdown, write_tables
from real_cells import WORK, Cell
from real_sets import SOURCES
from source_commit import commit_of

from mace_outlier.checks.frame import matrix_of

TABLE = WORK.parents[1] / "benchmarks" / "real" / "stress.csv"
COMPONENTS = {"yz": (1, 2), "xz": (0, 2)}


def predicted(name: str, seed: int = 1) -> tuple[list[Atoms], np.ndarray]:
    """The frames of the training file as they come, and the stress (N, 3, 3) that the model predicts."""
    run, path = WORK / "runs" / Cell(name, "clean", "forces", seed).run_name / "ema_robust", SOURCES[name][1][0]
    seen = predictions(run / "demo.model", [path], {"stress": True})
    return read(path, ":"), np.array([own.info["predicted_stress"] for own in seen.frames])


def rows_of(name: str) -> list[dict[str, Any]]:
    """Correlations for each config_type."""
    frames, stress = predicted(name)
    labels = np.array([matrix_of(atoms.info["REF_stress"]) for atoms in frames])
    kinds = np.array([atoms.info["config_type"] for atoms in frames])
    found = []
    for kind in dict.fromkeys(kinds.tolist()):
        own = kinds == kind
        row: dict[str, Any] = {"set": name, "config_type": kind, "frames": int(own.sum())}
        for (a, one), (b, other) in itertools.product(COMPONENTS.items(), repeat=2):
            pair = labels[own][(slice(None), *one)], stress[own][(slice(None), *other)]
            row[f"label {a}, predicted {b}"] = round(float(np.corrcoef(*pair)[0, 1]), 2)
        found.append(row | {"commit": commit_of(TABLE.parents[2] / "mace_outlier")})
    return found


def main() -> None:
    rows = [row for name in ("Si", "Mo") for row in rows_of(name)]
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    names = list(rows[0])[:-1]
    table = markdown(names, [[str(row[name]) for name in names] for row in rows])
    write_tables(TABLE.with_name("README.md"), "real", {"stress": table})
    print(table)


if __name__ == "__main__":
    main()
