"""benchmarks/alternatives.py: means over the seeds, what was found and lost, and who wins."""

import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "benchmarks"), str(Path(__file__).parents[2] / "scripts")]

import alternatives as table  # noqa: E402


def case(name="made up", **ratios):
    """A case in which a method has these energy ratios, seed by seed, and force ratios of 1."""
    arms = {"ours": "default", "refinement": "refinement, round 1"}
    rows = [
        {"arm": arms.get(arm, arm), "seed": seed, "energy_ratio": ratio, "force_ratio": 1.0, "share": 0.2}
        for arm, own in ratios.items()
        for seed, ratio in enumerate(own)
    ]
    return table.Case(name, "some", pandas.DataFrame(rows))


ALL = {"weighted": [4.0], "universal": [1.0], "published": [2.0], "refinement": [1.5], "ours": [0.9, 1.1]}


def test_means_are_taken_over_the_seeds_and_over_what_every_method_has():
    of = [case(**ALL), case(weighted=[100.0], ours=[1.0]), case(**ALL | {"weighted": [9.0]})]
    lines = table.errors_table(of).splitlines()
    others = "4.00 / 1.00 (1) | 1.00 / 1.00 (1) | 2.00 / 1.00 (1) | 1.50 / 1.00 (1)"
    assert lines[2] == f"| made up: some | 1.00 / 1.00 | {others} | 2 |"
    assert lines[3] == "| made up: some | 1.00 / 1.00 | 100.00 / 1.00 | - | - | - | 1 |"
    assert "mean of the 2 that all have** | 0.90 / 1.00 | 6.00 / 1.00 | 1.00 / 1.00" in lines[5], "of the first seed"


def test_what_is_lost_is_counted_in_each_way_that_tables_have():
    """By precision (8 of 10 suspects of 100 are wrong, of 20), by what was kept, by what was lost."""
    by_precision = case(ours=[1.0])
    by_precision.rows[["recall", "precision"]] = 0.4, 0.8
    assert table.found(by_precision, table.OURS) == "40 / 2.5"
    dropped = case(refinement=[1.0])
    dropped.rows[["kept_bad", "kept_good"]] = 0.25, 0.9
    assert table.found(dropped, "refinement, round 1") == "75 / 10.0"
    counted = case(ours=[1.0])
    counted.rows[["recall", "touched_found", "touched", "false"]] = 0.9, 5, 10, 0.03
    assert table.found(counted, table.OURS) == "50 / 3.0", "of all that were touched"
    assert table.found(counted, "published") == "-"


def test_what_is_lost_is_counted_training_by_training():
    """Precision of a training that found nothing but right ones says nothing of the others' precision."""
    rows = case(ours=[1.0, 1.0, 1.0])
    rows.rows[["recall", "precision", "share_found"]] = [(0.4, 0.8, 0.1), (0.0, 0.0, 0.04), (0.0, np.nan, 0.0)]
    assert table.found(rows, table.OURS) == "13 / 2.5"  # 2.5, 5 and 0 %


def test_two_are_compared_by_the_seeds_that_both_have():
    """The second seed is easier for every method; that ours had it too is no merit of ours."""
    [line] = table.won_by_others([case(weighted=[1.0], ours=[1.2, 0.4])])
    assert "stock `weighted` has the smaller energy errors (1.00 x the oracle's instead of 1.20 x)" in line
    without = case(weighted=[1.0], ours=[np.nan, 0.4])  # the oracle of the first seed isn't trained
    assert table.won_by_others([without]) == []
    assert without.seeds() == 1


def test_others_win_where_their_errors_are_clearly_smaller():
    assert table.won_by_others([case(universal=[0.95], ours=[1.0])]) == []
    [line] = table.won_by_others([case("here", universal=[0.5], published=[0.8], ours=[1.0])])
    assert (
        line
        == "- here, some: stock `universal` has the smaller energy errors (0.50 x the oracle's instead of 1.00 x).\n"
    )


def test_a_table_of_several_codes_is_refused(monkeypatch):
    monkeypatch.setattr(
        table, "by_other_code", lambda: ["real/trainings.csv: 2 of 3 trainings, of old", "scale/x: old"]
    )
    monkeypatch.setattr(sys, "argv", ["alternatives.py"])
    with pytest.raises(
        SystemExit, match=r"Not all of this is by the code that is here[^/]*\nreal/trainings.csv: 2 of 3"
    ):
        table.main()
