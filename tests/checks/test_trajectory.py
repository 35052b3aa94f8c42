"""Validation frames from the trajectory of the training."""

from pathlib import Path

import numpy as np
import pytest
from made_up_checks import crystal, found, label
from structures import molecule

from mace_outlier.checks.probes import Nearness, distances
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.trajectory import path_like


def said(tmp_path, *files, roles=("train", "valid"), **inputs):
    findings = found(tmp_path, "settings", *files, roles=roles, **inputs)
    return [(f.certainty, Path(f.where).name) for f in findings if "one trajectory" in f.what]


def every_tenth(frames):
    return [atoms for i, atoms in enumerate(frames) if i % 10 != 5], frames[5::10]


def shuffled(frames):
    return [frames[i] for i in np.random.default_rng(0).permutation(len(frames))]


def independent(count):
    rng = np.random.default_rng(3)
    return [molecule(rng, 7) for _ in range(count)]


def path(count):
    """A molecule that moves smoothly, and turns as a whole."""
    rng, now = np.random.default_rng(4), np.arange(count)[:, None, None] / 3.0
    middle, to = (molecule(rng, 7).positions for _ in range(2))
    third = molecule(rng, 7).positions
    frames = []
    for time in now.ravel():
        atoms = molecule(np.random.default_rng(0), 7)
        atoms.positions = middle + np.sin(0.11 * time) * (to - middle) + np.cos(0.07 * time) * (third - middle)
        atoms.rotate(20 * time, "z")
        frames.append(atoms)
    return frames


def walk(count):
    """A crystal whose atoms diffuse."""
    rng = np.random.default_rng(5)
    frames = [crystal(rng)]
    for _ in range(count - 1):
        atoms = frames[-1].copy()
        atoms.positions += rng.normal(0, 0.01, atoms.positions.shape)
        frames.append(label(atoms))
    return frames


@pytest.mark.parametrize("order", [list, shuffled])
@pytest.mark.parametrize("make", [path, walk])
def test_every_tenth_frame_of_a_trajectory(tmp_path, make, order):
    train, valid = (order(frames) for frames in every_tenth(make(300)))
    (finding,) = said(tmp_path, train, valid)
    assert finding == ("look", "file1.xyz")


def test_independent_frames_are_no_trajectory(tmp_path):
    assert said(tmp_path, *every_tenth(independent(300))) == []
    rng = np.random.default_rng(0)
    assert said(tmp_path, *every_tenth([crystal(rng) for _ in range(300)])) == []


def test_the_last_part_of_a_trajectory_is_another_part(tmp_path):
    frames = walk(360)
    assert said(tmp_path, frames[:270], frames[330:]) == []


def test_frames_that_are_in_both_are_no_trajectory(tmp_path):
    frames = independent(200)
    assert said(tmp_path, frames, frames[::10]) == []


def test_a_part_of_the_training_file_that_is_taken_for_validation(tmp_path):
    assert said(tmp_path, path(300), roles=("train",), training=True, E0s={"Default": "average"}) != []
    assert said(tmp_path, path(300), roles=("train",)) == []
    assert said(tmp_path, independent(300), roles=("train",), training=True, E0s={"Default": "average"}) == []


def test_few_frames_say_nothing(tmp_path):
    train, valid = every_tenth(path(300))
    assert said(tmp_path, train[:40], valid) == []
    assert said(tmp_path, train, valid[:5]) == []


def test_distances_do_not_depend_on_cell_or_direction():
    rng = np.random.default_rng(0)
    one = crystal(rng)
    moved, larger = one.copy(), one.copy()
    moved.positions += 0.4 * moved.cell[0] + moved.cell[2]
    moved.wrap()
    larger.set_cell(1.02 * larger.cell, scale_atoms=True)
    np.testing.assert_allclose(distances(one, [one, moved, larger]), 0, atol=1e-6)
    free = molecule(rng, 7)
    turned = free.copy()
    turned.rotate(70, (1, 2, 3))
    stretched = free.copy()
    stretched.positions[0] += [0.7, 0, 0]
    got = distances(free, [turned, stretched])
    assert got[0] == pytest.approx(0, abs=1e-6)
    assert 0.1 < got[1] < 0.7 / np.sqrt(7)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_the_dimension_is_that_of_the_points(dimension):
    rng, nearness = np.random.default_rng(0), Nearness.nothing(24, Settings())
    points = rng.random((4000, dimension))  # of a box that is periodic, of 100 Angstrom
    for probe in range(24):
        apart = np.abs(points - rng.random(dimension))
        lengths = 100 * np.linalg.norm(np.minimum(apart, 1 - apart), axis=1)
        for part in np.array_split(lengths, 3):
            nearness.add(probe, part)
    ratio, found = path_like(nearness, np.arange(24), Settings())
    assert found == pytest.approx(dimension, rel=0.25)
    assert (ratio < 0.01) == (dimension == 1)
