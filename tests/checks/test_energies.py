import numpy as np
import pytest
from ase import Atoms, units
from made_up_checks import found, series, sure
from structures import molecules


def typed(frames, name):
    for atoms in frames:
        atoms.info["config_type"] = name
    return frames


def test_right_energies_are_no_finding(tmp_path):
    assert not found(tmp_path, "energies", typed(series(20), "a") + typed(series(20, seed=1), "b") + molecules(30))


def absolute(frames, each=-50.0):
    for atoms in frames:
        atoms.info["REF_energy"] += each * len(atoms)
    return frames


def test_single_energies_in_another_unit(tmp_path):
    frames = absolute(series(30))
    for atoms in frames[4:7]:
        atoms.info["REF_energy"] /= units.Hartree
    (finding,) = sure(found(tmp_path, "energies", frames))
    assert (finding.certainty, list(finding.rows)) == ("certain", [4, 5, 6])
    assert "they are in hartree, the others in eV" in finding.what


def test_what_scatters_between_two_units_is_in_the_one_that_most_are_in(tmp_path):
    frames = absolute(series(30), -5.0)
    for atoms, cohesion in zip(frames[::5], (1.0, 1.0, 1.0, 1.0, 1.13, 0.95), strict=True):
        atoms.info["REF_energy"] *= cohesion / units.Hartree  # 1.13: nearer to the ratio of kcal/mol
    (finding,) = sure(found(tmp_path, "energies", frames))
    assert list(finding.rows) == [0, 5, 10, 15, 20, 25]
    assert "they are in hartree" in finding.what


@pytest.mark.parametrize(("shift", "certainty"), [(-4.0, "likely"), (-40.0, "certain"), (30.0, "look"), (-1.0, None)])
def test_gross_energies(tmp_path, shift, certainty):
    frames = absolute(series(30), -500.0)
    frames[8].info["REF_energy"] += shift * len(frames[8])
    findings = found(tmp_path, "energies", frames)
    assert [(f.certainty, list(f.rows)) for f in findings] == ([(certainty, [8])] if certainty else [])


def test_high_energies_of_short_distances_are_right(tmp_path):
    frames = absolute(series(30), -500.0)
    frames[8].set_cell(0.7 * frames[8].cell, scale_atoms=True)
    frames[8].info["REF_energy"] += 50.0 * len(frames[8])
    assert not found(tmp_path, "energies", frames)


def test_a_config_type_off_by_a_constant_is_seen_between_near_frames(tmp_path):
    frames = typed(series(30), "a") + typed(series(20, seed=2), "b")
    for atoms in frames[30:]:
        atoms.info["REF_energy"] += 0.6
    (finding,) = found(tmp_path, "energies", frames)
    assert list(finding.rows) == list(range(30, 50))
    assert finding.numbers["offset"] == pytest.approx(0.15, abs=0.01)
    assert finding.where.endswith("config_type b")


def test_a_file_of_another_reference_or_unit(tmp_path):
    many, other = molecules(60), molecules(20, seed=1)
    for atoms in other:
        atoms.info["REF_energy"] -= 15.0 * len(atoms)
    (finding,) = [f for f in found(tmp_path, "energies", many, other) if "composition" in f.what]
    assert (finding.certainty, len(finding.rows)) == ("certain", 20)
    assert finding.numbers["offset"] == pytest.approx(-15, abs=0.5)


def test_energies_of_all_electrons_in_hartree(tmp_path):
    water = [Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93 + 0.001 * i, 0]]) for i in range(10)]
    for i, atoms in enumerate(water):
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = -76.4 + 0.0001 * i, np.zeros((3, 3))
    (finding,) = found(tmp_path, "energies", water)
    assert "in hartree" in finding.what
    for atoms in water:
        atoms.info["REF_energy"] *= units.Hartree
    assert not found(tmp_path, "energies", water)


@pytest.mark.parametrize(("wrong", "certainty"), [(3, "likely"), (30, "look")])
def test_a_multiplicity_that_the_electrons_do_not_allow(tmp_path, wrong, certainty):
    frames = molecules(30)
    for i, atoms in enumerate(frames):
        odd = int(atoms.numbers.sum()) % 2 == 1
        atoms.info.update(total_charge=0, total_spin=(2 if odd else 1) + (i < wrong))
    (finding,) = [f for f in found(tmp_path, "energies", frames) if "multiplicity" in f.what]
    assert (finding.certainty, len(finding.rows)) == (certainty, wrong)
