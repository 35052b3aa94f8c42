"""Extended XYZ as we write it: ASE reads back what went in, or a note says what changed."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixBondLengths, FixCartesian
from frames import assert_same_frame
from structures import molecule

from mace_outlier.data.extxyz import write_frame


def round_trip(path: Path, *frames: Atoms) -> tuple[list[Atoms], list[str]]:
    with path.open("w") as file:
        notes = [note for atoms in frames for note in write_frame(file, atoms)]
    return ase.io.read(path, ":", format="extxyz"), notes


VALUES = {
    "none": None, "empty": "", "digits": "001", "letter_t": "T", "spaces": " a  b ", "quotes": """it's a "test" """,
    "backslash": "C:\\new", "lines": "a\nb\r\tc", "unicode": "Å ∞", "assignment": "a=b, c", "braces": "{x} [y]",
    "json": "_JSON [1]", "not_a_number": "nan", "truth": True, "untruth": np.bool_(False), "whole": 3, "huge": 10**25,
    "real": 0.1 + 0.2, "tiny": 1e-300, "nan": float("nan"), "infinite": -float("inf"), "single": np.float32(0.1),
    "flags": [True, False], "one_flag": [True], "one_number": np.array([1.0]), "numbers": np.arange(3),
    "reals": np.array([0.1, 1e-12]), "mixed": [1, 2.5], "no_numbers": [], "matrix": np.eye(2) / 3,
    "texts": ["a", "b c"], "nested": {"a": [1, None, {"b": "c"}]}, "virial": np.arange(9.0).reshape(3, 3) / 7,
    "key with spaces": 1, "k=v": "x",
}  # fmt: skip


@pytest.mark.parametrize("key", VALUES)
def test_an_info_entry_comes_back_as_it_was_and_leaves_its_neighbours_alone(tmp_path, key):
    atoms = Atoms("H", info={"before": 1, key: VALUES[key], "after": "b"})
    (read,), notes = round_trip(tmp_path / "a.xyz", atoms)
    assert_same_frame(read, atoms)
    assert notes == []


def test_every_number_comes_back_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    frames = [molecule(rng, 3, cell=9.0), molecule(rng, 7)]
    for atoms in frames:
        n = len(atoms)
        atoms.arrays |= {
            "REF_forces": rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-30, 30, (n, 3)),
            "single": rng.normal(size=n).astype(np.float32),
            "flag": rng.random(n) < 0.5,
            "label": np.array([f"site{i}" for i in range(n)]),
            "neighbours": rng.integers(0, 9, (n, 2)),
        }
        atoms.arrays["REF_forces"][0] = np.nan, np.inf, -0.0
        atoms.set_initial_charges(rng.normal(size=n))
        atoms.set_masses(rng.uniform(1, 2, n))
        atoms.calc = SinglePointCalculator(
            atoms, energy=rng.normal(), free_energy=rng.normal(), forces=rng.normal(size=(n, 3)),
            stress=rng.normal(size=6), dipole=rng.normal(size=3), charges=rng.normal(size=n), magmom=1.5,
            magmoms=rng.normal(size=n), stresses=rng.normal(size=(n, 6)),
        )  # fmt: skip
    read, notes = round_trip(tmp_path / "a.xyz", *frames)
    assert len(read) == 2
    for found, atoms in zip(read, frames, strict=True):
        assert_same_frame(found, atoms)
        assert np.signbit(found.arrays["REF_forces"][0, 2])
    assert notes == []


def test_cell_and_periodicity_come_back(tmp_path):
    frames = [
        Atoms("H", pbc=[True, False, True]),
        Atoms("H", cell=[[1, 2, 3.3], [0, 5, 6], [0, 0, 1 / 3]], pbc=False),
    ]
    for found, atoms in zip(round_trip(tmp_path / "a.xyz", *frames)[0], frames, strict=True):
        assert_same_frame(found, atoms)


def test_columns_have_the_names_that_other_programs_know(tmp_path):
    round_trip(tmp_path / "a.xyz", Atoms("H", positions=[[0, 0, 1 / 3]]))
    count, comment, row = (tmp_path / "a.xyz").read_text().splitlines()
    assert (count, comment) == ("1", 'Properties=species:S:1:pos:R:3 pbc="F F F"')
    assert row.split() == ["H", "0.0", "0.0", "0.3333333333333333"]


def test_fixed_atoms_come_back(tmp_path):
    fixed = Atoms("H3", positions=np.eye(3), constraint=FixAtoms([0, 2]))
    directions = Atoms("H3", positions=np.eye(3), constraint=[FixCartesian(1, [True, False, True]), FixAtoms([0])])
    (one, other), notes = round_trip(tmp_path / "a.xyz", fixed, directions)
    assert one.constraints[0].index.tolist() == [0, 2]
    masks = {int(constraint.index[0]): constraint.mask.tolist() for constraint in other.constraints}
    assert masks == {0: [True] * 3, 1: [True, False, True], 2: [False] * 3}
    assert notes == []


NOTED = {
    "ragged": (lambda atoms: atoms.info.update(x=[[1, 2], [3]]), "info entry x comes back as JSON text"),
    "object": (lambda atoms: atoms.info.update(x=1 + 2j), "info entry x comes back as JSON text"),
    "reserved": (lambda atoms: atoms.info.update(Lattice=3), "info entry Lattice is left out"),
    "virial": (lambda atoms: atoms.info.update(virial=[1.0]), "info entry virial is left out"),
    "int64": (lambda atoms: atoms.new_array("x", np.array([2**40, 1])), "array x comes back as real numbers"),
    "column": (lambda atoms: atoms.new_array("x", np.ones((2, 1))), "array x comes back with another shape"),
    "tensors": (lambda atoms: atoms.new_array("x", np.ones((2, 3, 3))), "array x comes back with another shape"),
    "complex": (lambda atoms: atoms.new_array("x", np.array([1j, 2])), "array x is left out"),
    "spaces": (lambda atoms: atoms.new_array("x", np.array(["a b", ""])), "array x is left out"),
    "name": (lambda atoms: atoms.new_array("x:y", np.ones(2)), "array x:y is left out"),
    "constraint": (
        lambda atoms: atoms.set_constraint(FixBondLengths([[0, 1]])), "constraint FixBondLengths is left out"
    ),
    "two_energies": (
        lambda atoms: setattr(atoms, "calc", SinglePointCalculator(atoms, energy=1.0)) or atoms.info.update(energy=2.0),
        "entry energy is left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTED)
def test_what_the_format_cannot_hold_is_noted_and_the_file_stays_readable(tmp_path, case):
    spoil, note = NOTED[case]
    atoms = Atoms("H2", positions=np.eye(3)[:2], info={"name": "kept"})
    spoil(atoms)
    (read,), notes = round_trip(tmp_path / "a.xyz", atoms)
    assert [text.startswith(note) for text in notes] == [True]
    assert read.info["name"] == "kept"
    assert read.positions.tolist() == atoms.positions.tolist()
