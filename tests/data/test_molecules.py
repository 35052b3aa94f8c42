"""Isomers are told apart by their bonds, and nothing else about a configuration matters."""

import itertools

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import natural_cutoffs, neighbor_list

from mace_outlier.data.molecules import LARGEST, ROUNDS, bonds_code, molecule_name

ISOMERS = ["CH3CH2OH", "CH3OCH3", "CH3COOH", "HCOOCH3", "CH3CHO", "C6H6", "H2O", "CO2", "H2"]


def name(atoms):
    return molecule_name(atoms.get_chemical_formula("hill"), atoms.numbers, atoms.positions, bool(atoms.pbc.any()))


def test_isomers_have_names_of_their_own():
    names = [name(molecule(kind)) for kind in ISOMERS]
    assert len(set(names)) == len(ISOMERS)
    assert names[0].split()[0] == names[1].split()[0] == "C2H6O"


@pytest.mark.parametrize("kind", ISOMERS)
def test_order_place_and_vibrations_don_t_matter(kind):
    atoms = molecule(kind)
    rng = np.random.default_rng(0)
    moved = atoms[rng.permutation(len(atoms))]
    moved.rotate(70, (1, 2, 3))
    moved.positions += rng.normal(0, 0.03, moved.positions.shape)
    moved.translate((5, -3, 100))
    assert name(moved) == name(atoms)


def surroundings(atoms):
    """The same refinement with tuples in place of numbers, by ASE's neighbour list: slow, and without collisions."""
    one, other, distance = neighbor_list("ijd", atoms, 3.0)
    longest = natural_cutoffs(atoms, mult=1.2)
    bonded = [d < max(longest[i] + longest[j], 1.0) for i, j, d in zip(one, other, distance, strict=True)]
    one, other = one[bonded], other[bonded]
    colours = [(int(number),) for number in atoms.numbers]
    for _ in range(ROUNDS):
        colours = [(own, tuple(sorted(colours[j] for j in other[one == i]))) for i, own in enumerate(colours)]
    return tuple(sorted(colours))


def test_numbers_agree_with_a_slow_refinement():
    rng = np.random.default_rng(1)
    made = []
    for _ in range(60):  # few atoms close together, so that the same bonds come up again
        positions = rng.uniform(0, 2.2, (4, 3)).round(1)
        atoms = Atoms(rng.choice([1, 6], 4), positions)
        if atoms.get_all_distances()[np.triu_indices(4, 1)].min() > 0.3:
            made.append((bonds_code(atoms.numbers, atoms.positions, False), surroundings(atoms)))
    pairs = [(a[0] == b[0], a[1] == b[1]) for a, b in itertools.combinations(made, 2)]
    assert all(numbers == tuples for numbers, tuples in pairs)
    assert any(tuples for _, tuples in pairs)


def test_the_branches_of_a_chain_are_seen():
    def hexane(branch):  # carbon atoms only: a chain of five, and one more
        chain = np.column_stack((1.5 * np.arange(5), np.zeros(5), np.zeros(5)))
        return Atoms("C6", np.vstack((chain, chain[branch] + (0, 1.5, 0))))

    assert name(hexane(1)) == name(hexane(3)) != name(hexane(2))


def test_atoms_without_a_place_are_no_error():
    atoms = molecule("CH3CH2OH")
    atoms.positions[-1] = np.nan
    assert name(atoms).startswith("C2H6O ")


def test_liquids_solids_atoms_and_very_large_ones_are_named_by_their_formula():
    assert name(bulk("Cu")) == "Cu"
    assert name(Atoms("H", [(0, 0, 0)])) == "H"
    many = Atoms("Ne" * (LARGEST + 1), np.random.default_rng(0).uniform(0, 50, (LARGEST + 1, 3)))
    assert name(many) == f"Ne{LARGEST + 1}"
