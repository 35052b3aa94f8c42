"""What a run tells its user: log lines, the table of training and validation configurations, the sample."""

import logging

import numpy as np
import pytest
import torch
from made_up_fits import BOTH, ENERGIES, ONE, SCATTER, TWO, population_entry

from mace_outlier import logbook, sample
from mace_outlier.fit_in_log import in_milli, populations, warn_of_similar_populations
from mace_outlier.logbook import Logbook
from mace_outlier.options import Options
from mace_outlier.provenance import Descriptions, Part, Provenance, Tag
from mace_outlier.records import Records
from mace_outlier.results import COLUMNS, read_results
from mace_outlier.validation import Validation

NAN = float("nan")


def seen(source, weights, zscores, losses, tags=("bulk", "H2O", "H2O", 3)):
    """Rows of a file, and what is known of them after epoch 2: all but the last one were visited."""
    rows = Provenance(["Default"], [[Part(source, np.arange(len(weights) + 1))]])
    descriptions, records = Descriptions(len(rows)), Records(len(rows))
    for row in range(len(rows)):
        descriptions.note(row, Tag(*tags))
    records.begin_epoch(2, 1)
    columns = (torch.tensor(column, dtype=torch.float64) for column in (losses, weights, zscores))
    errors = torch.arange(2 * len(weights)).reshape(2, -1)
    ids = torch.arange(len(weights))
    records.observe(ids, torch.zeros_like(ids), *columns, errors)
    return rows, descriptions, records


def written(prefix=None, validation=True):
    """A logbook of 4 training and 3 validation configurations."""
    rows, descriptions, records = seen("train.xyz", [0.9, 0.2, 0.0], [1.0, 3.0, 0.0], [1.0, 2.0, NAN])
    records.end_epoch()
    records.mean_weight[:] = 0.75
    own = (
        Validation(*seen("valid.xyz", [0.1, 0.2], [4.0, 5.0], [3.0, 4.0], ("gas", "CO", "CO", 2)))
        if validation
        else None
    )
    return Logbook(Options(), rows, descriptions, records, prefix, validation=own)


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
    assert tuple(table.columns) == COLUMNS
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
    assert np.isnan(table["zscore"]).tolist() == [False, False, True, False, False, False, False]
    assert table["zscore"][4] == 4.0
    assert table["force_rmse"][:6].tolist() == pytest.approx([3, 4, 5, NAN, 2, 3], nan_ok=True)


@pytest.mark.parametrize("empty", [None, Validation(Provenance(["Default"], [[]]), Descriptions(0), Records(0))])
def test_a_run_without_a_validation_set_has_a_table_of_the_training_set(empty):
    book = written(validation=False)
    book.validation = empty
    assert book.table()["split"].tolist() == ["train"] * 4


def test_the_sample_is_of_the_training_set(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(sample, "evaluate", lambda *arguments: [])
    monkeypatch.setattr(sample, "write_sample", lambda path, frames, rows, suspects: chosen.append((rows, suspects)))
    written(tmp_path / "x").save_sample(None, lambda rows: [], {})
    [(rows, suspects)] = chosen
    assert rows[:suspects].tolist() == [2, 1]  # not finite first
    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_suspects_are_sampled_by_weight_then_by_zscore():
    weights, zscores = np.array([0.3, 0.9, 0.0, 0.1, 0.1]), np.array([9.0, 1.0, NAN, 3.0, 4.0])
    suspects, others = sample.choose(weights, zscores, np.full(5, 3))
    assert (suspects.tolist(), others.tolist()) == ([2, 4, 3, 0], [1])


# --- the log ---------------------------------------------------------------------------------------------------------


def test_the_summary_counts_and_names_both_splits(caplog):
    lines = logged(caplog, written().log_summary)
    assert lines[1:] == [
        "2 of 4 training configurations (50.00 %) and 2 of 3 validation configurations (66.67 %) have a weight below "
        "0.5, 1 have a non-finite label or loss (weight 0)",
        "Suspect: valid.xyz frame 0 (validation), weight=0.100, z=4.00 sigma",
        "Suspect: valid.xyz frame 1 (validation), weight=0.200, z=5.00 sigma",
        "Suspect: train.xyz frame 1, weight=0.200, z=3.00 sigma",
    ]
    lines = logged(caplog, written(validation=False).log_summary)
    assert lines[1:] == [
        "2 of 4 training configurations (50.00 %) have a weight below 0.5, "
        "1 have a non-finite label or loss (weight 0)",
        "Suspect: train.xyz frame 1, weight=0.200, z=3.00 sigma",
    ]


def test_the_summary_names_the_worst(caplog, monkeypatch):
    monkeypatch.setattr(logbook, "SUSPECTS_IN_SUMMARY", 2)
    named = [line for line in logged(caplog, written().log_summary) if "Suspect" in line]
    assert [line.split(",")[0] for line in named] == [
        "Suspect: valid.xyz frame 0 (validation)",
        "Suspect: valid.xyz frame 1 (validation)",
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (population_entry(ONE), "one population of losses, mode=2.2313e-01"),
        (population_entry(TWO), "two populations, 31.00 % wrong: losses around 2.5e+00 instead of 2.2e-01"),
        (
            population_entry(BOTH),
            "two populations, 31.00 % wrong: losses around 2.5e+00 instead of 2.2e-01, energies off by +61 meV/atom",
        ),
        (population_entry(ENERGIES), "two populations, 31.00 % wrong: energies off by +61 meV/atom"),
        (population_entry(SCATTER), "two populations, 31.00 % wrong: energies off by +-9.0 meV/atom"),
        (
            population_entry(SCATTER | {"within": BOTH | {"share": 0.1}}),
            "three populations, 37.90 % wrong: energies off by +-9.0 meV/atom; losses around 2.5e+00 instead of "
            "2.2e-01, energies off by +61 meV/atom",
        ),
        (
            population_entry(SCATTER | {"within": ONE | {"undecided": 0.5}}),
            "two populations, 31.00 % wrong: energies off by +-9.0 meV/atom; the others are one population, or two "
            "(50 % in one), but which is wrong?",
        ),
        ({"kind": "lognormal", "location": -1.5, "scale": 0.25}, "mu=-1.5000e+00, sigma=2.5000e-01"),
    ],
)
def test_what_an_epoch_s_line_says_of_the_fit(entry, said):
    assert populations(entry) == said


def test_what_a_table_says_of_a_fit_within_another_is_numbers():
    entry = population_entry(SCATTER | {"within": BOTH | {"certainty": np.inf}})
    assert logbook.plain(entry) == entry | {"within": BOTH | {"certainty": "inf"}}


def test_energies_are_shown_in_two_digits_at_least():
    values = (5.0, 0.0614, 0.00504, -0.00031, 0.0)
    assert [in_milli(value, "+") for value in values] == ["+5000", "+61", "+5.0", "-0.31", "+0"]
    assert in_milli(0.0614) == "61"


@pytest.mark.parametrize(("fit", "right"), [(BOTH, "one with the lower losses"), (ENERGIES, "larger one")])
def test_populations_of_similar_size_are_warned_of(caplog, fit, right):
    [line] = logged(caplog, lambda: warn_of_similar_populations(population_entry(fit | {"share": 0.45})))
    assert "two populations of similar size (45 % in the one taken for wrong)" in line
    assert f"The {right} is taken for right" in line
    assert not logged(caplog, lambda: warn_of_similar_populations(population_entry(fit)))
    within = population_entry(fit | {"within": fit | {"share": 0.45}})
    assert len(logged(caplog, lambda: warn_of_similar_populations(within))) == 1


def test_populations_that_nobody_can_tell_apart_are_warned_of(caplog):
    [line] = logged(caplog, lambda: warn_of_similar_populations(population_entry(ONE | {"undecided": 0.5})))
    assert "two populations of similar size (50 % in one) and" in line
    assert "NO configuration was down-weighted for it" in line
    within = population_entry(SCATTER | {"within": ONE | {"undecided": 0.4}})
    [line] = logged(caplog, lambda: warn_of_similar_populations(within))
    assert "two populations, among those not found wrong, of similar size (40 % in one) and" in line
    assert populations(population_entry(ONE | {"undecided": 0.5})).endswith("or two (50 % in one), but which is wrong?")
