"""Validation sets of molecules that were not trained on: what is wrong stands out beside their own right labels."""

import numpy as np
import pytest
import torch

from mace_outlier.mixture import MixtureDistribution
from mace_outlier.populations.groups import SMALLEST
from mace_outlier.weighting import Remembered

MEMBERS = 24
SPREAD, OFFSET = 0.004, 0.1  # eV/atom: of a molecule's right labels, and of the molecules' own offsets


def made_up(molecules, seed, share=0.25, members=MEMBERS, most_wrong=()):
    """Configurations of these molecules, some of their labels 12 spreads too high; and which."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(molecules, members)
    bad = rng.random(len(codes)) < share
    for molecule in most_wrong:
        bad[codes == molecule] = np.arange(members) < 0.6 * members
    errors = SPREAD * rng.normal(0, 1, len(codes)) + SPREAD * bad * np.exp(rng.normal(np.log(12), 0.35, len(codes)))
    offsets = dict(zip(molecules, rng.normal(0, OFFSET, len(molecules)), strict=True))
    losses = np.exp(rng.normal(0, 0.3, len(codes))) * np.where(bad, 8, 1)
    return bad, Remembered(
        losses=torch.tensor(1e-3 * losses),
        errors=torch.tensor(errors + np.array([offsets[code] for code in codes])),
        heads=torch.zeros(len(codes), dtype=torch.long),
        usable=torch.ones(len(codes), dtype=torch.bool),
        times=torch.zeros(len(codes)),
        kinds=np.column_stack((codes, codes)) + 1,
    )


@pytest.fixture
def distribution():
    """A fit to 30 molecules."""
    _, training = made_up(np.arange(30), 0)
    made = MixtureDistribution()
    made.refit(training)
    made.refit(training)
    assert made.fits[0].share == pytest.approx(0.25, abs=0.05)
    return made


def check(weight, bad):
    suspects = (weight < 0.5).numpy()
    assert suspects[bad].mean() > 0.9
    assert weight.numpy()[~bad].mean() > 0.97


@pytest.mark.parametrize("known", [0, 5])
def test_wrong_labels_of_new_molecules_are_found_and_right_ones_kept(distribution, known):
    molecules = np.concatenate((np.arange(known), np.arange(100, 107)))
    bad, validation = made_up(molecules, 1)
    _, training = made_up(np.arange(30), 0)
    offsets = training.errors.reshape(30, MEMBERS).median(1).values
    own = validation.errors.reshape(-1, MEMBERS)
    own[:known] += (offsets[:known] - own[:known].median(1).values)[:, None]  # known molecules have known offsets
    check(distribution.judge(validation).weight, bad)


def test_a_new_molecule_may_have_more_wrong_labels_than_right_ones(distribution):
    bad, validation = made_up(np.arange(100, 110), 2, most_wrong=[103])
    weight = distribution.judge(validation).weight
    check(weight, bad)
    of_it = validation.kinds[:, 0] == 104
    check(weight[torch.from_numpy(of_it)], bad[of_it])


def test_of_clean_data_new_molecules_keep_their_weight():
    _, training = made_up(np.arange(30), 0, share=0.0)
    made = MixtureDistribution()
    made.refit(training)
    made.refit(training)
    assert not made.fits[0].share
    _, validation = made_up(np.arange(100, 107), 3, share=0.0)
    assert made.judge(validation).weight.min() > 0.9


def test_a_few_configurations_are_compared_with_all_others(distribution):
    few = SMALLEST - 1
    assert not distribution.heads[0].fits[0].groups.new_in(made_up(np.arange(100, 103), 4, members=few)[1].kinds).any()
    assert distribution.heads[0].fits[0].groups.new_in(made_up(np.arange(100, 103), 4, members=SMALLEST)[1].kinds).all()
    assert not distribution.heads[0].fits[0].groups.new_in(made_up(np.arange(3), 4)[1].kinds).any()
