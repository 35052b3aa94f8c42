import pytest
from ase import units
from made_up_checks import found, series
from structures import molecules

from mace_outlier.checks.units import explanations, unit_of_ratio

KCAL = units.kcal / units.mol
FAULTS = {
    "the forces have the wrong sign": (1.0, -1.0),
    "the forces are in kcal/mol/A": (1.0, 1 / KCAL),
    "the forces are in hartree/bohr": (1.0, units.Bohr / units.Hartree),
    "the forces are in eV/bohr": (1.0, units.Bohr),
    "the energies are in hartree": (1 / units.Hartree, 1.0),
    "the energies are in kcal/mol": (1 / KCAL, 1.0),
    "the energies are in kJ/mol": (units.mol / units.kJ, 1.0),
}


def spoilt(frames, energy, force):
    for atoms in frames:
        atoms.info["REF_energy"] *= energy
        atoms.arrays["REF_forces"] *= force
    return frames


@pytest.mark.parametrize("text", FAULTS)
@pytest.mark.parametrize("make", [lambda: series(40, 0.1), lambda: molecules(60)], ids=["series", "anywhere"])
def test_unit_and_sign_of_a_file_follow_from_the_slope(tmp_path, text, make):
    (finding,) = found(tmp_path, "units", spoilt(make(), *FAULTS[text]))
    assert text in finding.what.partition(" or ")[0]  # what is likeliest comes first
    assert finding.certainty == "certain"
    assert len(finding.rows) in (40, 60)


def test_right_units_and_units_that_go_together_are_no_finding(tmp_path):
    assert not found(tmp_path, "units", series(40))
    assert not found(tmp_path, "units", spoilt(series(40), 1 / units.Hartree, 1 / units.Hartree))


def test_a_config_type_in_another_unit_is_named(tmp_path):
    frames = series(40) + spoilt(series(30, seed=5), 1.0, 1 / KCAL)
    for i, atoms in enumerate(frames):
        atoms.info["config_type"] = "old" if i < 40 else "new"
    (finding,) = found(tmp_path, "units", frames)
    assert finding.where.endswith("config_type new")
    assert list(finding.rows) == list(range(40, 70))


def test_wrong_labels_of_some_frames_do_not_change_the_slope(tmp_path):
    frames = series(60)
    for atoms in frames[::5]:
        atoms.info["REF_energy"] += 300.0
    assert not found(tmp_path, "units", frames)


def test_too_few_or_too_distant_frames_say_nothing(tmp_path):
    assert not found(tmp_path, "units", spoilt(series(6), 1.0, -1.0))
    assert not found(tmp_path, "units", spoilt(series(40, step=2.0), 1.0, -1.0))


def test_names_of_factors():
    assert explanations(KCAL, 1.12)[0] == "the forces are in kcal/mol/A"
    assert explanations(7.0, 1.12) == []
    assert "they are in hartree" in unit_of_ratio(1 / units.Hartree)
    assert "the others in kcal/mol" in unit_of_ratio(KCAL)
    assert unit_of_ratio(1.0) == unit_of_ratio(-0.04) == unit_of_ratio(float("nan")) == ""
