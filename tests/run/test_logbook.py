"""What a run tells its user: log lines, the table of training and validation configurations, the sample."""

import logging

import numpy as np
import pandas
import pytest
import torch
from made_up_fits import (
    BOTH,
    ENERGIES,
    GROSS,
    MANY,
    NONE,
    TOO_MANY,
    UNDECIDED,
    WRONG_ENERGIES,
    population_entry,
    thought_of,
)
from made_up_seen import visited
from pyarrow import parquet

from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.data.tagging import Tag
from mace_outlier.results import files, writing
from mace_outlier.results.files import COLUMNS, TRAIN, VALID
from mace_outlier.results.in_words import in_a_line
from mace_outlier.results.reading import read_results
from mace_outlier.results.wrong_labels import in_milli
from mace_outlier.run import logbook, sample, tables
from mace_outlier.run.fit_in_log import WholeGroups, warn_of_doubts
from mace_outlier.run.logbook import Logbook
from mace_outlier.run.options import Options
from mace_outlier.run.tables import Split
from mace_outlier.weights.by_head import tallied
from mace_outlier.weights.records import Records

NAN = float("nan")


def seen(source, weights, zscores, losses, tags=("bulk", "H2O", "H2O", 3)):
    """Rows of a file, and what is known of them after epoch 2: all but the last one were visited."""
    rows = Provenance(["Default"], [[Part(source, np.arange(len(weights) + 1))]])
    metadata, records = Metadata(len(rows)), Records(len(rows))
    for row in range(len(rows)):
        metadata.note(row, Tag(*tags))
    records.begin_epoch(2, 1)
    columns = (torch.tensor(column, dtype=torch.float64) for column in (losses, weights, zscores))
    errors = torch.arange(2 * len(weights)).reshape(2, -1)
    ids = torch.arange(len(weights))
    visited(records, ids, *columns, errors)
    return rows, metadata, records


def written(prefix=None, validation=True):
    """A logbook of 4 training and 3 validation configurations."""
    rows, metadata, records = seen("train.xyz", [0.9, 0.2, 0.0], [1.0, 3.0, 0.0], [1.0, 2.0, NAN])
    records.end_epoch()
    records.mean_weight[:] = 0.75
    splits = [Split(TRAIN, rows, metadata, records)]
    if validation:
        splits.append(Split(VALID, *seen("valid.xyz", [0.1, 0.2], [4.0, 5.0], [3.0, 4.0], ("gas", "CO", "CO", 2))))
    return Logbook(Options(), splits, prefix)


def logged(caplog, act):
    caplog.set_level(logging.INFO)
    caplog.clear()
    act()
    return caplog.messages


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_the_training_and_then_the_validation_configurations(tmp_path):
    written(tmp_path / "x").save()
    results = read_results(tmp_path)
    table = results.table
    assert tuple(table.columns) == (*COLUMNS, "suspect_since", "state")
    assert results.about["rows"] == 7
    assert table["split"].tolist() == ["train"] * 4 + ["valid"] * 3
    assert table["source"].tolist() == ["train.xyz"] * 4 + ["valid.xyz"] * 3
    assert table["frame"].tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert (table["formula"] + table["config_type"]).tolist() == ["H2Obulk"] * 4 + ["COgas"] * 3
    assert table["n_atoms"].tolist() == [3] * 4 + [2] * 3
    assert table["times_seen"].tolist() == [1, 1, 1, 0, 1, 1, 0]
    assert table["last_epoch"].tolist() == [2, 2, 2, -1, 2, 2, -1]
    assert table["weight"].tolist() == pytest.approx([0.9, 0.2, 0.0, 1.0, 0.1, 0.2, 1.0])
    assert table["mean_weight"].tolist() == pytest.approx([0.75] * 4 + [0.1, 0.2, 1.0])  # not followed: the weight
    assert np.isnan(table["zscore"]).tolist() == [False, False, True, True, False, False, True]
    assert table["zscore"][4] == 4.0
    assert table["force_rmse"][:6].tolist() == pytest.approx([3, 4, NAN, NAN, 2, 3], nan_ok=True)


def test_a_table_that_is_written_in_parts_is_the_same(tmp_path, monkeypatch):
    book = written(tmp_path / "x")
    book.causes = {"cause": pandas.Categorical(["", "sign of the forces", *[""] * 5])}
    monkeypatch.setattr(files, "LARGEST_CSV", 5)
    book.save()
    expected = read_results(tmp_path).table
    monkeypatch.setattr(logbook, "PART", 3)
    monkeypatch.setattr(tables, "PART", 3)
    book.prefix = tmp_path / "parts" / "x"
    book.save()
    assert parquet.ParquetFile(tmp_path / "parts" / "x_outliers.parquet").num_row_groups == 3  # 3 and 1, and 3
    found = read_results(tmp_path / "parts").table
    for name in expected:
        if expected[name].dtype.kind in "OU" or found[name].dtype == "category":
            assert found[name].tolist() == expected[name].tolist()
        else:
            np.testing.assert_array_equal(found[name], expected[name])
    # killed between two parts, or out of room: the last complete table stays
    monkeypatch.setattr(writing, "_arrow", no_room_for(10))
    book.splits[0].records.weight[0] = 0.0
    book.save()
    assert read_results(tmp_path / "parts").table.weight[0] == pytest.approx(0.9)
    assert [path.name for path in (tmp_path / "parts").iterdir() if "tmp" in path.name] == []


def no_room_for(columns):
    """Stands for `writing._arrow` on a disk that is full after so many columns."""
    arrow, left = writing._arrow, [columns]

    def some(column):
        left[0] -= 1
        if left[0] < 0:
            raise OSError("No space left on device")
        return arrow(column)

    return some


def test_a_run_without_a_validation_set_has_a_table_of_the_training_set():
    assert written(validation=False).table()["split"].tolist() == ["train"] * 4


def test_suspects_of_both_splits_are_examined(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(sample, "evaluate", lambda *arguments: sample.Evaluated([], torch.empty(0, 0)))
    monkeypatch.setattr(sample, "write_sample", lambda path, frames, own, needed: chosen.append(own))
    written(tmp_path / "x").examine(None, lambda rows: [], {}, None)
    [(suspects, others)] = chosen
    assert suspects.tolist() == [2, 4, 5, 1]  # not finite first; 4 and 5 are of the validation set
    assert sorted(others.tolist()) == [0]  # nothing is known of 3 and 6


def test_suspects_are_chosen_by_weight_then_by_zscore_and_others_from_each_head():
    weights, zscores = np.array([0.3, 0.9, 0.0, 0.1, 0.1, 0.8]), np.array([9.0, 1.0, NAN, 3.0, 4.0, 0.0])
    suspects, others = sample.choose(weights, zscores, np.full(6, 3), np.array([0, 0, 0, 0, 0, 1]))
    assert (suspects.tolist(), others.tolist()) == ([2, 4, 3, 0], [1, 5])


# --- the log ---------------------------------------------------------------------------------------------------------


def test_the_summary_counts_and_names_both_splits(caplog):
    lines = logged(caplog, written().log_summary)
    assert lines[1:] == [
        "2 of 4 training configurations (50.00 %) and 2 of 3 validation configurations (66.67 %) have a weight below "
        "0.5, 1 x label not finite",
        "Suspect: valid.xyz frame 0 (validation), weight=0.100, z=4.00 sigma",
        "Suspect: valid.xyz frame 1 (validation), weight=0.200, z=5.00 sigma",
        "Suspect: train.xyz frame 1, weight=0.200, z=3.00 sigma",
    ]
    lines = logged(caplog, written(validation=False).log_summary)
    assert lines[1:] == [
        "2 of 4 training configurations (50.00 %) have a weight below 0.5, 1 x label not finite",
        "Suspect: train.xyz frame 1, weight=0.200, z=3.00 sigma",
    ]


def test_the_summary_names_the_worst(caplog, monkeypatch):
    monkeypatch.setattr(logbook, "SUSPECTS_IN_SUMMARY", 2)
    named = [line for line in logged(caplog, written().log_summary) if "Suspect" in line]
    assert [line.split(",")[0] for line in named] == [
        "Suspect: valid.xyz frame 0 (validation)",
        "Suspect: valid.xyz frame 1 (validation)",
    ]


OFF = "energies off by some 60 meV/atom more than geometry explains, too high and too low alike (an estimated 14.9 %)"


@pytest.mark.parametrize(
    ("fit", "suspects", "said"),
    [
        (NONE, 0, "no wrong labels found (evidence 3 of the 6 that are needed)"),
        (NONE | {"gain": 5.9}, 0, "no wrong labels found (evidence 5 of the 6 that are needed)"),
        (NONE | {"gain": 113.0}, 0, "no wrong labels found (errors of two sizes, too close to tell wrong labels from "
         "hard geometries)"),
        (GROSS, 3, "3 of 400 look wrong (0.8 %), by gross errors; others: evidence 3 of the 6 that are needed"),
        (ENERGIES, 60, f"60 of 400 look wrong (15.0 %): {OFF}"),
        (ENERGIES, 0, f"undecided: {OFF}, but two epochs don't agree on which"),
        (BOTH, 1, f"1 of 400 looks wrong (0.2 %): {OFF}; forces off by some 2.4 x what is expected (an estimated "
         "3.0 %)"),
        (UNDECIDED, 0, "undecided: 12.0 % look wrong, which the next epoch has to confirm"),
        (UNDECIDED, 2, "2 of 400 look wrong (0.5 %), by gross errors; undecided: 12.0 % look wrong, which the next "
         "epoch has to confirm"),
        (TOO_MANY, 0, "undecided: 55.0 % look wrong, more than half: which are the wrong ones?"),
        ({"kind": "lognormal", "location": -1.5, "scale": 0.25}, 0, "mu=-1.5000e+00, sigma=2.5000e-01"),
    ],
)  # fmt: skip
def test_what_an_epoch_s_line_says_of_the_labels(fit, suspects, said):
    entry = population_entry({}) | fit
    assert in_a_line(entry, thought_of(entry, suspects)) == said
    assert in_a_line(entry, thought_of(entry, suspects, nonfinite=2)) == f"{said}, 2 not finite"
    refused = entry | {"refused": "why"}
    assert in_a_line(refused, thought_of(refused, suspects)) == f"fit refused (why), that of before stays: {said}"


def test_a_head_of_few_configurations_says_how_many_it_takes():
    entry = population_entry(NONE)
    assert in_a_line(entry, thought_of(entry, judged=22)) == "no wrong labels found (22 of the 50 that it takes)"
    assert in_a_line(entry, thought_of(entry, 1, judged=22)).endswith(
        "gross errors; others: 22 of the 50 that it takes"
    )


def test_what_a_table_says_of_each_property_is_numbers():
    entry = population_entry(BOTH | {"properties": {"energy": WRONG_ENERGIES | {"wrong": np.inf}}})
    assert logbook.plain(entry)["properties"] == {"energy": WRONG_ENERGIES | {"wrong": "inf"}}


def test_energies_are_shown_in_two_digits_at_least():
    values = (5.0, 0.0614, 0.00504, -0.00031, 0.0)
    assert [in_milli(value, "+") for value in values] == ["+5000", "+61", "+5.0", "-0.31", "+0"]
    assert in_milli(0.0614) == "61"


@pytest.mark.parametrize(
    ("fit", "suspects", "said"),
    [
        (MANY, 160, "40.0 % of the labels are taken for wrong. With so many, it could be the others"),
        (UNDECIDED, 0, "12.0 % of the labels look wrong, but in one epoch only: two have to agree"),
        (TOO_MANY, 0, "55.0 % of the labels look wrong, more than 50.0 %, so that nobody can say which are the wrong "
         "ones: none of them lost weight"),
        (TOO_MANY, 9, "55.0 % of the labels look wrong, more than 50.0 %, so that nobody can say which are the wrong "
         "ones: the weights are those of before"),
        (BOTH | {"refused": "why"}, 9, "the last fit was refused (why): the weights are those of before"),
    ],
)  # fmt: skip
def test_doubts_are_warned_of(caplog, fit, suspects, said):
    [line] = logged(caplog, lambda: warn_of_doubts("Default", thought_of(population_entry(fit), suspects)))
    assert line.startswith(f"head Default: {said}")
    assert caplog.records[0].levelname == "WARNING"


def test_the_end_of_a_run_warns_of_doubts(caplog):
    book = written(validation=False)
    book.distribution, book.tallies = [population_entry(UNDECIDED)], tallied(book.splits[0].records, 1)
    lines = logged(caplog, book.log_summary)
    assert any(line.startswith("head Default: 12.0 % of the labels look wrong") for line in lines)


def test_nothing_is_warned_of_where_there_is_no_doubt(caplog):
    for entry in (population_entry(BOTH), population_entry(NONE), {"kind": "lognormal", "head": "Default"}):
        assert not logged(caplog, lambda entry=entry: warn_of_doubts("Default", thought_of(entry)))


def test_a_group_of_which_nothing_is_trained_on_is_warned_of_once(caplog):
    rows = Provenance(["Default"], [[Part("a.xyz", np.arange(4)), Part("b.xyz", np.arange(16))]])
    metadata, records = Metadata(20), Records(20)
    for row in range(20):
        metadata.note(row, Tag("slab" if row < 4 else "bulk", "H2O", "H2O", 3))
    book = Logbook(Options(), [Split(TRAIN, rows, metadata, records)])
    weights, wrong, whole = torch.ones(20), torch.arange(20) < 4, WholeGroups()

    def epoch(number):
        records.begin_epoch(number, 1)
        records.note(torch.arange(20), torch.ones(20), torch.where(wrong & (number > 0), 0.0, weights), weights)
        records.end_epoch()
        records.note_suspects()
        tallies = tallied(records, 1)
        book.end_epoch("stage_one", [population_entry(ENERGIES if number else NONE)], tallies)
        whole.warn_of_new(whole.look(book.splits[0], tallies))

    assert not any("next to nothing" in line for line in logged(caplog, lambda: epoch(0)))
    [line] = [line for line in logged(caplog, lambda: epoch(1)) if "next to nothing" in line]
    assert line.startswith("config_type slab: 4 of 4 configurations have a weight below 0.5")  # and not b.xyz as well
    assert [r.levelname for r in caplog.records if "next to nothing" in r.message] == ["WARNING"]
    assert not any("next to nothing" in line for line in logged(caplog, lambda: epoch(2)))
    assert [(past["suspects"], past["believed"]) for past in book.history] == [
        (0, []),
        (4, ["energy"]),
        (4, ["energy"]),
    ]
    assert book.table()["suspect_since"].tolist() == [1] * 4 + [-1] * 16
    assert logged(caplog, book.log_summary)[2] == "Suspect: a.xyz frame 0, weight=0.000, z=1.00 sigma, since epoch 1"
