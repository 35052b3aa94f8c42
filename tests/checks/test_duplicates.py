import numpy as np
import pytest
from made_up_checks import crystal, found, label, series, surveyed
from structures import molecules

from mace_outlier.checks.duplicates import same_geometry
from mace_outlier.checks.evidence import Evidence


def permuted(atoms):
    return atoms[np.random.default_rng(0).permutation(len(atoms))]


def rotated(atoms):
    copy = atoms.copy()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    copy.positions, copy.arrays["REF_forces"] = copy.positions @ rotation + 2.0, copy.arrays["REF_forces"] @ rotation
    return copy


def translated(atoms):
    copy = atoms.copy()
    copy.positions += 0.3 * copy.cell[0] - 0.2 * copy.cell[1]
    copy.wrap()
    return copy


def several_cells_on(atoms):
    copy = atoms.copy()
    copy.positions[2] += 2 * copy.cell[1]
    return copy


@pytest.mark.parametrize("same", [permuted, rotated, lambda a: rotated(permuted(a))])
def test_a_molecule_is_known_again(tmp_path, same):
    frames = molecules(10)
    frames.append(same(frames[4]))
    (finding,) = found(tmp_path, "duplicates", frames)
    assert (finding.certainty, list(finding.rows)) == ("look", [4, 10])
    frames[10].info["REF_energy"] += 0.05
    (finding,) = found(tmp_path, "duplicates", frames)
    assert (finding.certainty, list(finding.rows)) == ("certain", [4, 10])
    assert finding.numbers["energy"] == pytest.approx(0.05 / len(frames[4]), rel=1e-3)


@pytest.mark.parametrize("same", [permuted, translated, several_cells_on])
def test_a_crystal_is_known_again(tmp_path, same):
    rng = np.random.default_rng(0)
    frames = [crystal(rng) for _ in range(8)]
    frames.append(same(frames[3]))
    (finding,) = found(tmp_path, "duplicates", frames)
    assert (finding.certainty, list(finding.rows)) == ("look", [3, 8])
    frames[8].arrays["REF_forces"] *= 1.5
    (finding,) = found(tmp_path, "duplicates", frames)
    assert finding.certainty == "certain"


def test_near_is_not_the_same(tmp_path):
    frames = series(10)
    close = frames[5].copy()
    close.positions[0] += [0.002, 0, 0]
    assert not found(tmp_path, "duplicates", [*frames, label(close)])
    apart = molecules(2)[:1]
    for distance in (5.0, 5.5):  # beyond the cutoff of all pair sums
        pair = apart[0] + apart[0]
        pair.positions[len(apart[0]) :] += [distance, 0, 0]
        pair.info.update(REF_energy=distance)
        apart.append(pair)
    assert not found(tmp_path, "duplicates", apart[1:])


def test_copies_among_many_that_share_the_first_number(tmp_path):
    known = surveyed(tmp_path, molecules(40)[::2])
    prints = known.frames["fingerprint"]
    prints[:, 0] = prints[0, 0]
    prints[19] = prints[2]
    one, two = same_geometry(Evidence(known))
    assert (one.tolist(), two.tolist()) == ([2], [19])


def test_where_near_frames_say_which_is_wrong_only_that_is_named(tmp_path):
    frames = series(12)
    copy = frames[6].copy()
    copy.info["REF_energy"] += 2.0
    frames.insert(7, copy)
    (finding,) = found(tmp_path, "duplicates", frames)
    assert list(finding.rows) == [7]


def test_a_frame_in_training_and_validation_is_a_leak(tmp_path):
    train, valid = molecules(20), molecules(6, seed=1)
    (finding,) = found(tmp_path, "duplicates", train, [*valid, rotated(train[3])], roles=("train", "valid"))
    assert (finding.certainty, list(finding.rows)) == ("likely", [26])
    twice = [rotated(train[3]), rotated(train[5])]
    (finding,) = found(tmp_path, "duplicates", train, valid + twice, roles=("train", "valid"))
    assert finding.certainty == "certain"
    assert "2 of 8" in finding.what


def test_charges_are_another_calculation(tmp_path):
    frames = molecules(6)
    copy = frames[2].copy()
    copy.info.update(total_charge=1, REF_energy=5.0)
    assert not found(tmp_path, "duplicates", [*frames, copy])
    assert len(surveyed(tmp_path, [*frames, copy]).frames) == 7
