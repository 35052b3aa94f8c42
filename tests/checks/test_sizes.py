import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from made_up_checks import found
from structures import molecules

from mace_outlier.data.units import FORCES, STRESSES


def strained(number: int = 20):
    """Copper, pressed and pulled by up to 15 GPa."""
    frames = []
    for strain in np.linspace(-0.025, 0.025, number):
        atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
        atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
        atoms.rattle(0.05, rng=np.random.default_rng(len(frames)))
        atoms.calc = EMT()
        energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        atoms.calc = None
        atoms.info |= {"REF_energy": energy, "REF_stress": stress}
        atoms.arrays["REF_forces"] = forces
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("unit", ["kbar", "GPa"])
def test_single_stresses_in_another_unit(tmp_path, unit):
    frames = strained()
    for i in (0, 19):
        frames[i].info["REF_stress"] /= STRESSES[unit]
    findings = found(tmp_path, "sizes", frames)
    assert [row for finding in findings for row in finding.rows] == [0, 19]
    assert "stress" in findings[0].what
    assert (findings[0].certainty, findings[0].numbers["unit"]) == ("certain", "eV an atom")


def test_virials_are_converted_before_they_are_compared(tmp_path):
    frames = strained()
    for atoms in frames:
        atoms.info["REF_virials"] = -atoms.info.pop("REF_stress") * atoms.get_volume()
    assert not found(tmp_path, "sizes", frames)


def test_single_forces_in_another_unit(tmp_path):
    frames = molecules(20)
    for i in (3, 7):
        frames[i].arrays["REF_forces"] /= FORCES["kJ/mol/nm"]
    findings = found(tmp_path, "sizes", frames)
    assert sorted(row for finding in findings for row in finding.rows) == [3, 7]
    assert "eV/A" in findings[0].what


def test_right_labels_and_large_ones_of_near_atoms_are_no_finding(tmp_path):
    frames = strained() + molecules(10)
    assert not found(tmp_path, "sizes", frames)
    near = strained(1)[0]
    near.set_cell(near.cell * 0.8, scale_atoms=True)
    near.info["REF_stress"] = -np.array([30.0, 30, 30, 0, 0, 0])
    near.arrays["REF_forces"] *= 1e4
    assert not found(tmp_path, "sizes", [*frames, near])
