"""The stress of strained crystals, of which the energies are known."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from made_up_checks import found, series, sure

VASP = [0, 1, 2, 5, 3, 4]  # xx, yy, zz, xy, yz, xz
EXCHANGED = [0, 1, 2, 4, 3, 5]  # of yz and xz: as in Mo of mlearn (Zuo et al. 2020), as it comes


def strained(number=30, size=0.03, seed=0):
    """Crystals of aluminium under strains of any direction, the atoms moved a little; EMT."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(number):
        atoms = bulk("Al", cubic=True)
        strain = rng.uniform(-size, size, (3, 3))
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.rattle(0.005, rng=rng)
        atoms.calc = EMT()
        labels = {"REF_energy": atoms.get_potential_energy(), "REF_stress": atoms.get_stress()}
        atoms.info, atoms.arrays["REF_forces"] = labels, atoms.get_forces()
        atoms.calc = None
        frames.append(atoms)
    return frames


def changed(change, frames=None):
    frames = frames or strained()
    for atoms in frames:
        atoms.info["REF_stress"] = change(atoms.info["REF_stress"], atoms)
    return frames


FAULTS = {
    "of the stress if its last three components are xy, yz, xz, where ASE and MACE read yz, xz, xy": lambda stress, _: (
        stress[VASP]
    ),
    "if its last three components are xz, yz, xy, where ASE and MACE read yz, xz, xy": lambda stress, _: stress[
        EXCHANGED
    ],
    "the stress has the wrong sign": lambda stress, _: -stress,
    "it is in kbar": lambda stress, _: 10 * stress / units.GPa,
    "it is in GPa": lambda stress, _: stress / units.GPa,
    "the stress has the wrong sign, and these are virials, in eV": lambda stress, atoms: -stress * atoms.get_volume(),
    "ASE and MACE read yz, xz, xy: the stress has the wrong sign, and it is in kbar": lambda stress, _: (
        -10 * stress[VASP] / units.GPa
    ),
}


@pytest.mark.parametrize("text", FAULTS)
def test_sign_unit_and_order_of_the_stress_follow_from_the_energies(tmp_path, text):
    (finding,) = found(tmp_path, "stress", changed(FAULTS[text]))
    assert text in finding.what.replace(" or ", ", or ")
    assert finding.certainty == "certain"
    assert list(finding.rows) == list(range(30))
    assert "frames without strained cells" not in finding.fix


def test_right_stress_is_no_finding_in_six_or_nine_numbers_or_as_virials(tmp_path):
    assert not found(tmp_path, "stress", strained())
    full = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
    assert not found(tmp_path, "stress", changed(lambda stress, _: stress[full].ravel()))
    virials = strained()
    for atoms in virials:
        atoms.info["REF_virials"] = -atoms.get_volume() * atoms.info.pop("REF_stress")
    assert not found(tmp_path, "stress", virials)
    for atoms in virials:
        atoms.info["REF_virials"] *= -1
    (finding,) = found(tmp_path, "stress", virials)
    assert "the stress has the wrong sign" in finding.what


def test_a_factor_that_is_no_unit_is_likely(tmp_path):
    (finding,) = found(tmp_path, "stress", changed(lambda stress, _: 3 * stress))
    assert "off by a factor of 2.9" in finding.what
    assert finding.certainty == "likely"


def test_wrong_labels_of_some_frames_change_nothing(tmp_path):
    frames = strained()
    for atoms in frames[::6]:
        atoms.info["REF_energy"] += 100.0
        atoms.info["REF_stress"] = -atoms.info["REF_stress"]
    assert not found(tmp_path, "stress", frames)
    (finding,) = found(tmp_path, "stress", changed(lambda stress, _: -stress, frames))
    assert "the stress has the wrong sign" in finding.what


def test_energies_or_forces_in_another_unit_are_not_called_a_fault_of_the_stress(tmp_path):
    frames = strained()
    for atoms in frames:
        atoms.info["REF_energy"] /= units.Hartree
    (finding,) = found(tmp_path, "stress", frames)
    assert finding.what.endswith("the work of the stress: the energies are in hartree")
    frames += series(40, 0.1)
    for atoms in frames[30:]:
        atoms.info["REF_energy"] /= units.Hartree
    assert [one.check for one in sure(found(tmp_path, "units", frames))] == ["units"]
    assert not found(tmp_path, "stress", frames)  # near frames of one cell have said so
    for atoms in frames:
        atoms.info["REF_energy"] *= units.Hartree
        atoms.arrays["REF_forces"] *= -23.0
    assert not found(tmp_path, "stress", frames)


def test_what_says_too_little_is_not_judged(tmp_path):
    def wrong(stress, _):
        return -stress

    assert not found(tmp_path, "stress", changed(wrong, strained(6)))
    assert not found(tmp_path, "stress", changed(wrong, strained(30, size=1e-5)))  # hardly any strain
    assert not found(tmp_path, "stress", changed(wrong, strained(30, size=0.4)))  # no expansion holds
    noise = np.random.default_rng(1)
    assert not found(tmp_path, "stress", changed(lambda stress, _: noise.normal(size=6)))
    without = strained()
    for atoms in without:
        del atoms.info["REF_stress"]
    assert not found(tmp_path, "stress", without)


def test_only_the_config_type_is_named_whose_stress_is_wrong(tmp_path):
    frames = strained() + changed(FAULTS["it is in kbar"], strained(seed=1))
    for i, atoms in enumerate(frames):
        atoms.info["config_type"] = "old" if i < 30 else "new"
    (finding,) = found(tmp_path, "stress", frames)
    assert finding.where.endswith("config_type new")
    assert list(finding.rows) == list(range(30, 60))
    assert "frames without strained cells" in finding.fix


def exchanged(cell):
    return cell[[1, 0, 2]]


def turned_over(cell):
    return cell * [[1], [1], [-1]]


@pytest.mark.parametrize("other", [exchanged, turned_over])
def test_cells_with_other_vectors_are_no_strain(tmp_path, other):
    """The cell in the middle between the two has no volume."""
    frames = changed(FAULTS["the stress has the wrong sign"])
    copies = [atoms.copy() for atoms in frames[::3]]
    for atoms in copies:
        atoms.set_cell(other(atoms.cell.array))
    (finding,) = found(tmp_path, "stress", frames + copies)
    assert "the stress has the wrong sign" in finding.what
    assert finding.numbers["pairs"] == 30 * 29 // 2 + 10 * 9 // 2
