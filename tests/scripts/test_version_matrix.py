"""scripts/version_matrix.py, with stand-ins for the installations and the tests: what is tried, kept and reported."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REPORT = '<testsuites><testsuite tests="12" failures="{}" errors="0" skipped="2"/></testsuites>'


@pytest.fixture
def matrix(monkeypatch, tmp_path):
    """The script, working in a folder of its own; `installed` are the torch versions that it tried."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import version_matrix as script

    monkeypatch.setattr(script, "WORK", tmp_path / "work")
    monkeypatch.setattr(script, "OUT", tmp_path / "out")
    monkeypatch.setattr(script, "key", lambda: script.sources)
    script.sources, script.installed, script.failures = "sources", [], 0

    def install(row, torch, folder, log):
        script.installed.append(torch)
        folder.mkdir(parents=True, exist_ok=True)
        return Path(torch)

    def run(command, log, **more):
        report = next(flag for flag in command if flag.startswith("--junitxml=")).partition("=")[2]
        Path(report).write_text(REPORT.format(script.failures))
        return not script.failures

    monkeypatch.setattr(script, "install", install)
    monkeypatch.setattr(script, "stock_works", lambda python, folder, log: str(python) != script.OLDEST[0])
    monkeypatch.setattr(script, "versions", lambda python: {"torch": str(python), "numpy": "1", "e3nn": "0.4"})
    monkeypatch.setattr(script, "run", run)
    return script


def call(script, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["version_matrix.py", *arguments])
    with pytest.raises(SystemExit) as end:
        script.main()
    return bool(end.value.code)


def test_the_oldest_torch_is_the_first_that_stock_mace_runs_with(matrix, monkeypatch):
    assert not call(matrix, monkeypatch)
    rows = json.loads((matrix.OUT / "matrix.json").read_text())["rows"]
    assert len(rows) == len(matrix.rows()) == 11
    assert {row["torch"] for row in rows if row["wanted"] == "oldest"} == {matrix.OLDEST[1]}
    assert matrix.installed.count("newest") == 7
    text = (matrix.OUT / "matrix.md").read_text()
    assert f"| 0.3.13 | 3.10 | {matrix.OLDEST[1]} | runs | 10 passed |" in text
    matrix.installed.clear()
    call(matrix, monkeypatch)
    assert not matrix.installed  # all rows are kept
    matrix.sources = "changed"
    call(matrix, monkeypatch, "--rows", "0.3.16")
    again = json.loads((matrix.OUT / "matrix.json").read_text())["rows"]
    assert [row["key"] for row in again] == [matrix.sources if row["mace"] == "0.3.16" else "sources" for row in rows]
    assert matrix.installed.count("newest") == 4


def test_good_rows_of_the_report_are_kept_on_demand(matrix, monkeypatch):
    call(matrix, monkeypatch)
    path = matrix.OUT / "matrix.json"
    report = json.loads(path.read_text())
    report["rows"][0]["failed"], report["rows"][1]["commit"] = 1, "an earlier one"
    path.write_text(json.dumps(report))
    matrix.sources = "changed"
    matrix.installed.clear()
    assert not call(matrix, monkeypatch, "--keep")
    assert matrix.installed == list(matrix.OLDEST[:2])
    rows = json.loads(path.read_text())["rows"]
    assert (rows[0]["failed"], rows[1]["commit"], len(rows)) == (0, "an earlier one", 11)


def test_a_test_that_fails_fails_the_matrix(matrix, monkeypatch):
    matrix.failures = 1
    assert call(matrix, monkeypatch)
    assert "9 passed, 1 FAILED" in (matrix.OUT / "matrix.md").read_text()


def test_what_could_not_be_installed_is_no_success_and_tried_again(matrix, monkeypatch):
    works = matrix.install
    monkeypatch.setattr(matrix, "install", lambda *arguments: None)
    assert call(matrix, monkeypatch)
    assert "| 0.3.16 | 3.13 | newest | doesn't run | - |" in (matrix.OUT / "matrix.md").read_text()
    monkeypatch.setattr(matrix, "install", works)
    assert not call(matrix, monkeypatch)
