"""Ways in which labels go wrong, planted into frames whose labels are right; each imitates a real mistake.

Labels are `REF_energy` (eV), `REF_forces` (eV/A) and, where there is one, `REF_stress` (eV/A^3, 6 or 9 components).
`plant` keeps the right ones as `right_energy`, `right_forces` and `right_stress`, and says in `planted` (0 or 1) which
frames it touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import CalculationFailed

EV_IN_KCAL_PER_MOL = units.mol / units.kcal
EV_PER_A3_IN_KBAR = 10 / units.GPa
SHIFT = 0.060  # eV/atom
FORCE_NOISE = 0.3  # eV/A, standard deviation of a component; as in the next, of right labels some 0.1 to 2
MILD = {"energy": 0.015, "forces": 0.1}  # eV/atom, eV/A: standard deviations
TIGHT, LOOSE = 0.1, {False: 1e6, True: 1e8}  # tblite's factor on the thresholds of its charges; by periodicity
XTB = {False: "GFN2-xTB", True: "GFN1-xTB"}  # the former takes six times as long in a periodic box

Frames = list[Atoms]


def touch(atoms: Atoms, **labels: float | np.ndarray) -> None:
    """Give a frame other labels (`energy`, `forces`, `stress`)."""
    atoms.info["planted"] = 1
    for name, value in labels.items():
        if name == "forces":
            atoms.arrays["REF_forces"] = np.asarray(value)
        else:
            atoms.info[f"REF_{name}"] = float(value) if name == "energy" else np.asarray(value)


# --- each changes the chosen ones of the frames ----------------------------------------------------------------------


def flip(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Forces with the sign of the gradient: a converter that forgot the minus."""
    for atoms in chosen:
        touch(atoms, forces=-atoms.arrays["REF_forces"])


def kcal(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Forces in kcal/mol/A among others in eV/A: a second source, never converted."""
    for atoms in chosen:
        touch(atoms, forces=atoms.arrays["REF_forces"] * EV_IN_KCAL_PER_MOL)


def hartree(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Energies in hartree among others in eV."""
    for atoms in chosen:
        touch(atoms, energy=atoms.info["REF_energy"] / units.Hartree)


def others(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """The energy of another frame of the same formula: rows out of step, files overwritten by one another.

    A frame whose formula has three members or fewer keeps its label.
    """
    by_formula = defaultdict(list)
    for atoms in frames:
        by_formula[atoms.get_chemical_formula()].append(atoms.info["right_energy"])
    for atoms in chosen:
        pool = by_formula[atoms.get_chemical_formula()]
        if len(pool) > 3:
            touch(atoms, energy=pool[rng.integers(len(pool))])


def shift(frames: Frames, chosen: Frames, rng: np.random.Generator, both_signs: bool = False) -> None:
    """Energies off by SHIFT for each atom: another cut-off, k-mesh, pseudopotential or functional for some frames.

    With `both_signs` they don't agree with one another.
    """
    for atoms in chosen:
        sign = rng.choice([-1, 1]) if both_signs else 1
        touch(atoms, energy=atoms.info["REF_energy"] + SHIFT * len(atoms) * sign)


def fnoise(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Normal noise of FORCE_NOISE on the forces: a sampled method, or thresholds that are far too loose."""
    for atoms in chosen:
        touch(atoms, forces=atoms.arrays["REF_forces"] + rng.normal(size=(len(atoms), 3)) * FORCE_NOISE)


def mild(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Normal noise on energies and forces, about as large as the error of a model: an SCF that nearly converged."""
    for atoms in chosen:
        energy = atoms.info["REF_energy"] + rng.normal() * MILD["energy"] * len(atoms)
        touch(
            atoms, energy=energy, forces=atoms.arrays["REF_forces"] + rng.normal(size=(len(atoms), 3)) * MILD["forces"]
        )


def stress_sign(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Stress that is positive where the cell is pushed instead of pulled: codes disagree on this."""
    for atoms in chosen:
        touch(atoms, stress=-np.asarray(atoms.info["REF_stress"]))


def stress_kbar(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Stress in kbar among others in eV/A^3."""
    for atoms in chosen:
        touch(atoms, stress=np.asarray(atoms.info["REF_stress"]) * EV_PER_A3_IN_KBAR)


def charge(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Labels of the cation: a wrong charge in the input. What that changes in GFN-xTB is added to the right labels."""
    for atoms in chosen:
        _add_difference(atoms, charge=1, multiplicity=2)


def scf(frames: Frames, chosen: Frames, rng: np.random.Generator) -> None:
    """Labels of an SCF that was stopped too early: energies too high, forces off (of GFN-xTB, as in `charge`)."""
    for atoms in chosen:
        _add_difference(atoms, accuracy=LOOSE[bool(atoms.pbc.any())])


def _add_difference(atoms: Atoms, **wrong: float) -> None:
    """Add what other settings of tblite change to the labels, where it converges."""
    from water_clusters import single_point

    bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    method = XTB[bool(atoms.pbc.any())]
    right_energy, right_forces = single_point(bare, TIGHT, method)
    try:
        energy, forces = single_point(bare, **({"accuracy": TIGHT} | wrong), method=method)
    except CalculationFailed:
        return
    touch(
        atoms,
        energy=atoms.info["REF_energy"] + energy - right_energy,
        forces=atoms.arrays["REF_forces"] + forces - right_forces,
    )


# --- the table -------------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """A way to go wrong, the share of the frames that do, the labels it spoils, and whether they lie side by side."""

    spoil: Callable[[Frames, Frames, np.random.Generator], None] | None
    share: float
    labels: tuple[str, ...] = ("energy",)
    block: bool = False


BOTH = ("energy", "forces")
FAULTS = {
    "clean": Fault(None, 0.0, ()),
    "flip": Fault(flip, 0.20, ("forces",)),
    "kcal": Fault(kcal, 0.10, ("forces",)),
    "hartree": Fault(hartree, 0.05),
    "others": Fault(others, 0.15),
    "pm60": Fault(partial(shift, both_signs=True), 0.15),
    "p60_15": Fault(shift, 0.15),
    "p60_30": Fault(shift, 0.30),
    "p60_43": Fault(shift, 0.43),
    "block": Fault(shift, 0.20, block=True),
    "fnoise": Fault(fnoise, 0.20, ("forces",)),
    "mild": Fault(mild, 0.20, BOTH),
    "stress_sign": Fault(stress_sign, 0.10, ("stress",)),
    "stress_kbar": Fault(stress_kbar, 0.10, ("stress",)),
    "charge": Fault(charge, 0.15, BOTH),
    "scf_15": Fault(scf, 0.15, BOTH),
    "scf_30": Fault(scf, 0.30, BOTH),
    "scf_43": Fault(scf, 0.43, BOTH),
}


def plant(frames: Frames, fault: str | Fault, seed: int) -> Frames:
    """Spoil the share of the frames that the fault says, in place; the seed chooses which, and all that is random.

    `fault`: one, or the name of one of FAULTS.
    """
    fault, rng = FAULTS[fault] if isinstance(fault, str) else fault, np.random.default_rng(seed)
    for atoms in frames:
        atoms.info.update(planted=0, right_energy=atoms.info["REF_energy"])
        atoms.arrays["right_forces"] = atoms.arrays["REF_forces"].copy()
        if "REF_stress" in atoms.info:
            atoms.info["right_stress"] = np.array(atoms.info["REF_stress"])
    if fault.spoil is not None:
        count = round(fault.share * len(frames))
        fault.spoil(frames, _choose(frames, count, fault.block, rng), rng)
    return frames


def _choose(frames: Frames, count: int, block: bool, rng: np.random.Generator) -> Frames:
    if block:
        first = rng.integers(len(frames) - count + 1)
        return frames[first : first + count]
    return [frames[i] for i in sorted(rng.permutation(len(frames))[:count])]
