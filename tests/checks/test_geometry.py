import numpy as np
import pytest
from ase import Atoms
from made_up_checks import found, label, series
from structures import molecules


def first_of(findings, text):
    return [(f.certainty, list(f.rows)) for f in findings if text in f.what]


def test_atoms_that_overlap(tmp_path):
    frames = molecules(10)
    frames[2].positions[1] = frames[2].positions[0] + [0.01, 0, 0]
    frames[5].positions[1] = frames[5].positions[0] + [0.2, 0, 0]
    findings = found(tmp_path, "geometry", frames)
    assert first_of(findings, "two atoms on the same place") == [("certain", [2])]
    assert first_of(findings, "cores") == [("likely", [5])]
    assert not found(tmp_path, "geometry", molecules(10))


def test_images_count_as_atoms(tmp_path):
    frames = series(6)
    frames[3].positions[2] = frames[3].positions[1] + frames[3].cell[0]
    assert first_of(found(tmp_path, "geometry", frames), "same place") == [("certain", [3])]


def test_cells(tmp_path):
    frames = series(6)
    frames[1].positions[0, 0] = np.nan
    flat = Atoms("Cu2", [[0, 0, 0], [2.5, 0, 0]], cell=[5, 5, 0], pbc=[True, True, True])
    flat.info["REF_energy"], flat.arrays["REF_forces"] = 0.0, np.zeros((2, 3))
    loose = frames[4].copy()
    loose.pbc = False
    findings = found(tmp_path, "geometry", [*frames, flat, loose])
    assert first_of(findings, "NaN") == [("certain", [1])]
    assert first_of(findings, "without a cell") == [("certain", [6])]
    assert first_of(findings, "not periodic") == [("look", [7])]


def test_elements_that_only_few_or_only_the_validation_have(tmp_path):
    train = molecules(40)
    train[3].numbers[1] = 9
    valid = molecules(4, seed=1)
    valid[0].numbers[1] = 17
    findings = found(tmp_path, "geometry", train, valid, roles=("train", "valid"))
    texts = [finding.what for finding in findings]
    assert "Cl: in the validation or test set, and never in training" in texts
    assert "F is in 1 training frame only" in texts


@pytest.mark.parametrize(("r_max", "count"), [(1.5, 0), (6.0, 1)])
def test_a_cutoff_beyond_half_of_the_cell_is_only_worth_knowing(tmp_path, r_max, count):
    findings = found(tmp_path, "geometry", [label(atoms) for atoms in series(3)], r_max=r_max)
    assert [f.certainty for f in findings if f.where == "--r_max"] == ["look"] * count
