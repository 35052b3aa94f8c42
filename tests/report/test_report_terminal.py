"""What a report prints, strings that are shown, and arguments that are refused."""

import io
import re

import numpy as np
import pytest
from made_up_fits import BOTH, population_entry
from made_up_results import (
    HOSTILE,
    made_up_about,
    made_up_sample,
    made_up_table,
    results_of,
    slab_among_clusters,
    summarised,
    write_hostile_run,
    write_run,
)

from mace_outlier.__main__ import main
from mace_outlier.report import cards, columns, summary, terminal, text
from mace_outlier.report.groups import find_groups


def printed(capsys, *arguments: object) -> str:
    main(["report", *map(str, arguments)])
    return capsys.readouterr().out


# --- strings and numbers ---------------------------------------------------------------------------------------------


def test_clean_leaves_nothing_that_acts():
    for word in HOSTILE:
        shown = text.clean(word, 40)
        assert shown.isprintable()
        assert len(shown) <= 40
    assert text.clean("a\x1b[31mb\nc\u202e\udcff") == r"a\x1b[31mb\nc\u202e\udcff"
    assert text.clean("/long/" + "d" * 100 + "/end.xyz", 30).endswith("/end.xyz")


@pytest.mark.parametrize("source", ["train.xyz", 'a"b.xyz', "a'b.xyz", "a\nb.xyz", "\\x", "\x1b", "ü.xyz", "\udcff"])
def test_the_line_to_copy_is_the_path_in_python(source):
    line = text.line_to_copy(source, 7)
    assert line.isprintable()
    assert eval(line.removeprefix("ase.io.read")) == (source, 7)
    assert text.line_to_copy("train.xyz", 3) == 'ase.io.read("train.xyz", 3)'


def test_numbers_are_readable():
    assert [text.percent(share) for share in (0, 1, 0.0825, 0.0001, 0.99999)] == [
        "0 %",
        "100 %",
        "8.2 %",
        "< 0.1 %",
        "> 99.9 %",
    ]
    assert [text.fixed(value) for value in (np.inf, 3e7, 1234.5)] == ["∞", "3.00e+07", "1,234.50"]
    assert text.fixed(np.nan) == text.DASH
    assert text.milli(0.0612, signed=True) == "+61.2"
    assert [text.count(number) for number in (0.1, 9.1, 9.96, 149.4, 0)] == ["0.1", "9.1", "10", "149", "0"]


# --- terminal --------------------------------------------------------------------------------------------------------


def test_the_terminal_says_how_many_which_and_how_sure(tmp_path, capsys):
    table = made_up_table(400, range(0, 99, 3))
    run = write_run(tmp_path, table)
    out = printed(capsys, run, "--top", 3, "--no-page")
    assert "33 of 400 configurations (8.2 %) look wrong" in out
    assert "about 9.1 of 400 configurations" in out
    first = table.loc[table["zscore"].idxmax()]
    row = next(line for line in out.splitlines() if line.startswith(" 1 "))
    for shown in ("train.xyz", f"{first['frame']}", first["formula"], f"{1000 * first['energy_error_per_atom']:+.1f}"):
        assert shown in row
    assert "The worst 3 of 33 suspects" in out
    assert "By config_type" in out
    assert not list(tmp_path.glob("*.html"))


def test_every_residual_that_there_is_has_a_column_and_is_a_reason():
    table = made_up_table(40, [3]).assign(force_rmse=np.nan, stress_rmse=np.nan, virials_rmse=0.002, dipole_rmse=0.01)
    table.loc[3, ["virials_rmse", "dipole_rmse"]] = 0.0123, 0.5
    found = summarised(table)
    [suspect] = summary.worst(results_of(table).table, found, 1)
    shown = {" ".join(own.title.split()): own.shown(suspect) for own in columns.suspect_columns(found, None)}
    assert shown["virials RMSE meV/atom"] == "12.3"
    assert shown["dipole RMSE unit/atom"] == "0.5"
    assert not any("force" in title or "stress" in title for title in shown)
    assert cards.reason(suspect).endswith("virials RMSE 6.2 times the median, dipole RMSE 50 times the median")


def test_a_narrow_terminal_drops_columns_rather_than_digits():
    table = slab_among_clusters()
    found = summarised(table)
    worst = summary.worst(results_of(table).table, found, 3)
    out = terminal.Console(width=80, file=io.StringIO(), markup=False, highlight=False)
    terminal.show(out, "name", found, find_groups(results_of(table).table, found), [], worst, None)
    shown = out.file.getvalue()
    assert "left out for want of width: epochs seen" in shown
    assert re.search(r"1 +train\.xyz +\d+ .*0\.0\d\d .*persistent", shown)


def test_hostile_strings_reach_the_terminal_as_they_are(tmp_path, capsys):
    out = printed(capsys, write_hostile_run(tmp_path), "--no-page")
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[red]x[/red]" in out  # no markup
    assert r"\x1b[31mred" in out


def test_hostile_words_of_a_training_are_spelled_out(tmp_path, capsys):
    """A cause that takes the form of one that there is, and how labels were judged; the same ones on the page."""
    hostile = "\x1b[31mred\u202e"
    table = made_up_table(60, range(20)).assign(cause_certainty=0.99, cause_value=23.0)
    table["head"] = ["pbe", "r2scan"] * 30
    table["cause"] = np.where(table["weight"] < 0.5, f"energy in {hostile}", "")
    about = made_up_about(("pbe", "r2scan"), epochs=3)
    about["distribution"] = [population_entry(BOTH, "pbe"), population_entry(BOTH, "r2scan") | {"kind": hostile}]
    (tmp_path / hostile).mkdir()
    run = write_run(tmp_path / hostile, table, about, made_up_sample(table, 10))
    out = printed(capsys, run)
    for line in out.splitlines():
        assert line.isprintable(), line
    assert out.count(r"energy in \x1b[31mred\u202e") == 1 + 20  # causes, suspects
    page = run.with_name("demo_run-1_outliers.html").read_text(encoding="utf-8")
    assert not {"\x1b", "\u202e"} & set(page)
    assert r"\u001b" not in page  # in data for the script
    assert r"energy in \x1b[31mred\u202e" in page


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--below", "0"], "--below: '0' is not a weight above 0"),
        (["--below", "1.5"], "--below: '1.5' is not a weight above 0 and at most 1"),
        (["--top", "0"], "--top: '0' is not at least 1"),
        (["--out", "train.xyz"], "has to end in .html"),
        (["--out", "a.html", "--no-page"], "contradict"),
        (["--out", "folder.html"], "--out folder.html is a folder: name a file"),
        (["--figures", "demo_run-1_outliers.json"], "--figures demo_run-1_outliers.json is a file: name a folder"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, capsys, monkeypatch, arguments, message):
    """Before anything is printed."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path, made_up_table(5))
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(SystemExit) as refused:
        main(["report", ".", *arguments])
    out, err = capsys.readouterr()
    assert message in f"{refused.value} {err}"
    assert not out


def test_a_table_without_rows_is_refused(tmp_path):
    write_run(tmp_path, made_up_table(0))
    with pytest.raises(SystemExit, match="holds no configuration"):
        main(["report", str(tmp_path)])


def test_what_was_not_examined_comes_last_of_the_causes(tmp_path, capsys):
    """However many these are; the others by their number."""
    table = made_up_table(60, range(20)).assign(cause_certainty=0.99, cause_value=np.nan)
    causes = np.array(["forces all zero", "noise in energy", "noise in energy"] + [""] * 17)
    table["cause"] = np.where(table["weight"] < 0.5, causes[np.arange(60) % 20], "")
    out = printed(capsys, write_run(tmp_path, table, made_up_about(), made_up_sample(table, 10)), "--no-page")
    places = [out.index(words) for words in ("noise in energy", "forces all zero", "not examined")]
    assert places == sorted(places)
