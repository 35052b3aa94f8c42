"""LMDB databases, opened with MACE's own reader so that their frames have MACE's numbers."""

from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from mace.tools.default_keys import DefaultKeys
from mace.tools.fairchem_dataset import AseDBDataset

COPIES = ("__arrays__", "__info__", "energy", "forces", "stress", "free_energy")  # what else the reader puts into info


def read_lmdb(path: Path) -> Iterator[Atoms]:
    """Yield the configurations of one LMDB file, with the calculator's results as labels under MACE's default keys."""
    dataset = AseDBDataset(config={"src": [str(path)]})
    for index in dataset.ids:
        atoms = dataset.get_atoms(index)
        results = atoms.calc.results if atoms.calc else {}
        for name in COPIES:
            if name.startswith("__") or name in results:
                atoms.info.pop(name, None)
        for name, place, key in (
            ("energy", atoms.info, DefaultKeys.ENERGY),
            ("forces", atoms.arrays, DefaultKeys.FORCES),
            ("stress", atoms.info, DefaultKeys.STRESS),
        ):
            if name in results:
                place[key.value] = results[name]
        yield atoms
