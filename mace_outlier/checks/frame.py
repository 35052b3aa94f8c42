"""The labels of one frame, as MACE reads them, and what is wrong with them at first sight."""

from collections.abc import Iterator, Mapping
from enum import IntFlag, auto
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms, FixCartesian
from ase.stress import voigt_6_to_full_3x3_stress


class Flag(IntFlag):
    """What holds for a frame."""

    NO_ENERGY = auto()
    NO_FORCES = auto()
    NO_STRESS = auto()
    BAD_ENERGY = auto()  # NaN or infinite
    BAD_FORCES = auto()
    BAD_STRESS = auto()
    TEXT = auto()  # a label that is no number
    SHAPE = auto()  # a label of the wrong shape
    ZERO_FORCES = auto()  # all exactly 0, though the geometry doesn't ask for it
    ZERO_STRESS = auto()
    FIXED = auto()  # exactly 0 for the atoms that a constraint fixes
    SOME_ZERO = auto()  # exactly 0 for some atoms, and the others don't add up to 0
    PERIODIC = auto()
    CELL_UNUSED = auto()  # a cell, and no direction is periodic
    NO_CELL = auto()  # periodic in a direction that the cell doesn't have
    ISOLATED_ATOM = auto()  # from which MACE takes an E0
    BAD_POSITIONS = auto()
    HAS_CHARGE = auto()
    HAS_SPIN = auto()
    ODD = auto()  # number of electrons, with the charge
    PARITY = auto()  # the spin multiplicity contradicts the number of electrons
    BAD_CONDITIONS = auto()  # charge or spin is NaN or infinite


class Labels(NamedTuple):
    """What a frame says; NaN or None where it says nothing that can be used."""

    energy: float  # eV
    forces: np.ndarray | None  # (A, 3) eV/A
    stress: np.ndarray | None  # 6 or 9 components, eV/A^3; from the virials where these are all there is
    flags: Flag


def labels_of(atoms: Atoms, keys: Mapping[str, str]) -> Labels:
    """Read the labels of a frame and note what is wrong with each of them alone."""
    energy, e_flags = _number(_stored(atoms, keys["energy"]))
    forces, f_flags = _array(_stored(atoms, keys["forces"]), (len(atoms), 3), Flag.NO_FORCES, Flag.BAD_FORCES)
    stress, s_flags = _stress(atoms, keys)
    flags = e_flags | f_flags | s_flags | _surroundings(atoms) | _electrons(atoms, keys)
    if stress is not None and atoms.pbc.any() and not np.any(stress):
        flags |= Flag.ZERO_STRESS
    if forces is not None and len(atoms) > 1:
        flags |= _zeros(atoms, forces)
    return Labels(energy, forces, stress, flags)


def _stored(atoms: Atoms, key: str) -> Any:
    """Info, arrays, or for three names the result of a calculator, with constraints, as MACE does."""
    getters = {"energy": atoms.get_potential_energy, "forces": atoms.get_forces, "stress": atoms.get_stress}
    if key in atoms.info:
        return atoms.info[key]
    if key in atoms.arrays:
        return atoms.arrays[key]
    if key in getters and atoms.calc is not None:
        try:
            return getters[key]()
        except Exception:  # a calculator without this result; calculators raise anything
            return None
    return None


def _number(value: Any) -> tuple[float, Flag]:
    if value is None:
        return np.nan, Flag.NO_ENERGY
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return np.nan, Flag.TEXT
    if number.size != 1:
        return np.nan, Flag.SHAPE
    energy = float(number.reshape(()))
    return (energy, Flag(0)) if np.isfinite(energy) else (np.nan, Flag.BAD_ENERGY)


def _array(value: Any, shape: tuple[int, ...], none: Flag, bad: Flag) -> tuple[np.ndarray | None, Flag]:
    if value is None:
        return None, none
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None, Flag.TEXT
    if array.shape != shape:
        return None, Flag.SHAPE
    return (array, Flag(0)) if np.isfinite(array).all() else (None, bad)


def _stress(atoms: Atoms, keys: Mapping[str, str]) -> tuple[np.ndarray | None, Flag]:
    value = _stored(atoms, keys["stress"])
    if value is None and (virials := _stored(atoms, keys["virials"])) is not None:
        value = _stress_of(virials, atoms)
    size = np.size(value) if value is not None else 0
    if value is not None and size not in (6, 9):
        return None, Flag.TEXT if isinstance(value, str) else Flag.SHAPE
    return _array(value, np.shape(value), Flag.NO_STRESS, Flag.BAD_STRESS)


def _stress_of(virials: Any, atoms: Atoms) -> Any:
    """-virials / volume; what is no number, or has no volume, as it is."""
    try:
        return np.asarray(virials, dtype=float) / -atoms.cell.volume if atoms.cell.rank == 3 else virials
    except (TypeError, ValueError):
        return virials


def matrix_of(stress: np.ndarray | None) -> np.ndarray | None:
    """Nine components, or six in the order xx, yy, zz, yz, xz, xy, as a matrix (3, 3)."""
    if stress is None:
        return None
    flat = np.ravel(stress)
    return flat.reshape(3, 3) if flat.size == 9 else voigt_6_to_full_3x3_stress(flat)


def _zeros(atoms: Atoms, forces: np.ndarray) -> Flag:
    """Forces that are exactly zero: of all atoms, of those that are held fixed, of some."""
    zero = (forces == 0).all(axis=1)
    if zero.all():
        return Flag.ZERO_FORCES  # unless by symmetry: `shape` knows
    held = fixed(atoms)
    if held.any() and zero[held].all():
        return Flag.FIXED
    return Flag.SOME_ZERO if zero.any() else Flag(0)


def fixed(atoms: Atoms) -> np.ndarray:
    """Tell which atoms a constraint fixes in all directions, (A,) boolean."""
    held = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms) or (isinstance(constraint, FixCartesian) and bool(np.all(constraint.mask))):
            held[constraint.index] = True
    return held


def _surroundings(atoms: Atoms) -> Flag:
    flags = Flag.PERIODIC if atoms.pbc.any() else Flag(0)
    rows = atoms.cell.array
    if not (np.isfinite(atoms.positions).all() and np.isfinite(rows).all()):
        return flags | Flag.BAD_POSITIONS
    missing = ~rows.any(axis=1)
    if (missing & atoms.pbc).any() or (atoms.pbc.all() and abs(np.linalg.det(rows)) < 1e-6):
        flags |= Flag.NO_CELL
    if not atoms.pbc.any() and not missing.any():
        flags |= Flag.CELL_UNUSED
    if len(atoms) == 1 and atoms.info.get("config_type") == "IsolatedAtom":
        flags |= Flag.ISOLATED_ATOM
    return flags


def _electrons(atoms: Atoms, keys: Mapping[str, str]) -> Flag:
    """Whether the multiplicity 2 S + 1 goes with the number of electrons: odd with even."""
    given = [_scalar(atoms.info.get(keys[name])) for name in ("total_charge", "total_spin")]
    charge, spin = (int(number) if number is not None and number.is_integer() else None for number in given)
    flags = (Flag(0) if charge is None else Flag.HAS_CHARGE) | (Flag(0) if spin is None else Flag.HAS_SPIN)
    if any(number is not None and not np.isfinite(number) for number in given):
        flags |= Flag.BAD_CONDITIONS
    odd = (int(atoms.numbers.sum()) - (charge or 0)) % 2 == 1
    flags |= Flag.ODD if odd else Flag(0)
    if spin is not None and charge is not None and (spin % 2 == 1) == odd:
        flags |= Flag.PARITY
    return flags


def _scalar(value: Any) -> float | None:
    try:
        return float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        return None


def elsewhere(atoms: Atoms) -> Iterator[tuple[str, str]]:
    """Yield ("energy" or "forces", key) for everything in a frame that may be such a label, and that MACE would find.

    Of a calculator's results it takes those of its own names alone: no free_energy.
    """
    results = atoms.calc.results if atoms.calc is not None else {}
    results = {name: value for name, value in results.items() if name in ("energy", "forces")}
    for key, value in {**results, **atoms.info}.items():
        if "energy" in str(key).lower() and isinstance(value, (int, float, np.number)) and np.isfinite(value):
            yield "energy", str(key)
    for key, value in {**results, **atoms.arrays}.items():
        if "force" in str(key).lower() and np.shape(value) == (len(atoms), 3):
            yield "forces", str(key)
