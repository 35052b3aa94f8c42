"""Frames that are alone in their region of configuration space."""

import dataclasses

import numpy as np
import pytest
from made_up_checks import found, series
from structures import molecules

from mace_outlier.checks.outside import gaps_of
from mace_outlier.checks.settings import Settings


def alone(tmp_path, frames):
    findings = found(tmp_path, "geometry", frames)
    return [(f.certainty, list(f.rows)) for f in findings if "outside of all others" in f.what]


def scaled(atoms, factor):
    atoms.set_cell(factor * atoms.cell, scale_atoms=True)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_frame_that_is_compressed_or_stretched(tmp_path, factor):
    frames = series(40)
    assert alone(tmp_path, frames) == []
    scaled(frames[7], factor)
    assert alone(tmp_path, frames) == [("look", [7])]


def test_two_like_each_other_are_still_alone_and_more_are_a_region(tmp_path):
    frames = series(60)
    for i in (7, 8):
        scaled(frames[i], 1.25)
    assert alone(tmp_path, frames) == [("look", [7, 8])]
    for i in range(20, 24):
        scaled(frames[i], 1.25)
    assert alone(tmp_path, frames) == []


def test_a_molecule_whose_atoms_are_apart(tmp_path):
    frames = molecules(60)
    frames[12].positions *= 5.0  # beyond the cutoff: no atom has a neighbour
    assert alone(tmp_path, frames) == [("look", [12])]


def test_of_few_frames_nothing_is_said(tmp_path):
    frames = series(19)
    scaled(frames[7], 1.25)
    assert alone(tmp_path, frames) == []


def test_the_gap_is_in_ranges_of_nine_tenths():
    prints = np.exp(np.linspace(0, 1, 101)[:, None] * np.ones(5))
    prints[50] = np.exp(4.0)
    gaps = gaps_of(prints, Settings())
    assert np.flatnonzero(gaps).tolist() == [50]
    assert gaps[50] == pytest.approx((4.0 - 0.99) / 0.9, rel=0.02)  # its second neighbour is at 0.99


def test_a_set_that_hardly_moves_has_a_least_range():
    prints = np.ones((50, 5))
    for i in (3, 4):
        prints[i] *= np.exp(0.01 * i + 0.02)
    assert np.flatnonzero(gaps_of(prints, Settings())).tolist() == [3, 4]
    assert gaps_of(prints, Settings())[3] == pytest.approx(0.05 / Settings().outside_least)


def test_of_very_many_frames_only_what_is_far_from_some_is_compared_with_all(tmp_path):
    prints = np.exp(np.random.default_rng(0).random((400, 5)))
    prints[7] = prints[8] = prints[9] = np.exp(9.0)
    few = dataclasses.replace(Settings(), outside_most=40)
    assert not gaps_of(prints, few)[7:10].any()  # three: a region of their own
    prints[9] = np.exp(0.5)
    np.testing.assert_allclose(gaps_of(prints, few)[7:9], gaps_of(prints, Settings())[7:9])
    assert np.flatnonzero(gaps_of(prints, few) > few.outside).tolist() == [7, 8]
