import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write
from made_up_checks import KEYS, found, label, series, surveyed
from structures import molecules

from mace_outlier.checks import catalogue
from mace_outlier.checks.frame import Flag, labels_of
from mace_outlier.checks.inputs import Inputs, Source
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.survey_files import survey


def first(frames, **info):
    frames[0].info.update(info)
    return frames


def with_forces(frames, forces):
    frames[0].arrays["REF_forces"] = forces
    return frames


TABLE = [
    (lambda f: first(f, REF_energy=np.nan), "the energy is NaN", "certain"),
    (lambda f: first(f, REF_energy=-np.inf), "the energy is NaN or infinite", "certain"),
    (lambda f: first(f, REF_energy="failed"), "a text stands where", "certain"),
    (lambda f: first(f, REF_energy=np.arange(3.0)), "the wrong shape", "certain"),
    (lambda f: with_forces(f, np.full((4, 3), np.nan)), "forces are NaN", "certain"),
    (lambda f: with_forces(f, np.zeros((4, 3))), "all forces are exactly 0", "likely"),
    (lambda f: first(f, REF_stress=np.zeros(6)), "the stress of a periodic cell is exactly 0", "likely"),
    (lambda f: first(f, REF_stress=np.full(6, np.nan)), "the stress is NaN", "certain"),
]


@pytest.mark.parametrize(("spoil", "text", "certainty"), TABLE, ids=[row[1] for row in TABLE])
def test_what_is_wrong_with_one_label(tmp_path, spoil, text, certainty):
    findings = found(tmp_path, "labels", spoil(series(6)))
    matching = [finding for finding in findings if text in finding.what]
    assert [(finding.certainty, list(finding.rows)) for finding in matching] == [(certainty, [0])]


@pytest.mark.parametrize("key", ["total_charge", "total_spin"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_charge_or_spin_that_is_no_number(tmp_path, key, value):
    (finding,) = found(tmp_path, "labels", first(series(6), **{key: value}))
    assert finding.what.startswith("the total charge or spin is NaN or infinite")
    assert (finding.certainty, list(finding.rows)) == ("likely", [0])


def test_right_labels_are_no_finding(tmp_path):
    perfect = label(bulk("Cu", "fcc", a=3.7, cubic=True))
    perfect.arrays["REF_forces"][:] = 0.0  # by symmetry
    assert not found(tmp_path, "labels", [*series(5), perfect])
    assert not found(tmp_path, "labels", molecules(6, cell=8.0))


def test_energies_under_another_name(tmp_path):
    frames = series(4)
    for atoms in frames:
        atoms.info["dft_energy"] = atoms.info.pop("REF_energy")
    (finding,) = found(tmp_path, "labels", frames)
    assert finding.certainty == "certain"
    assert "'dft_energy'" in finding.what
    assert finding.fix == "--energy_key=dft_energy"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["free_energy"], "energy"),  # of a calculator's results, MACE finds no other
        (["formation_energy"], "energy"),
        (["energy_of_formation", "dft_energy"], "energy"),
        (["energy"], "dft_energy"),
    ],
)
def test_of_several_energies_one_is_named_that_mace_would_find(tmp_path, names, said):
    frames = series(4)
    for atoms in frames:
        energy = atoms.info.pop("REF_energy")
        results = {"energy": energy, "free_energy": energy} if said == "energy" else {"free_energy": energy}
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info |= dict.fromkeys({*names, said} - {"energy", "free_energy"}, energy)
    path = tmp_path / "file.xyz"
    write(path, frames)
    (finding,) = catalogue.run(survey(Inputs([Source(str(path), keys=dict(KEYS))]), Settings(), workers=1), ["labels"])
    assert finding.numbers == {"key": said}
    assert f"--energy_key={said}" in finding.fix


def test_no_label_at_all_and_no_frame(tmp_path):
    frames = series(3)
    for atoms in frames:
        del atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    findings = found(tmp_path, "labels", frames)
    assert [finding.certainty for finding in findings] == ["certain", "certain"]
    assert found(tmp_path, "labels", [])[0].what == "the file holds no frame"


def test_forces_that_ase_zeroed(tmp_path):
    """Keys of ASE's own make MACE call get_forces, which applies constraints."""
    atoms = series(1)[0]
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=atoms.arrays["REF_forces"])
    atoms.set_constraint(FixAtoms([0, 1]))
    labels = labels_of(atoms, {**KEYS, "energy": "energy", "forces": "forces"})
    assert labels.energy == 1.0
    assert not labels.forces[:2].any()
    assert labels.flags & Flag.FIXED


def test_some_forces_are_zero_and_the_others_do_not_add_up(tmp_path):
    frames = series(5)
    frames[2].arrays["REF_forces"][:2] = 0.0
    (finding,) = found(tmp_path, "labels", frames)
    assert (finding.certainty, list(finding.rows)) == ("likely", [2])


def test_other_keys_are_read(tmp_path):
    frames = series(3)
    survey = surveyed(tmp_path, frames)
    np.testing.assert_allclose(survey.frames["energy"], [atoms.info["REF_energy"] for atoms in frames])


def test_labels_that_mace_replaces_by_zeros(tmp_path):
    """Under the names of a calculator's results, it doesn't leave out what is absent."""
    frames = molecules(6)
    for i, frame in enumerate(frames):
        results = {"energy": frame.info.pop("REF_energy"), "forces": frame.arrays.pop("REF_forces")}
        frame.calc = SinglePointCalculator(frame, **{k: v for k, v in results.items() if (i, k) != (2, "forces")})
    path = tmp_path / "file.xyz"
    write(path, frames)
    source = Source(str(path), keys=KEYS | {"energy": "energy", "forces": "forces"})
    findings = catalogue.run(survey(Inputs([source]), Settings(), workers=1), ["labels"])
    (finding,) = [found for found in findings if "forces" in found.what]
    assert (finding.certainty, finding.rows.tolist()) == ("certain", [2])
    assert "1 of 6 frames have no 'forces': under this key, MACE trains on 0 instead" in finding.what
