"""Groups of many formulas, each in a few frames: energies are compared by the elements."""

import numpy as np
import pytest
from ase import Atoms
from made_up_checks import found, sure

from mace_outlier.checks import by_elements, expected

FREE = {"H": -3.0, "C": -9.0, "N": -8.0, "O": -5.0, "Si": -6.0}


def varied(count, name, elements="HCNO", shift=0.0, seed=0):
    """Frames of so many formulas that hardly one is there twice, `shift` (eV/atom) off."""
    rng, frames = np.random.default_rng(seed), []
    symbols = ["Si" if letter == "S" else letter for letter in elements]
    for _ in range(count):
        numbers = rng.integers(1, 30, len(symbols))
        atoms = Atoms([s for s, n in zip(symbols, numbers, strict=True) for _ in range(n)])
        atoms.positions = 2.0 * np.array(list(np.ndindex(6, 6, 6)))[: len(atoms)]
        energy = sum(FREE[s] * n for s, n in zip(symbols, numbers, strict=True))
        atoms.info.update(REF_energy=energy + (shift + rng.normal(0, 0.1)) * len(atoms), config_type=name)
        frames.append(atoms)
    return frames


@pytest.fixture
def fits(monkeypatch):
    """Sizes of the fits that are made."""
    sizes, fit = [], expected.fit_shifts

    def counted(errors, counts):
        sizes.append(counts.shape)
        return fit(errors, counts)

    for module in (expected, by_elements):
        monkeypatch.setattr(module, "fit_shifts", counted)
    return sizes


def test_small_groups_have_one_fit_in_common(tmp_path, fits):
    groups = [varied(20, f"type {i}", shift=7.0 * (i == 4), seed=i) for i in range(12)]
    (finding,) = sure(found(tmp_path, "energies", [atoms for group in groups for atoms in group]))
    assert finding.where.endswith("config_type type 4")
    assert finding.numbers["offset"] == pytest.approx(7.0, abs=0.3)
    assert fits == [(240, 4)] * 2  # what is expected of each frame, and of groups


def test_groups_of_common_formulas_need_no_fit(tmp_path, fits):
    frames = varied(20, "a") * 30 + varied(20, "b", shift=7.0) * 10
    (finding,) = sure(found(tmp_path, "energies", frames))
    assert finding.where.endswith("config_type b")
    assert fits == []


def test_most_frames_of_an_element_do_not_say_themselves_what_it_costs(tmp_path, fits):
    frames = varied(400, "a") + varied(30, "b", "CS", seed=1) + varied(40, "c", "HS", shift=7.0, seed=2)
    frames += [atoms for i in range(9) for atoms in varied(20, f"type {i}", seed=10 + i)]
    (finding,) = [one for one in sure(found(tmp_path, "energies", frames)) if one.where.endswith("config_type c")]
    assert finding.numbers["offset"] == pytest.approx(7.0, abs=0.3)
    assert (610, 3) in fits  # hydrogen, silicon, and all others as one


def test_each_of_few_groups_is_compared_by_a_fit_to_the_others(tmp_path, fits):
    frames = varied(100, "a") + varied(100, "b", seed=1) + varied(50, "c", shift=7.0, seed=2)
    (finding,) = sure(found(tmp_path, "energies", frames))
    assert finding.numbers["offset"] == pytest.approx(7.0, abs=0.1)
    assert sorted(fits[1:]) == [(150, 4), (150, 4), (200, 4)]


def test_what_no_other_group_has_says_nothing(tmp_path, fits):
    frames = varied(100, "a") + varied(40, "b", "HS", shift=7.0, seed=1)
    assert not [one for one in sure(found(tmp_path, "energies", frames)) if "other groups" in one.what]
    assert (100, 2) not in fits
