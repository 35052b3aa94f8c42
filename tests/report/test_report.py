"""The report of a run: its numbers, its words, what it prints; untrusted strings."""

import math

import numpy as np
import pytest
from made_up_results import (
    made_up_about,
    made_up_table,
    results_of,
    scatter_over_the_file,
    slab_among_clusters,
    summarised,
)
from scipy.stats import binomtest

from mace_outlier.report import heads, summary, words
from mace_outlier.report.groups import find_groups

BAD = list(range(0, 99, 3))  # 33 rows


# --- who is suspected ------------------------------------------------------------------------------------------------


def test_suspects_are_ranked_nonfinite_first_then_by_weight_then_by_zscore():
    table = made_up_table(8)
    table["weight"] = [0.1, 0.9, 0.0, 0.1, 0.0, 0.49, 0.5, 0.1]
    table["zscore"] = [3.0, 9.0, 2.0, np.inf, np.nan, 5.1, 2.0, np.nan]
    table.loc[4, "loss"] = np.nan
    found = summarised(table)
    assert found.order.tolist() == [4, 2, 3, 0, 7, 5]
    assert [suspect.row for suspect in summary.worst(results_of(table).table, found, 3)] == [4, 2, 3]
    assert summarised(table, below=0.25).order.tolist() == [4, 2, 3, 0, 7]


def test_verdicts_say_how_often_it_was_a_suspect():
    table = made_up_table(6, range(5))
    table["mean_weight"] = [0.1, 0.1, 0.49, 0.51, 0.1, 0.9]
    table["times_seen"] = [60, 60, 2, 60, 1, 60]
    table.loc[0, "loss"] = np.nan
    found = summarised(table)
    assert found.verdicts == {"not finite": 1, "persistent": 2, "recent": 1, "seen once": 1, "suspect": 0}
    by_row = {suspect.row: suspect.verdict for suspect in summary.worst(results_of(table).table, found, 9)}
    assert by_row == {0: "label not finite", 1: "persistent", 2: "persistent", 3: "recent", 4: "seen once"}


def test_an_audit_sees_everything_once_and_says_nothing_of_epochs():
    table = made_up_table(40, range(3))
    table["times_seen"] = 1
    found = summarised(table, made_up_about() | {"kind": "audit"})
    assert {suspect.verdict for suspect in summary.worst(results_of(table).table, found, 9)} == {"suspect"}
    assert "seen" not in " ".join(words.how_sure(found))
    assert "3 suspects were seen once" in " ".join(words.how_sure(summarised(table)))


def test_of_the_validation_set_only_the_last_evaluation_is_known():
    table = made_up_table(40, range(6))
    table.loc[3:, "split"], table.loc[3:, "times_seen"] = "valid", 1
    table.loc[5, "loss"] = np.nan
    found = summarised(table)
    assert found.verdicts == {"not finite": 1, "persistent": 3, "recent": 0, "seen once": 0, "suspect": 2}
    assert [(count.split, count.suspects, count.rows) for count in found.counts] == [
        ("training", 3, 3), ("validation", 3, 37),
    ]  # fmt: skip
    shown = {suspect.row: suspect.validation for suspect in summary.worst(results_of(table).table, found, 9)}
    assert shown == {row: row >= 3 for row in range(6)}
    assert [count.split for count in summarised(table.assign(split="train")).counts] == [""]


def test_a_configuration_that_was_never_visited_is_no_evidence():
    table = made_up_table(10)
    table.loc[7:, ["times_seen", "last_epoch", "weight", "loss"]] = [0, -1, 1.0, np.nan]
    found = summarised(table)
    assert found.unseen == 3
    assert not found.nonfinite.any()
    assert heads.by_chance(found.heads, 0.5)[0] == pytest.approx(7 * 0.02275, rel=1e-3)
    assert "3 configurations were never visited" in " ".join(words.how_sure(found))


def by_chance(table, *about, below=0.5) -> tuple[float, float]:
    return heads.by_chance(summarised(table, *about, below=below).heads, below)


def test_by_chance_follows_the_threshold_and_the_cut():
    table = made_up_table(1000)
    normal, skewed = by_chance(table)
    assert normal == pytest.approx(22.75, abs=0.01)
    assert skewed == pytest.approx(1000 * math.exp(-3))
    assert by_chance(table, below=0.15866)[0] == pytest.approx(1.35, abs=0.01)  # z > 3
    about = made_up_about()
    about["distribution"][0]["threshold"] = "inf"
    assert by_chance(table, about) == (0, 0)
    assert math.isnan(by_chance(table, {})[0])
    assert "not recorded" in " ".join(words.how_sure(summarised(table, {})))


def test_each_head_has_its_own_threshold():
    table = made_up_table(300)
    table["head"] = ["b"] * 200 + ["a"] * 100
    about = made_up_about(("b", "a"))
    about["distribution"][1]["threshold"] = 3.0
    found = summarised(table, about).heads
    assert [(head.name, head.members) for head in found] == [("b", 200), ("a", 100)]
    assert [heads.by_chance([head], 0.5)[0] for head in found] == pytest.approx([4.55, 0.135], abs=0.01)


@pytest.mark.parametrize(
    ("suspects", "said"),
    [
        (0, "None of 1,000"),
        (25, "no more than chance"),
        (60, "skewed losses can give"),
        (150, "more than right labels"),
    ],
)
def test_words_compare_with_chance(suspects, said):
    table = made_up_table(1000, range(suspects))
    found = summarised(table)
    assert said in " ".join([words.headline(found), *words.how_sure(found)])


def test_words_say_that_a_separation_is_soft():
    table = made_up_table(100, range(10))
    table["mean_weight"] = 0.4
    assert "separation is soft" in " ".join(words.how_sure(summarised(table)))
    table["mean_weight"] = 0.1
    assert "soft" not in " ".join(words.how_sure(summarised(table)))


def test_text_that_is_missing_is_empty():
    table = made_up_table(3)
    table["config_type"] = ["a", None, "a"]
    assert summary.with_categories(table)["config_type"].tolist() == ["a", "", "a"]
    unused = summary.with_categories(table)[:1]
    assert summary.with_categories(unused)["config_type"].cat.categories.tolist() == ["a"]


# --- groups ----------------------------------------------------------------------------------------------------------


def test_a_rare_chemistry_is_flagged_once_under_all_its_names():
    table = slab_among_clusters()
    found = summarised(table)
    groups = find_groups(results_of(table).table, found)
    [flag] = groups.warnings
    assert (flag.group.name, flag.group.members, flag.group.suspects) == ("slab", 30, 20)
    assert [(group.kind, group.name) for group in flag.also] == [
        ("element", "Pt"),
        ("formula", "OPt36"),
        ("size", "37 atoms"),
    ]
    tests = flag.group.p_value / binomtest(20, 30, found.suspects / 2000, alternative="greater").pvalue
    # two config_types, three elements, the head is the only one; six clusters and the slab, as formulas and as sizes
    assert tests == pytest.approx(2 + 3 + 7 + 7, rel=1e-6)
    [sentence] = words.group_sentences(groups, found)
    assert "config_type slab" in sentence
    assert "20 of 30" in sentence


def test_an_even_spread_flags_nothing_and_says_so():
    table = made_up_table(2000, range(0, 2000, 20))
    found = summarised(table)
    groups = find_groups(results_of(table).table, found)
    assert not groups.warnings
    assert "No config_type, element" in words.group_sentences(groups, found)[0]


def test_labels_that_are_not_finite_flag_no_chemistry():
    table = slab_among_clusters()
    table.loc[1900:1919, "loss"] = np.nan
    groups = find_groups(results_of(table).table, summarised(table))
    assert not groups.warnings
    worst = groups.breakdowns["config_type"].groups[0]
    assert (worst.name, worst.suspects, worst.nonfinite) == ("slab", 20, 20)  # listed first all the same


def test_labels_that_are_not_finite_are_left_out_of_the_test():
    table = slab_among_clusters()
    table.loc[1900:1909, "loss"] = np.nan
    found = summarised(table)
    [flag] = find_groups(results_of(table).table, found).warnings
    expected = binomtest(10, 20, 50 / 1990, alternative="greater").pvalue * (2 + 3 + 7 + 7)
    assert flag.group.p_value == pytest.approx(expected, rel=1e-6)
    assert "10 of 20" in words.group_sentences(find_groups(results_of(table).table, found), found)[0]


def test_small_groups_are_neither_tested_nor_listed_as_formulas():
    table = made_up_table(2000, range(40))
    scatter_over_the_file(table)
    table.loc[:3, ["formula", "config_type"]] = ["Xe", "few"]
    groups = find_groups(results_of(table).table, summarised(table))
    assert not groups.warnings
    assert "Xe" not in [group.name for group in groups.breakdowns["formula"].groups]
    [few] = [group for group in groups.breakdowns["config_type"].groups if group.name == "few"]
    assert few.members == 4
    assert math.isnan(few.p_value)


def test_a_file_that_stands_out_is_named():
    table = made_up_table(800, range(0, 200, 5))
    table["source"] = ["/data/a.xyz"] * 200 + ["/data/b.xyz"] * 600
    found = summarised(table)
    groups = find_groups(results_of(table).table, found)
    assert [(flag.group.kind, flag.group.name) for flag in groups.warnings] == [("file", "a.xyz")]
    assert words.group_sentences(groups, found)[0].startswith("file a.xyz: ")


def test_parts_of_a_file_that_stand_out_are_named_by_their_frames():
    """A trajectory, or a batch of calculations; what is scattered over a file, or over several, is none."""
    table = made_up_table(400, [7, 90, 150, *range(203, 219), 311])
    table["source"] = ["/data/a.xyz"] * 200 + ["/data/b.xyz"] * 200
    table["frame"] = [*range(200), *range(200)]
    shuffled = table.sample(frac=1, random_state=1, ignore_index=True)  # the order of rows says nothing
    found = summarised(shuffled)
    groups = find_groups(results_of(shuffled).table, found)
    [flag] = groups.warnings
    assert (flag.group.kind, flag.group.name) == ("frames", "b.xyz, frames 0 to 19")
    assert (flag.group.members, flag.group.suspects) == (20, 16)
    blocks = 40  # 7 of 10 frames are suspects in the first, 9 in the second
    expected = blocks * binomtest(9, 10, found.suspects / 400, alternative="greater").pvalue
    assert flag.group.p_value == pytest.approx(expected, rel=1e-6)
    assert groups.breakdowns["frames"].groups == [flag.group]
    assert words.group_sentences(groups, found)[0].startswith("b.xyz, frames 0 to 19: 16 of 20 are suspects (80.0 %")
    shuffled["frame"] = np.random.default_rng(0).permutation(400)
    assert not find_groups(results_of(shuffled).table, summarised(shuffled)).warnings


def test_parts_of_two_files_are_two():
    table = made_up_table(400, range(190, 210))
    table["source"] = ["a.xyz"] * 200 + ["b.xyz"] * 200
    table["frame"] = [*range(200), *range(200)]
    found = find_groups(results_of(table).table, summarised(table)).warnings
    assert [flag.group.name for flag in found] == ["a.xyz, frames 190 to 199", "b.xyz, frames 0 to 9"]


def test_elements_count_configurations_and_sizes_are_binned():
    table = made_up_table(1000, range(100))
    table["formula"] = ["H2O", "CH4", "CO"] * 333 + ["Cs"]
    table["n_atoms"] = np.arange(1000) + 1
    groups = find_groups(results_of(table).table, summarised(table))
    members = {group.name: group.members for group in groups.breakdowns["element"].groups}
    assert members == {"H": 666, "O": 666, "C": 666, "Cs": 1}
    sizes = groups.breakdowns["size"].groups
    assert [group.name for group in sizes][:3] == ["1 atom", "2 to 4 atoms", "5 to 9 atoms"]
    assert [group.members for group in sizes] == [1, 3, 5, 10, 30, 50, 100, 300, 500, 1]
    assert find_groups(results_of(table).table, summarised(table), limit=2).breakdowns["size"].left_out == 8
