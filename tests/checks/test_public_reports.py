"""Faults of public reports, in made-up frames: what `check` would have said. See docs/pages/checks.md."""

import numpy as np
from ase.calculators.lj import LennardJones
from made_up_checks import surveyed
from structures import molecules

from mace_outlier.checks import catalogue


def findings(tmp_path, frames, **inputs):
    survey = surveyed(tmp_path, frames, **inputs)
    return [(f.check, f.certainty, f.rows.tolist()) for f in catalogue.run(survey, list(catalogue.CHECKS))]


def test_energies_far_too_low_and_forces_of_thousands(tmp_path):
    """SPICE 60: a bug of the electronic structure code made energies hartrees too low, and forces enormous."""
    frames = molecules(60)
    frames[9].info["REF_energy"] -= 40 * len(frames[9])
    frames[9].arrays["REF_forces"] += 300 * np.random.default_rng(0).normal(size=(len(frames[9]), 3))
    found = findings(tmp_path, frames)
    assert ("energies", "certain", [9]) in found


def test_gradients_whose_errors_are_large(tmp_path):
    """SPICE 103: analytical gradients of clusters with errors of a coarse grid."""
    frames, rng = molecules(60), np.random.default_rng(1)
    assert findings(tmp_path, frames) == []
    frames[5].arrays["REF_forces"] += rng.normal(size=(len(frames[5]), 3)) * 0.6
    found = findings(tmp_path, frames)
    assert ("net_force", "certain", [5]) in found
    frames[5].arrays["REF_forces"] = molecules(60)[5].arrays["REF_forces"]
    frames[5].arrays["REF_forces"][0, 0] += 0.02  # as of the K Cl in the report: no check can tell it from a grid
    assert findings(tmp_path, frames) == []


def test_forces_of_atoms_that_have_no_neighbour(tmp_path):
    """MACE 1481: the model's forces are zero, the reference's are not, in some frames of a fine-tuning."""
    frames = molecules(60)
    frames[8].positions[1] += [9.0, 0, 0]  # its hydrogen is far away, its forces are those of the bond
    assert np.linalg.norm(frames[8].arrays["REF_forces"][1]) > 0.6
    frames[4].positions[1] += [9.0, 0, 0]
    frames[4].arrays["REF_forces"] *= 0.3 / np.linalg.norm(frames[4].arrays["REF_forces"][1])  # as between two ions
    found = findings(tmp_path, frames)
    assert {("geometry", "likely", (8,)), ("geometry", "look", (4,))} <= {(*f[:2], tuple(f[2])) for f in found}
    assert ("geometry", "likely", [8]) not in findings(tmp_path, frames, r_max=12.0)  # which would see it


def test_frames_without_a_reference_energy(tmp_path):
    """MACE 939: frames without reference data were counted as zero in the errors that MACE prints."""
    frames = molecules(60)
    for row in (3, 11):
        del frames[row].info["REF_energy"]
    assert findings(tmp_path, frames) == [("labels", "look", [3, 11])]


def test_hydrogens_that_are_ripped_off(tmp_path):
    """SPICE 105: hydrogens far from their heavy atoms, with large forces that are right."""
    frames = molecules(60)
    work = frames[7].copy()
    work.positions[1] += [6.0, 0, 0]
    work.positions[2] = work.positions[0] + [0.8, 0, 0]  # another one is pushed onto its neighbour
    work.calc = LennardJones(sigma=1.1, epsilon=0.3, rc=4.0)
    frames[7].positions, frames[7].arrays["REF_forces"] = work.positions, work.get_forces()
    assert np.abs(frames[7].arrays["REF_forces"]).max() > 30
    assert ("geometry", "look", [7]) in findings(tmp_path, frames)
