"""What is said of the labels of a head: from its weights and its history, in log and report alike."""

import re

import numpy as np
import pytest
from made_up_fits import BOTH, ENERGIES, FORCES, GROSS, MANY, NONE, TOO_MANY, UNDECIDED, population_entry, thought_of
from made_up_results import about_populations, made_up_populations, results_of, summarised
from threads import in_threads

from mace_outlier.report import columns, judgements, tiles, words
from mace_outlier.report.groups import Groups
from mace_outlier.results.course import Course
from mace_outlier.results.in_words import doubts_of, in_a_line
from mace_outlier.results.judgement import judgement_of
from mace_outlier.results.whole_groups import whole_groups
from mace_outlier.states import with_states

# --- in which epochs -------------------------------------------------------------------------------------------------


def course(held: str) -> Course:
    """Epochs 0 on: x where it held."""
    return Course(tuple(range(len(held))), tuple(mark == "x" for mark in held))


@pytest.mark.parametrize(
    ("held", "said", "steady"),
    [
        ("", "", True),
        ("....", "", True),
        ("x", "since epoch 0", True),
        (".xxxxxxx", "since epoch 1", True),
        ("." * 20 + "x" * 20, "since epoch 20", True),
        ("x" * 39 + ".", "until epoch 38, in 9 of the last 10 epochs", False),  # held until the last but one
        ("." * 39 + "x", "in the last epoch only", False),
        (".x", "in the last epoch only", False),
        ("....xx.xx.xx", "on and off, in 6 of the last 10 epochs", False),
        ("xxxxxxxx..xx..x.", "until epoch 14, in 5 of the last 10 epochs, on and off", False),
        ("xxxxxxxxx.....", "until epoch 8, in 5 of the last 10 epochs", True),  # it is over
        ("xx" + "." * 10, "", True),
    ],
)
def test_the_course_of_a_verdict(held, said, steady):
    assert course(held).in_words == said
    assert course(held).is_steady == steady


def history(believed: str, suspects: str, head="Default"):
    return [
        {"epoch": epoch, "head": head, "suspects": 3 * (low == "x"), "believed": ["energy"] * (wrong == "x")}
        for epoch, (wrong, low) in enumerate(zip(believed, suspects, strict=True))
    ]


@pytest.mark.parametrize(
    ("fit", "suspects", "past", "said"),
    [
        (
            NONE,
            0,
            history("xxxx.", "xxxx."),
            "wrong energies were believed in until epoch 3, in 4 of the last 5 epochs",
        ),
        (ENERGIES, 3, history("....x", "....x"), "wrong energies were believed in in the last epoch only. Train"),
        (GROSS, 3, history(".....", "....x"), "some labels were taken for wrong in the last epoch only"),
        (GROSS, 3, history("xx.x.", "xxxxx"), "wrong energies were believed in until epoch 3, in 3 of the last 5"),
        (ENERGIES, 3, history(".xxxx", "xxxxx"), ""),
        (NONE, 0, history(".....", "....."), ""),
        (NONE, 0, history("xxxx.", "xxxx.", head="another"), ""),
        (NONE, 0, [{"epoch": 0, "head": "Default", "share_below_half": 0.1}], ""),  # of an earlier version
    ],
)
def test_a_verdict_that_comes_or_goes_is_a_doubt(fit, suspects, past, said):
    doubts = doubts_of(thought_of(population_entry(fit), suspects, history=past))
    assert [doubt.startswith(said) for doubt in doubts] == [True] * bool(said)


# --- whole groups ----------------------------------------------------------------------------------------------------


def whole_groups_of_share(table, seen, processes):
    share = processes.share(len(table))
    return whole_groups(table[share], seen[share], share.start, processes)


def test_groups_that_are_set_aside_as_a_whole():
    table = made_up_populations(60, NONE).assign(weight=1.0, config_type="bulk", source="a.xyz")
    table.loc[:3, ["config_type", "source", "weight"]] = ["slab", "b.xyz", 0.1]  # one group of two names
    table.loc[10:19, "config_type"], table.loc[10:18, "weight"] = "gas", 0.0  # 9 of 10
    table.loc[30:39, "config_type"], table.loc[30:37, "weight"] = "half", 0.0  # 8 of 10
    table.loc[50:51, ["config_type", "weight"]] = ["two", 0.0]
    seen = np.arange(60) != 3
    found = whole_groups(results_of(table).table, seen)
    assert [(group.kind, group.name, group.suspects, group.members) for group in found] == [
        ("config_type", "gas", 9, 10), ("config_type", "slab", 3, 3),
    ]  # fmt: skip
    table["head"] = np.where(np.arange(60) < 4, "second", "first")
    assert [group.head for group in whole_groups(results_of(table).table, seen)] == ["first", "second"]
    for number in (2, 7):  # processes of a distributed run, each with its share of the rows
        shares = in_threads(number, lambda processes: whole_groups_of_share(results_of(table).table, seen, processes))
        assert all(found == whole_groups(results_of(table).table, seen) for found in shares)
    told = judgements.doubts(summarised(table, about_populations(NONE, NONE, heads=("first", "second"))))
    assert any("config_type gas of head first: 9 of 10 configurations have a weight below 0.5" in line for line in told)


# --- words never contradict the weights ------------------------------------------------------------------------------

FITS = (
    NONE,
    GROSS,
    ENERGIES,
    FORCES,
    BOTH,
    MANY,
    UNDECIDED,
    TOO_MANY,
    {"kind": "lognormal", "location": 0, "scale": 1},
)
DENIED = re.compile(
    r"no wrong labels|no gross errors|none of [\d,]+ |not for wrong|no sign of|nothing is wrong|lost no weight|"
    r"none of them lost weight|every weight is|all keep", re.IGNORECASE
)  # fmt: skip


def random_head(rng):
    """A head of any weights, described in any way, after any history."""
    size = int(rng.choice([3, 22, 60, 400]))
    table = made_up_populations(size, NONE, seed=int(rng.integers(100)))
    low = rng.random(size) < rng.choice([0.0, 0.02, 0.3, 0.9])
    table["weight"] = np.where(low, rng.uniform(0, 0.49, size), rng.uniform(0.5, 1, size))
    table["loss"] = np.where(rng.random(size) < 0.02, np.nan, np.where(rng.random(size) < 0.05, 0.0, table["loss"]))
    table.loc[table["loss"].isna(), "weight"] = 0.0
    table.loc[table["loss"] == 0, "weight"] = 1.0
    about = about_populations(NONE)
    about["distribution"] = [population_entry({}) | FITS[rng.integers(len(FITS))]]
    if rng.random() < 0.2:
        about["distribution"][0]["refused"] = "why"
    marks = ["".join(rng.choice(["x", "."], int(rng.integers(12)), p=[p, 1 - p])) for p in (rng.random(),)]
    about["history"] = [past for mark in marks for past in history(mark, mark)]
    return table, about


@pytest.mark.parametrize("seed", range(60))
def test_words_never_contradict_the_weights(seed):
    table, about = random_head(np.random.default_rng(seed))
    [entry] = about["distribution"]
    low, judged = table["weight"] < 0.5, table["loss"] > 0
    suspects, finite = int(low.sum()), int((low & judged).sum())
    thought = judgement_of(entry, table["weight"].to_numpy(), with_states(table)["state"].to_numpy(), about["history"])
    found = summarised(table, about)
    [head] = found.heads
    assert head.judgement == thought
    shown = tiles.tiles_of(found, Groups({}, [], 0.0), None)
    line, headline = in_a_line(entry, thought), words.headline(found)
    report = [*words.how_sure(found), *judgements.doubts(found), *(f"{tile.value} {tile.what}" for tile in shown)]
    for sentence in (line, *doubts_of(thought), *report):
        if finite:
            assert not DENIED.search(sentence), sentence
        for counted in re.findall(r"([\d,]+) of ([\d,]+) (?:labels|looks? wrong)", sentence):
            assert counted == (str(finite), str(int(judged.sum()))), sentence
    assert (suspects == 0) == headline.startswith(("None", "Undecided"))
    assert suspects == 0 or headline.startswith(f"{suspects} of {len(table)} ")
    assert (shown[0].value, shown[0].what) == (str(suspects), f"suspects of {len(table)}")
    if thought.how is not None:
        assert (f"{finite} of {judged.sum()} look" in line) == (finite > 0)
        of_heads = {column.title: column.shown(head) for column in columns.label_columns(found.heads, 0.5)}
        assert (of_heads["found"] in ("wrong labels", "gross errors")) == (finite > 0)
        assert of_heads["found"] == thought.found
