"""Made-up data sets of all that people have in their files, and more; a number says which."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from pair_model import isolated_energy, labels

from mace_outlier.data.extxyz import write_frame

ELEMENTS = ((1,), (1, 8), (1, 6, 7, 8), (14,), (4, 74), (3, 9, 17, 83))
SPACING = 1.5  # A
LARGEST = 200  # atoms
TEXTS = (
    "", " ", "a b", "NA", "nan", "001", "None", "T", "=1+1", "-2", "@cmd", "../../evil", "/etc/passwd", "C:\\x",
    "a,b;c", "<script>alert(1)</script>", "</script><!--", "\x1b[31mred", "q\"uo'te", "[red]x[/red]", "ünïcode", "水",
    "\u2028\u202e", "Default", "x" * 300, "{}", "_JSON 1", "IsolatedAtom", "%s", "{{ 7 * 7 }}",
)  # fmt: skip
INFO: tuple[tuple[str, Any], ...] = (
    ("outlier_weight", 0.3), ("row", 7), ("kind", "suspect"), ("weight", "heavy"), ("a-b", 1), ("ключ", 2.5),
    ("id", "1e5"), ("flag", True), ("virial", np.eye(3)), ("list", [1, 2, 3]), ("nested", {"a": [1, None]}),
    ("nothing", None), ("big", 10**12), ("total_charge", 1.0), ("total_spin", 3.0), ("total_charge", np.nan),
    ("dipole", [0.0, 0.0, 1.0]), ("energy", -1.0), ("free_energy", -1.0), ("head", "other"),
    ("origin", "=HYPERLINK(\"x\")"),
)  # fmt: skip
ARRAYS: tuple[tuple[str, Callable[[int], Any]], ...] = (
    ("tags", lambda n: np.arange(n)), ("momenta", lambda n: np.ones((n, 3))), ("odd-name", lambda n: np.zeros(n)),
    ("charges", lambda n: np.linspace(-1, 1, n)), ("forces", lambda n: np.ones((n, 3))),
    ("fixed", lambda n: np.arange(n) > 0), ("names", lambda n: np.array([f"a{i}" for i in range(n)])),
    ("column", lambda n: np.ones((n, 1))), ("predicted_forces", lambda n: np.ones((n, 3))),
    ("magmoms", lambda n: np.full(n, np.nan)),
)  # fmt: skip


def structure(rng: np.random.Generator, elements: tuple[int, ...], size: int, periodic: bool) -> Atoms:
    """Atoms on a jittered grid."""
    side = int(np.ceil(size ** (1 / 3)))
    grid = SPACING * np.indices((side, side, side)).reshape(3, -1).T[:size]
    atoms = Atoms(rng.choice(elements, size), positions=grid + rng.normal(0, 0.05, (size, 3)))
    if periodic:
        atoms.set_cell(np.full(3, SPACING * max(side, 2)))
        atoms.pbc = True if rng.random() < 0.7 else rng.random(3) < 0.5
    return atoms


def label(rng: np.random.Generator, atoms: Atoms) -> None:
    """Give it right labels, with a little noise."""
    energy, forces, virials = labels(atoms)
    atoms.info["REF_energy"] = energy + rng.normal(0, 1e-3) * len(atoms)
    atoms.arrays["REF_forces"] = forces + rng.normal(0, 1e-3, forces.shape)
    if atoms.cell.rank == 3:
        atoms.info |= {"REF_virials": virials, "REF_stress": -virials / atoms.get_volume()}


# --- what happens to frames: (rng, frame) ----------------------------------------------------------------------------


def _info(**values: Any) -> Callable[[np.random.Generator, Atoms], None]:
    return lambda _, atoms: atoms.info.update(values)


def _without(*names: str) -> Callable[[np.random.Generator, Atoms], None]:
    def leave_out(_: np.random.Generator, atoms: Atoms) -> None:
        for name in names:
            atoms.info.pop(name, None)
            atoms.arrays.pop(name, None)

    return leave_out


def _energy(change: Callable[[np.random.Generator, float, int], float]) -> Callable[[np.random.Generator, Atoms], None]:
    def act(rng: np.random.Generator, atoms: Atoms) -> None:
        atoms.info["REF_energy"] = change(rng, atoms.info.get("REF_energy", 0.0), len(atoms))

    return act


def _forces(change: Callable[[np.random.Generator, np.ndarray], Any]) -> Callable[[np.random.Generator, Atoms], None]:
    def act(rng: np.random.Generator, atoms: Atoms) -> None:
        if "REF_forces" in atoms.arrays:
            atoms.arrays["REF_forces"] = change(rng, atoms.arrays["REF_forces"])

    return act


def _one_of_them(value: float) -> Callable[[np.random.Generator, np.ndarray], np.ndarray]:
    def change(rng: np.random.Generator, forces: np.ndarray) -> np.ndarray:
        forces[rng.integers(len(forces)), rng.integers(3)] = value
        return forces

    return change


def _text(rng: np.random.Generator, atoms: Atoms) -> None:
    atoms.info["config_type"] = str(rng.choice(TEXTS))


def _odd_entries(rng: np.random.Generator, atoms: Atoms) -> None:
    name, value = INFO[rng.integers(len(INFO))]
    atoms.info[name] = value
    name, make = ARRAYS[rng.integers(len(ARRAYS))]
    atoms.arrays[name] = make(len(atoms))


def _results(_: np.random.Generator, atoms: Atoms) -> None:
    energy, forces, _ = labels(atoms)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)


def _coincide(_: np.random.Generator, atoms: Atoms) -> None:
    if len(atoms) > 1:
        atoms.positions[1] = atoms.positions[0]


USUAL = {
    "no energy": _without("REF_energy"),
    "no forces": _without("REF_forces"),
    "no labels": _without("REF_energy", "REF_forces", "REF_stress", "REF_virials"),
    "no stress": _without("REF_stress", "REF_virials"),
    "energy off": _energy(lambda rng, energy, n: energy + rng.choice([-1.0, 1.0, 3.0]) * n),
    "kcal/mol": _energy(lambda rng, energy, n: energy * 23.06),
    "wrong sign": _forces(lambda rng, forces: -forces),
    "zero forces": _forces(lambda rng, forces: np.zeros_like(forces)),
    "zero energy": _energy(lambda rng, energy, n: 0.0),
    "NaN energy": _energy(lambda rng, energy, n: np.nan),
    "infinite energy": _energy(lambda rng, energy, n: np.inf),
    "gross energy": _energy(lambda rng, energy, n: energy + 10.0 ** rng.uniform(3, 30)),
    "NaN force": _forces(_one_of_them(np.nan)),
    "infinite force": _forces(_one_of_them(-np.inf)),
    "gross force": _forces(_one_of_them(1e7)),
    "NaN stress": _info(REF_stress=np.full(9, np.nan)),
    "weight 0": _info(config_weight=0.0),
    "weight": _info(config_weight=3.0),
    "energy weight 0": _info(config_energy_weight=0.0),
    "forces weight 0": _info(config_forces_weight=0.0),
    "config_type": _text,
    "entries": _odd_entries,
    "results": _results,
    "atoms on the same place": _coincide,
}
TEXT = _info(REF_energy="-3.2 eV")


def data_set(rng: np.random.Generator, elements: tuple[int, ...], count: int) -> list[Atoms]:
    """So many configurations, of which some were spoilt in up to five ways."""
    largest = int(rng.choice([3, 8, 20]))
    periodic, text = rng.choice([0.0, 0.5, 1.0]), rng.random() < 0.004
    frames = []
    for _ in range(count):
        size = int(rng.integers(1, largest + 1)) if rng.random() > 0.02 else int(rng.integers(largest, LARGEST + 1))
        atoms = structure(rng, elements, size, rng.random() < periodic)
        label(rng, atoms)
        atoms.info |= {"config_type": f"kind {rng.integers(3)}"} if rng.random() < 0.8 else {}
        frames.append(atoms)
    ways = list(rng.choice(list(USUAL), int(rng.integers(0, 6)), replace=False))
    for way in ways:
        share = rng.choice([1.5 / count, 0.2, 0.5, 1.0], p=(0.4, 0.4, 0.15, 0.05))
        for atoms in frames:
            if rng.random() < share:
                USUAL[way](rng, atoms)
    if text:
        TEXT(rng, frames[int(rng.integers(count))])
    frames += [frames[i].copy() for i in rng.integers(0, count, int(rng.choice([0, 0, 1, 4])))]
    return frames


def isolated_atoms(elements: tuple[int, ...]) -> list[Atoms]:
    """Of which MACE takes E0s."""
    info = {"config_type": "IsolatedAtom"}
    return [Atoms(numbers=[z], info=info | {"REF_energy": isolated_energy(z)}) for z in elements]


def write(path: Path, frames: list[Atoms]) -> None:
    """As extended XYZ, where a text may be empty."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for atoms in frames:
            write_frame(file, atoms)
