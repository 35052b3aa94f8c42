"""The files that a run leaves: what goes in comes out, and a kill never leaves half a file."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas
import pytest

from mace_outlier.files import replacing
from mace_outlier.results import files
from mace_outlier.results.files import COLUMNS, TEXT, parts_path, worst_first
from mace_outlier.results.reading import ResultsError, read_results
from mace_outlier.results.writing import set_aside, write_about, write_parquet, write_results
from mace_outlier.states import LABEL

ODD_TEXTS = ["NA", "001", "", "nan", 'a "quoted", text', "two\nlines", "<b>", "=1+1", "None", "1e5"]


def table(rows=10, **changes):
    values = {name: np.linspace(0, 1, rows) for name in COLUMNS}
    texts = {
        name: pandas.Categorical([ODD_TEXTS[i % len(ODD_TEXTS)] for i in range(rows)])
        for name in ("head", "split", "source", "config_type", "formula")
    }
    whole = {name: np.arange(rows) for name in ("frame", "n_atoms", "times_seen", "last_epoch")}
    return values | texts | whole | changes


@pytest.mark.parametrize("largest", [200_000, 5], ids=["csv", "parquet"])
def test_a_table_comes_back_as_it_was(tmp_path, monkeypatch, largest):
    monkeypatch.setattr(files, "LARGEST_CSV", largest)
    loss = np.array([np.nan, np.inf, 1e-30, 1e38, *np.random.default_rng(0).random(6)], dtype=np.float32)
    written = table(loss=loss, dipole_rmse=loss[::-1])
    path = write_results(tmp_path / "deep" / "x_run-1", written, {"kind": "training", "threshold": "inf"})
    assert path.suffix == (".csv" if largest > 10 else ".parquet")
    read = read_results(tmp_path / "deep")
    assert list(read.table.columns) == [*written, "state"]
    assert read.table["state"].tolist()[:2] == [LABEL] * 2, "all that is known of a table without it"
    for name, values in written.items():
        if name in TEXT:
            assert read.table[name].tolist() == list(values)
        else:
            np.testing.assert_array_equal(read.table[name].to_numpy().astype(np.asarray(values).dtype), values)
    assert (read.about["kind"], read.about["threshold"], read.prefix.name) == ("training", "inf", "x_run-1")


def test_a_table_may_be_a_folder_of_parts_and_be_renamed_with_its_run(tmp_path):
    prefix, whole = tmp_path / "x_run-1", pandas.DataFrame(table(rows=25))
    for number, first in enumerate(range(0, 25, 10)):  # each with texts of its own
        part = dict(whole[first : first + 10].reset_index(drop=True).items())
        part |= {name: pandas.Categorical(part[name].astype(str)) for name in TEXT}
        write_parquet([part], parts_path(prefix) / "epoch-7-1" / f"table-{number:05}.parquet")
    (parts_path(prefix) / "epoch-7-1" / "_state-00000.pt").write_bytes(b"is no table")
    write_about(prefix, "x_run-1_outliers.parts/epoch-7-1", {"rows": 25})
    found = [read_results(tmp_path), read_results(parts_path(prefix))]
    assert all(own.name.startswith("x_run-1.1_outliers.") for own in set_aside(prefix))
    for read in (*found, read_results(tmp_path)):
        for name in whole:
            assert read.table[name].tolist() == whole[name].tolist(), name


@pytest.mark.parametrize("texts", [["NA", "001", "", "nan"], ["two, of them", 'a "quoted" one', "two\nlines", "b"]])
def test_a_csv_table_is_that_of_pandas_but_for_quotes(tmp_path, texts):
    numbers = np.array([np.nan, np.inf, 1e-7, -3.0], dtype=np.float32)
    written = table(rows=4, **{name: pandas.Categorical(texts) for name in TEXT}, loss=numbers)
    path = write_results(tmp_path / "x", written, {})
    pandas.DataFrame(written).to_csv(tmp_path / "pandas.csv", index=False)
    read = [pandas.read_csv(file, dtype=str, keep_default_na=False) for file in (path, tmp_path / "pandas.csv")]
    for name in written:
        own, theirs = (one[name].tolist() for one in read)
        assert own == theirs if name in TEXT else list(map(number, own)) == list(map(number, theirs)), name
    assert ('"' in path.read_text()) == ("b" in texts)


def number(text):
    return float(text) if text else None


def test_a_run_is_found_by_folder_tag_and_file(tmp_path):
    prefix = tmp_path / "results" / "water_run-3"
    write_results(prefix, table(), {})
    set_aside(prefix)
    write_results(prefix, table(), {})  # beside an earlier run
    files = [prefix.with_name(f"water_run-3_outliers{suffix}") for suffix in (".csv", ".json", ".html", ".xyz")]
    for run in (tmp_path, tmp_path / "results", prefix, tmp_path / "water_run-3", *files):
        assert read_results(run).prefix == prefix
    write_results(tmp_path / "results" / "ice_run-1", table(), {})
    with pytest.raises(ResultsError, match=r"several runs .*, name one of them: .*ice_run-1, .*water_run-3"):
        read_results(tmp_path)


def test_a_run_is_found_beside_a_folder_of_its_name(tmp_path, monkeypatch):
    """Which holds another run; the folder of a run may be named by a dot."""
    write_results(tmp_path / "res", table(), {})
    write_results(tmp_path / "res" / "inner", table(), {})
    for name in ("res", "res_outliers.json"):
        assert read_results(tmp_path / name).prefix == tmp_path / "res"
    monkeypatch.chdir(tmp_path / "res")
    assert read_results(".").prefix.resolve() == tmp_path / "res" / "inner"
    assert read_results("inner").prefix.resolve() == tmp_path / "res" / "inner"


def foreign(path):
    write_results(path / "x", table(), {})
    pandas.DataFrame({"a": [1]}).to_csv(path / "x_outliers.csv")


def broken(path):
    (path / "x_outliers.json").write_text("{")


def without_table(path):
    (path / "x_outliers.json").write_text(json.dumps({"table": "x_outliers.csv"}))


def no_name(path):
    (path / "x_outliers.json").write_text(json.dumps({"table": ""}))


def parts_that_are_gone(path):
    (path / "x_outliers.json").write_text(json.dumps({"table": "x_outliers.parts/epoch-3-1"}))


def no_object(path):
    (path / "x_outliers.json").write_text("[1]")


def cut(path):
    write_results(path / "x", table(), {"rows": len(table())})
    lines = (path / "x_outliers.csv").read_text().splitlines(keepends=True)
    (path / "x_outliers.csv").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    ("prepare", "run", "message"),
    [
        (None, ".", r"no \*_outliers.json in .*: was it trained with ema_robust\?"),
        (None, "nothing", "there is no .*nothing_outliers.json: give the folder of the training"),
        (foreign, "x", "x_outliers.csv has no column head, split, source, .*: it is no table of mace-outlier"),
        (broken, "x", "can't be read"),
        (without_table, "x", "can't be read: .*x_outliers.csv"),
        (no_name, "x", "can't be read"),
        (parts_that_are_gone, "x", "can't be read: .*x_outliers.parts/epoch-3-1"),
        (no_object, "x", "can't be read"),
        (cut, "x", r"x_outliers.csv has \d+ rows, but x_outliers.json says 15: one of them was cut"),
    ],
)
def test_errors(tmp_path, prepare, run, message):
    if prepare:
        prepare(tmp_path)
    with pytest.raises(ResultsError, match=message):
        read_results(tmp_path / run)


def test_earlier_results_get_the_first_free_number(tmp_path):
    for expected in (".1", ".2"):
        write_results(tmp_path / "x", table(), {})
        moved = set_aside(tmp_path / "x")
        assert sorted(path.name for path in moved) == [f"x{expected}_outliers.csv", f"x{expected}_outliers.json"]
    assert set_aside(tmp_path / "x") == []


def test_results_that_were_set_aside_are_read_and_not_those_that_took_their_place(tmp_path):
    """Also the page of the earlier run goes with its table."""
    write_results(tmp_path / "x", table(weight=[0.25] * 10), {"epoch": 1})
    (tmp_path / "x_outliers.html").write_text("of the earlier run")
    set_aside(tmp_path / "x")
    write_results(tmp_path / "x", table(weight=[0.75] * 10), {"epoch": 2})
    for name in ("x.1", "x.1_outliers.json", "x.1_outliers.csv", "x.1_outliers.html"):
        earlier = read_results(tmp_path / name)
        assert (earlier.about["epoch"], earlier.table.weight[0]) == (1, 0.25)
    assert (tmp_path / "x.1_outliers.html").read_text() == "of the earlier run"
    assert not (tmp_path / "x_outliers.html").exists()
    assert read_results(tmp_path).about["epoch"] == 2
    with pytest.raises(ResultsError, match=r"there is no .*x_outliers\.1\.json"):
        read_results(tmp_path / "x_outliers.1.json")


def test_a_kill_in_the_middle_of_writing_leaves_the_last_complete_table(tmp_path):
    write_results(tmp_path / "x", table(), {"epoch": 1})
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from pyarrow import csv
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_results import table
        from mace_outlier.results.writing import write_results
        write_csv = csv.write_csv
        def half(table, file, options):
            write_csv(table[: len(table) // 2], file, options)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        csv.write_csv = half
        write_results(Path({str(tmp_path)!r}) / "x", table(1000), {{"epoch": 2}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert done.returncode == -signal.SIGKILL
    read = read_results(tmp_path)
    assert (len(read.table), read.about["epoch"]) == (10, 1)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "x.txt"
    target.write_text("old")

    def fail():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
    with replacing(target) as temporary:
        temporary.write_text("new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_suspects_are_ordered_as_far_as_their_weights_are_shown():
    weights = np.array([1e-9, 1e-30, 0.2, 0.0004, 0.2, 0.0, 0.0])
    zscores = np.array([400.0, 9.0, 2.0, 30.0, 3.0, 1.0, np.nan])
    nonfinite = np.arange(7) == 5
    assert worst_first(weights, zscores, nonfinite).tolist() == [5, 0, 3, 1, 6, 4, 2]
    assert worst_first(*(np.zeros(0) for _ in range(2)), np.zeros(0, dtype=bool)).tolist() == []
