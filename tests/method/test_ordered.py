"""Rows of a table in another order: those of an array, copied only where they are computed with."""

import numpy as np
from test_judgement import seen_of

from mace_outlier.method.ordered import Ordered
from mace_outlier.method.processes import ALONE
from mace_outlier.method.settings import Settings
from mace_outlier.method.shown import look_at


def test_parts_are_those_of_the_array_in_that_order():
    rng = np.random.default_rng(0)
    table, order = rng.random((20, 3)), rng.permutation(20)[:12]
    own, array = Ordered(table, order), table[order]
    assert (len(own), own.shape) == (12, (12, 3))
    for which in (slice(2, 7), np.array([5, 0, 3]), array[:, 0] > 0.5):
        assert np.array_equal(np.asarray(own[which]), array[which])
        assert np.array_equal(np.asarray(own[1:][slice(2, 4)]), array[1:][2:4])
    assert np.asarray(own, dtype=np.float32).dtype == np.float32


def test_nothing_is_copied_before_it_is_needed_but_the_sample():
    """The table is written over in the next epoch, when the sample is still asked for."""
    table = np.random.default_rng(0).random((100, 3))
    seen = seen_of({"energy": table[:, 0]}, features=Ordered(table, np.arange(100)[::-1]))
    look = look_at(np.arange(100), seen, Settings(), ALONE)
    before = np.asarray(seen.features)[0, 0]
    table += 1
    assert np.asarray(look.seen.features)[0, 0] == before + 1
    assert np.asarray(look.sample.features)[0, 0] == before
