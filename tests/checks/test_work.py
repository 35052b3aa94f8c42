import numpy as np
import pytest
from ase import Atoms
from made_up_checks import found, label, series, sure
from structures import molecules

from mace_outlier.checks.settings import Settings
from mace_outlier.checks.work import Points, compare


def points(*frames: Atoms) -> Points:
    return Points(
        np.array([atoms.positions for atoms in frames]),
        np.array([atoms.arrays["REF_forces"] for atoms in frames]),
        np.array([atoms.info["REF_energy"] for atoms in frames]),
    )


def compared(first: Atoms, second: Atoms):
    return compare(points(first), points(second), first.cell.complete().array, first.pbc, morse=2.0)


def dimer(distance: float, morse: float = 2.0) -> Atoms:
    """A Morse bond of 5 eV and 1 Angstrom."""
    atoms = Atoms("N2", [[0, 0, 0], [distance, 0, 0]])
    decay = np.exp(-morse * (distance - 1.0))
    pull = 10.0 * morse * (1 - decay) * decay
    atoms.info["REF_energy"], atoms.arrays["REF_forces"] = 5 * (1 - decay) ** 2, np.array([[pull, 0, 0], [-pull, 0, 0]])
    return atoms


@pytest.mark.parametrize("distance", np.arange(0.8, 2.5, 0.1).round(1))  # the bond breaks at 1.35
@pytest.mark.parametrize("step", [0.02, 0.1, 0.2])
def test_the_bound_holds_for_a_bond_from_compression_to_where_it_breaks(distance, step):
    pair = compared(dimer(distance), dimer(distance + step))
    error = abs(pair.difference[0] - pair.work[0])
    assert error < Settings().bound * pair.bound[0] + 1e-4
    assert pair.bound[0] < 0.05 + 10 * error
    assert pair.step[0] == pytest.approx(step / 2)


def test_molecules_are_turned_onto_each_other():
    first, second = molecules(3)[::2]
    plain = compared(first, second)
    turned = second.copy()
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    turned.positions = second.positions @ rotation + [3.0, -1.0, 2.0]
    turned.arrays["REF_forces"] = second.arrays["REF_forces"] @ rotation
    turned.info["REF_energy"] = second.info["REF_energy"]
    for value, expected in zip(compared(first, turned), plain, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_a_lattice_vector_is_no_step():
    first, second = series(2)
    plain = compared(first, second)
    moved = second.copy()
    moved.info["REF_energy"] = second.info["REF_energy"]
    moved.positions[1] += moved.cell[0] - moved.cell[2]
    moved.positions += [0.3, 0.2, 0.1]  # and where the cell begins says nothing
    for value, expected in zip(compared(first, moved), plain, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wrong", [[7], [0], [11], [4, 5, 6], [0, 1, 9]])
def test_frames_that_contradict_their_series_are_named(tmp_path, wrong):
    frames = series(12)
    for frame in wrong:
        frames[frame].info["REF_energy"] += 0.9 + 0.4 * frame
    findings = sure(found(tmp_path, "work", frames))
    assert sorted(row for finding in findings for row in finding.rows) == wrong
    assert findings[0].certainty == "certain"


def test_wrong_forces_are_found_as_well(tmp_path):
    frames = series(20, step=0.15)
    frames[9].arrays["REF_forces"] *= -20
    findings = sure(found(tmp_path, "work", frames))
    assert [list(finding.rows) for finding in findings] == [[9]]


@pytest.mark.parametrize("step", [0.01, 0.1, 0.3, 0.6])
def test_right_labels_are_not_called_wrong_however_large_the_steps(tmp_path, step):
    assert not found(tmp_path, "work", series(40, step, seed=3))


def test_two_halves_that_disagree_are_something_to_look_at(tmp_path):
    frames = series(12)
    for atoms in frames[6:]:
        atoms.info["REF_energy"] += 1.0
    findings = found(tmp_path, "work", frames)
    assert [finding.certainty for finding in findings] == ["look"]
    assert {5, 6} <= set(findings[0].rows)


def test_what_calculations_are_not_converged_to_is_no_finding(tmp_path):
    frames = series(12)
    frames[5].info["REF_energy"] += 0.003 * len(frames[5])
    assert not found(tmp_path, "work", frames)


def test_frames_of_other_charge_or_cell_are_not_compared(tmp_path):
    frames = series(8)
    for atoms in frames[3:5]:
        atoms.info["total_charge"] = 1
        atoms.info["REF_energy"] += 5.0
    frames[6].cell *= 1.01
    label(frames[6])
    assert not found(tmp_path, "work", frames)
