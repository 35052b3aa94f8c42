"""Frames that a training has loaded: examined one by one, in any order, until the time is up."""

import time
from dataclasses import replace

import numpy as np
import pytest
from made_up_checks import KEYS, series
from structures import molecules

from mace_outlier.checks import catalogue
from mace_outlier.checks.inputs import Source
from mace_outlier.checks.loaded import NAMES, Loaded, budget, survey_loaded
from mace_outlier.checks.naming import frames_of
from mace_outlier.checks.settings import Settings


def loaded(**files):
    frames = [Loaded(Source(name, keys=KEYS), i, atoms) for name, own in files.items() for i, atoms in enumerate(own)]
    np.random.default_rng(0).shuffle(frames)
    return frames


def surveyed(frames, seconds=60.0):
    return survey_loaded(frames, {}, Settings(), time.perf_counter() + seconds)


def test_frames_are_put_in_the_order_of_their_files():
    known = surveyed(loaded(b=series(6), a=molecules(9)))
    assert [source.path for source in known.sources] == ["a", "b"]
    np.testing.assert_array_equal(known.frames["source"], [0] * 9 + [1] * 6)
    np.testing.assert_array_equal(known.frames["frame"], [*range(9), *range(6)])
    np.testing.assert_array_equal(known.frames["atoms"], [7, 3, 7, 3, 7, 3, 7, 3, 7] + [4] * 6)
    assert known.whole
    assert not len(known.links)


def test_it_ends_when_the_time_is_up():
    known = surveyed(loaded(a=molecules(9)), seconds=-1.0)
    assert len(known.frames) == 1
    assert not known.whole


def test_findings_name_the_frames_of_the_file():
    frames = molecules(12)
    frames[7].info["REF_energy"] = np.nan
    known = surveyed([item for item in loaded(a=frames) if item.frame % 2])
    (finding,) = catalogue.run(known, NAMES)
    assert frames_of(known, finding) == "a: frame 7 (1)"


def test_all_frames_are_not_all_of_the_file_where_time_was_up():
    frames = molecules(12)
    for atoms in frames:
        atoms.info["REF_energy"] = np.nan
    known = surveyed(loaded(a=frames))
    (finding, *_) = catalogue.run(known, ["labels"])
    assert frames_of(known, finding) == "a: all frames (12)"
    known.whole = False
    assert frames_of(known, finding) == "a: all frames that were read (12)"


@pytest.mark.parametrize(("most", "names"), [(300, ["a", "b", "c"]), (2, ["head one", "head two"])])
def test_of_very_many_files_heads_are_the_groups(most, names):
    heads = {"a": "one", "b": "two", "c": "one"}
    frames = [Loaded(Source(name, head=heads[name], keys=KEYS), 0, molecules(1)[0]) for name in heads]
    known = survey_loaded(frames, {}, replace(Settings(), look_groups=most), time.perf_counter() + 60)
    codes, called = known.kinds()
    assert called == names
    assert [called[code] for code in codes] == (names if most > 2 else ["head one", "head two", "head one"])


@pytest.mark.parametrize(("steps", "seconds"), [(10, 1.0), (4000, 2.0), (10**9, 10.0)])
def test_a_hundredth_of_an_epoch_but_a_second_and_at_most_ten(steps, seconds):
    assert budget(steps, Settings()) == pytest.approx(seconds)
