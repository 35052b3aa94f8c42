"""Made-up SPICE files of both schemas, for the tests of what reads them."""

from pathlib import Path

import h5py
import numpy as np

SUBSETS = ("SPICE PubChem Set 1 Single Points Dataset v1.2", "SPICE Dipeptides Single Points Dataset v1.2")
ELEMENTS = {1: -0.5, 6: -38.0, 8: -75.0}  # hartree; the made-up energies are these and a little


def write_spice(path: Path, n_molecules: int = 12, version: int = 2, conformations: int = 5) -> Path:
    """Molecules 0, 1, 2 ...: 2 to 5 atoms; 1, 4 ... have oxygen, 3 mirrors 2, 5 is 4 with its parts exchanged."""
    rng = np.random.default_rng(0)
    smiles = {2: "[C@:1][H:2]", 3: "[C@@:2][H:1]", 4: "[H:1].[C:2]", 5: "[C:1].[H:2]"}
    with h5py.File(path, "w") as file:
        for m in range(n_molecules):
            numbers = [8 if m % 3 == 1 else 6] + [1] * (1 + m % 4)
            group = file.create_group(str(103147721 + m))  # as PubChem's
            texts = {"smiles": smiles.get(m, f"[C:1]{'C' * m}"), "subset": SUBSETS[m % 2]}
            for key, text in texts.items():
                if version == 1 and m == 7:
                    group[key] = text
                elif version == 1 and m == 8:
                    group.attrs[key] = text
                elif version == 1:
                    group[key] = np.array([text.encode()])
                else:
                    group.create_dataset(key, data=[text], dtype=h5py.string_dtype())
            group["atomic_numbers"] = np.array(numbers, dtype=np.int16)
            grid = 2.5 * np.arange(len(numbers))[:, None] * np.ones(3)
            positions = grid + rng.normal(0, 0.1, (conformations, len(numbers), 3))
            energies = sum(ELEMENTS[z] for z in numbers) + rng.normal(0, 0.01, conformations)
            values = {"conformations": (positions, "bohr"), "dft_total_energy": (energies, "hartree")}
            values["dft_total_gradient"] = (rng.normal(0, 0.02, positions.shape), "hartree/bohr")
            for key, (value, unit) in values.items():
                group[key] = value.astype(np.float64 if key == "dft_total_energy" else np.float32)
                if version == 2:
                    group[key].attrs["units"] = unit
    return path
