"""What is said of made-up suspects: the fault that was planted, and nothing of right labels."""

from collections import Counter

import numpy as np
import pytest
from made_up_causes import FAULTS, made_up_frames

from mace_outlier.causes.advice import advice
from mace_outlier.causes.cause import NOT_FINITE, RARE, UNKNOWN
from mace_outlier.causes.explained import Measured, explained
from mace_outlier.causes.frames import NO_VECTORS
from mace_outlier.causes.repair import REPAIRS, repaired, repairs_of
from mace_outlier.causes.tell import tell_causes
from mace_outlier.data.units import STRESSES

SUSPECTS, TRUSTED = 20, 150


def planted(words: str, suspects: int = SUSPECTS, seed: int = 1):
    rng = np.random.default_rng(seed)
    return [FAULTS[words](frame, rng) for frame in made_up_frames(suspects, seed)]


def counted(suspects, trusted=None) -> Counter[str]:
    return Counter(
        cause.words for cause in tell_causes(suspects, made_up_frames(TRUSTED) if trusted is None else trusted)
    )


@pytest.mark.parametrize("words", FAULTS)
def test_the_fault_that_was_planted_is_said_and_hardly_any_other(words):
    found = counted(planted(words))
    assert found[words] >= 0.85 * SUSPECTS, found
    assert SUSPECTS - found[words] - found[UNKNOWN] <= 1, found


def test_nothing_is_said_of_right_labels():
    assert counted(made_up_frames(40, seed=2)) == {UNKNOWN: 40}


def test_several_faults_are_told_apart():
    words = ["forces of the wrong sign", "energy in hartree", "noise in forces", "energy off by a constant"]
    suspects = [frame for name in words for frame in planted(name, 15, seed=3)]
    found = counted(suspects)
    assert all(found[name] >= 13 for name in words[:3]), found
    assert found[words[3]] >= 10, "five of one sign, among sixty suspects, may be noise"


def test_the_energy_of_another_frame_is_recognised_by_its_digits():
    trusted = made_up_frames(TRUSTED)
    suspects = [
        frame._replace(energy=next(t.energy for t in trusted[3 * i :] if t.formula == frame.formula))
        for i, frame in enumerate(made_up_frames(SUSPECTS, seed=5))
    ]
    assert counted(suspects, trusted)["energy of another frame"] >= 18


def test_energies_that_are_equal_in_single_precision_are_not_those_of_another_frame():
    """A training in float32 rounds energies of -1e4 eV to 1e-3 eV: many are equal by chance."""
    rng = np.random.default_rng(6)

    def rounded(frames, width):
        """Energies of a formula lie within a few tenths of an eV."""
        found = []
        for frame in frames:
            energy = frame.isolated - 4 * frame.atoms + 0.1 * rng.normal()
            label = np.float32(energy + width * rng.normal() * frame.atoms)
            found.append(frame._replace(predicted_energy=energy, energy=float(label)))
        return found

    frames = made_up_frames(1300)
    found = counted(rounded(frames[:100], 0.015), rounded(frames[100:], 0.0015))
    assert found["energy of another frame"] == 0
    assert found["noise in energy"] >= 70


def test_values_are_the_factor_and_the_offset():
    assert {cause.value for cause in tell_causes(planted("forces of the wrong sign"), made_up_frames(TRUSTED))} == {
        -1.0
    }
    offsets = [cause.value for cause in tell_causes(planted("energy off by a constant"), made_up_frames(TRUSTED))]
    assert np.abs(offsets) == pytest.approx(0.06, abs=0.003)
    assert min(offsets) < 0 < max(offsets)
    factors = [cause.value for cause in tell_causes(planted("forces off by a factor"), made_up_frames(TRUSTED))]
    assert factors == pytest.approx([1.45] * SUSPECTS, rel=0.05)


def test_one_suspect_has_no_constant_offset_but_may_be_in_another_unit():
    assert counted(planted("energy off by a constant", 1)) != {"energy off by a constant": 1}
    assert counted(planted("forces in kcal/mol/A", 1)) == {"forces in kcal/mol/A": 1}


def test_atoms_whose_forces_are_wrong_are_named():
    [cause] = tell_causes(planted("forces of some atoms", 1), made_up_frames(TRUSTED))
    [frame] = planted("forces of some atoms", 1)
    off = np.linalg.norm(frame.forces - frame.predicted_forces, axis=1)
    assert cause.faults[0].told.atoms.tolist() == sorted(np.argsort(-off)[:2].tolist())


def test_without_trusted_configurations_or_labels_nothing_is_said():
    assert counted(planted("forces of the wrong sign"), []) == {UNKNOWN: SUSPECTS}
    bare = [f._replace(energy=np.nan, forces=NO_VECTORS, stress=np.full((3, 3), np.nan)) for f in made_up_frames(3)]
    assert counted(bare) == {UNKNOWN: 3}
    assert tell_causes([], made_up_frames(20)) == []


def test_a_label_that_is_not_finite_is_named():
    [frame] = made_up_frames(1)
    assert counted([frame._replace(energy=np.inf, is_finite=False)]) == {NOT_FINITE: 1}


def test_what_is_far_from_all_others_is_rare_rather_than_noisy_but_a_sign_is_a_sign():
    far = [frame._replace(isolation=5.0) for frame in planted("noise in forces")]
    assert counted(far) == {RARE: SUSPECTS}
    flipped = [frame._replace(isolation=5.0) for frame in planted("forces of the wrong sign")]
    assert counted(flipped) == {"forces of the wrong sign": SUSPECTS}


def test_an_error_that_geometry_expects_is_no_fault():
    hard = [frame._replace(expected_forces=0.8) for frame in planted("noise in forces")]
    assert counted(hard) == {UNKNOWN: SUSPECTS}


@pytest.mark.parametrize("words", [*FAULTS, UNKNOWN, RARE, NOT_FINITE, *REPAIRS])
def test_there_is_advice_for_every_cause(words):
    assert advice(words).endswith(".")


# --- repairs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [words for words in FAULTS if repairs_of(words)])
def test_a_repaired_label_is_the_right_one(words):
    for right, wrong in zip(made_up_frames(SUSPECTS, 1), planted(words), strict=True):
        for repair in repairs_of(words):
            label = np.asarray(getattr(wrong, repair.label))
            new = repaired(label, repair, wrong.atoms, wrong.volume, wrong.predicted_forces)
            off = np.abs(new - getattr(right, repair.label)) > 1e-9
            assert off.mean() <= (0.2 if repair.order else 0), "two atoms with nearly the same forces may be exchanged"


def test_what_can_be_repaired_is_units_signs_and_order():
    possible = {words for words in FAULTS if repairs_of(words)}
    assert {"forces in another order of atoms", "energy per atom", "stress in eV (virials)"} < possible
    kinds = ("of the wrong sign", " in ", "energy per atom")
    assert all(any(kind in words for kind in kinds) for words in possible)
    assert not any("noise" in words or "factor" in words or "constant" in words for words in possible)


def test_a_cause_is_repaired_as_a_whole_or_not_at_all():
    assert len(repairs_of("energy in hartree; forces in hartree/bohr")) == 2
    assert repairs_of("energy off by a constant; forces of the wrong sign") == []
    assert repaired(np.zeros((3, 3)), repairs_of("forces in another order of atoms")[0], 3, 1.0, None) is None


# --- energies that are too high ---------------------------------------------------------------------------------------

TOO_HIGH = {"8-4-2": 0.02, "6-6-2": 0.04, "4-5-5": 0.06}  # eV/atom, by formula


def too_high(scatter: float, share: float) -> list:
    """Energies too high by as much for each formula; of a share, forces are scattered as well."""
    rng, frames = np.random.default_rng(8), made_up_frames(40, seed=8)
    own = [f._replace(energy=f.energy + (TOO_HIGH[f.formula] + 0.005 * rng.normal()) * f.atoms) for f in frames]
    return [
        f._replace(forces=f.forces + scatter * rng.normal(size=f.forces.shape)) if i < share * len(own) else f
        for i, f in enumerate(own)
    ]


def test_energies_too_high_with_scattered_forces_are_unconverged_not_of_another_reference():
    """Mini-SPICE: each molecule is off by much the same, as by a constant for each element."""
    assert counted(too_high(0.4, share=0.6))["unconverged"] >= 36
    found = counted(too_high(0.0, share=0.0))
    assert not found["unconverged"]
    assert found["energy off by a constant for each element"] >= 30
    turned = [f._replace(forces=-f.forces) for f in too_high(0.0, share=0.0)]
    assert not counted(turned)["unconverged"], "a sign is no sign of that"


def test_noise_that_is_cut_off_is_no_pair_of_constants():
    """Suspects are those that are far off: of mild noise that is what lies just beyond, on both sides."""
    rng = np.random.default_rng(9)
    off = [error for error in 0.007 * rng.normal(size=2000) if abs(error) > 0.009][:200]
    suspects = [f._replace(energy=f.energy + e * f.atoms) for f, e in zip(made_up_frames(200, 9), off, strict=True)]
    assert counted(suspects)["noise in energy"] >= 190


def test_causes_of_a_model_that_says_nothing_of_its_features():
    """As one whose output has no `node_feats`."""
    frames, size = [*planted("forces of the wrong sign"), *made_up_frames(TRUSTED)], SUSPECTS + TRUSTED
    trusted = np.arange(size) >= SUSPECTS
    force = np.array([np.sqrt(np.mean(frame.predicted_forces**2)) for frame in frames])
    own = explained(frames, Measured(force, np.full((size, 3), np.nan), np.zeros((size, 0))), trusted)
    assert all(np.isnan(frame.isolation) and 0 < frame.expected_forces < np.inf for frame in own)
    found = counted(own[:SUSPECTS], own[SUSPECTS:])
    assert found["forces of the wrong sign"] >= 0.85 * SUSPECTS, found


# --- what a model knows badly ----------------------------------------------------------------------------------------


def of_small_stress(number, seed, errors):
    """Frames with a stress that is small beside the error of some of them, as the pressure of a melt may be."""
    rng = np.random.default_rng(seed)
    return [
        frame._replace(
            predicted_stress=0.2 * frame.predicted_stress,
            stress=0.2 * frame.predicted_stress + np.eye(3) * rng.normal() * errors[i % len(errors)],
        )
        for i, frame in enumerate(made_up_frames(number, seed))
    ]


def test_a_sign_that_explains_a_stress_is_told_though_others_are_predicted_badly():
    trusted = of_small_stress(TRUSTED, 1, errors=[0.0003, 0.012, 0.012])
    right = of_small_stress(20, 2, errors=[0.0003])
    suspects = [frame._replace(stress=-frame.stress) for frame in right]
    assert counted(suspects, trusted) == {"stress of the wrong sign": 20}
    assert set(counted(right, trusted)) == {UNKNOWN}


def of_large_cells(number, seed, bias):
    """Frames of 1,150 to 1,450 A^3, where virials are much like kbar; predictions are too small by up to `bias`."""
    rng = np.random.default_rng(seed)
    sizes = rng.uniform(1.0, bias, number)
    frames = zip(made_up_frames(number, seed), sizes, strict=True)
    return [f._replace(volume=rng.uniform(1150, 1450), predicted_stress=f.predicted_stress / by) for f, by in frames]


@pytest.mark.parametrize("bias", [1.3, 1.5])
def test_of_two_units_that_predictions_cannot_tell_apart_both_are_named(bias):
    """Silicon: a model whose stress is off by a fifth called labels in kbar virials, and all agreed on it."""
    either = "stress in kbar or eV (virials), with the wrong sign"
    suspects = [f._replace(stress=f.stress / STRESSES["kbar"]) for f in of_large_cells(20, 1, bias)]
    found = counted(suspects, of_large_cells(TRUSTED, 2, bias))
    assert found[either] >= 17, found
    assert found[either] + found["stress in kbar"] + found[UNKNOWN] == 20, found
    assert repairs_of(either) == [], "it isn't known by what to divide"
    assert advice(either).startswith("Find out which")


def test_of_two_units_that_predictions_can_tell_apart_one_is_named():
    suspects = [f._replace(stress=f.stress / STRESSES["kbar"]) for f in of_large_cells(20, 1, 1.02)]
    assert counted(suspects, of_large_cells(TRUSTED, 2, 1.02))["stress in kbar"] >= 17


def test_a_constant_of_a_solid_is_not_another_charge():
    """Cells of one size, where a constant for each atom and one for each cell are the same; suspects scatter more."""
    rng = np.random.default_rng(0)
    solids = [f._replace(numbers=np.full(54, 42), periodic=True) for f in made_up_frames(TRUSTED + 15, 1)]
    errors = 0.003 * rng.standard_t(30, len(solids))
    solids = [f._replace(energy=f.predicted_energy + 54 * e) for f, e in zip(solids, errors, strict=True)]
    suspects = [f._replace(energy=f.predicted_energy + 54 * rng.normal(0.1, 0.01)) for f in solids[TRUSTED:]]
    found = counted(suspects, solids[:TRUSTED])
    assert found["energy off by a constant"] >= 10
    assert set(found) <= {"energy off by a constant", UNKNOWN}
