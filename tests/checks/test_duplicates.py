import numpy as np
import pytest
from made_up_checks import crystal, found, label, series, surveyed
from structures import molecules

from mace_outlier.checks import duplicates
from mace_outlier.checks.duplicates import compared, same_geometry
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


def of_another_sign(atoms):
    atoms.arrays["REF_forces"] = -atoms.arrays["REF_forces"]
    return atoms


def in_another_order(atoms):
    atoms.arrays["REF_forces"] = atoms.arrays["REF_forces"][::-1].copy()
    return atoms


@pytest.mark.parametrize("make", [series, molecules])
@pytest.mark.parametrize("spoil", [of_another_sign, in_another_order])
def test_forces_of_the_same_sizes_are_not_the_same_labels(tmp_path, make, spoil):
    frames = make(60)
    copies = [spoil(permuted(frames[i])) if i < 40 else frames[i].copy() for i in (5, 20, 31, 40)]
    wrong, twice = found(tmp_path, "duplicates", frames + copies)
    assert wrong.certainty == "certain"
    assert {60, 61, 62} <= set(wrong.rows) <= {5, 20, 31, 60, 61, 62}
    assert "3 geometries have different labels in 6 frames: energies differ by up to 0 meV/atom, forces" in wrong.what
    assert (twice.certainty, list(twice.rows)) == ("look", [40, 63])


def test_forces_of_another_convergence_are_the_same_labels(tmp_path):
    rng, frames = np.random.default_rng(0), series(40)
    for change in (lambda forces: 1.03 * forces, lambda forces: forces + rng.normal(0, 0.01, forces.shape)):
        copies = [rotated_crystal(permuted(atoms)) for atoms in frames]
        for copy in copies:
            copy.arrays["REF_forces"] = change(copy.arrays["REF_forces"])
        (finding,) = found(tmp_path, "duplicates", frames + copies)
        assert "80 frames stand there more than once, with the same labels" in finding.what


def rotated_crystal(atoms):
    """Turned and mirrored, with its cell and its stress."""
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ turn)
    copy.positions, copy.arrays["REF_forces"] = atoms.positions @ turn, atoms.arrays["REF_forces"] @ turn
    if "REF_stress" in atoms.info:
        copy.info["REF_stress"] = (turn.T @ atoms.info["REF_stress"].reshape(3, 3) @ turn).ravel()
    return copy


@pytest.mark.parametrize(
    ("change", "certainty"),
    [
        (lambda stress: stress, "look"),
        (lambda stress: stress + 0.0005 * np.eye(3), "look"),
        (lambda stress: -stress, "certain"),
        (lambda stress: stress + 0.01 * np.eye(3), "certain"),
        (lambda stress: stress[[1, 0, 2]][:, [1, 0, 2]], "certain"),  # the same trace
    ],
)
def test_another_stress_is_another_label(tmp_path, change, certainty):
    rng, frames = np.random.default_rng(0), series(8)
    for atoms in frames:
        stress = rng.normal(0, 0.02, (3, 3))
        atoms.info["REF_stress"] = (stress + stress.T).ravel()
    copy = frames[3].copy()
    copy.info["REF_stress"] = change(copy.info["REF_stress"].reshape(3, 3)).ravel()
    (finding,) = found(tmp_path, "duplicates", [*frames, rotated_crystal(permuted(copy))])
    assert (finding.certainty, list(finding.rows)) == (certainty, [3, 8])
    assert ("stress by up to" in finding.what) == (certainty == "certain")


@pytest.mark.parametrize("label", ["REF_energy", "REF_forces", "REF_stress"])
def test_a_label_that_only_one_of_both_has_is_not_the_same(tmp_path, label):
    frames = series(8)
    for atoms in frames:
        atoms.info["REF_stress"] = np.arange(6) * 0.01
    copies = [frames[3].copy(), frames[5].copy()]
    for place in (copies[0].info, copies[0].arrays):
        place.pop(label, None)
    same, uneven = found(tmp_path, "duplicates", frames + copies)
    assert (same.certainty, list(same.rows)) == ("look", [5, 9])
    assert (uneven.certainty, list(uneven.rows)) == ("look", [3, 8])
    assert uneven.what == "2 frames stand there more than once, with labels that only one of them has"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("missing", "change", "said"),
    [
        (["REF_energy"], of_another_sign, "1 geometry has different labels in 2 frames: forces differ by up to"),
        (["REF_forces"], None, "energies differ by up to 250 meV/atom"),
        (["REF_energy", "REF_forces"], None, None),
    ],
)
def test_only_what_is_there_is_said_to_differ(tmp_path, missing, change, said):
    frames = series(8)
    frames.append((change or (lambda atoms: atoms))(frames[3].copy()))
    frames[8].info["REF_energy"] += 1.0
    for atoms in frames:
        for name in missing:
            (atoms.arrays if name == "REF_forces" else atoms.info).pop(name)
    findings = found(tmp_path, "duplicates", frames)
    assert len(findings) == (said is not None)
    for finding in findings:
        assert said in finding.what
        assert "nan" not in finding.what
        assert "nan" not in str(finding.numbers)


def test_pairs_are_compared_a_part_at_a_time(tmp_path, monkeypatch):
    frames = [frame.copy() for frame in molecules(7) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.info["REF_energy"] += 0.01 * number * len(frame)
    evidence = Evidence(surveyed(tmp_path, frames))
    pairs = same_geometry(evidence)
    expected = compared(evidence.survey.frames, *pairs, evidence.settings)
    assert len(expected.energy) == 21  # three of each
    for chunk in (1, 4, 21):
        monkeypatch.setattr(duplicates, "CHUNK", chunk)
        for ours, theirs in zip(compared(evidence.survey.frames, *pairs, evidence.settings), expected, strict=True):
            assert np.array_equal(ours, theirs, equal_nan=True)
