"""scripts/run_mace_tests.py: a made-up set of tests, run in the three ways, and what the report says."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE_UP = """
import argparse, functools, os, subprocess, sys
import pytest

CODE = '''
import argparse, mace.tools.scripts_utils
from mace import tools
args = tools.build_default_arg_parser().parse_args(["--name=x", "--train_file=y", "--loss=huber"])
print("LOSS", tools.check_args(args)[0].loss, getattr(args, "ema_robust_base_loss", "unknown"))
from mace_outlier.mace.context import CONTEXT
print("RUN", CONTEXT.run is not None)
'''

@functools.cache
def trained():
    return subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)

def test_the_base_loss_stays():
    assert "LOSS huber" in trained().stdout

def test_that_needs_a_network():
    raise OSError

@pytest.mark.skip
def test_that_is_skipped():
    pass

def test_that_is_the_same_only_without_injection():
    assert "RUN True" not in trained().stdout
"""


def run(tests, work, *flags):
    command = [sys.executable, ROOT / "scripts" / "run_mace_tests.py", "--tests", tests, "--work", work, "--out", work]
    command += flags
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)


def test_three_ways_are_compared_and_finished_files_are_kept(tmp_path, monkeypatch):
    """Whatever the environment and the folder of the caller."""
    monkeypatch.setenv("MACE_OUTLIER_DISABLE", "1")
    monkeypatch.chdir(tmp_path)
    tests, work = Path("tests"), Path("work")
    tests.mkdir()
    (tests / "test_made_up.py").write_text(MADE_UP)
    (tests / "test_broken.py").write_text("import no_such_module\n")
    done = run(tests, work)
    assert done.returncode == 1
    assert "1 tests don't have the same outcome" in done.stderr
    report = json.loads((work / "mace_tests.json").read_text())
    outcomes = report["results"]["test_made_up.py"]
    assert outcomes["without"] == outcomes["with"]
    assert outcomes["with"] == {
        "test_the_base_loss_stays": "passed",
        "test_that_needs_a_network": "failed",
        "test_that_is_skipped": "skipped",
        "test_that_is_the_same_only_without_injection": "passed",
    }
    (row,) = report["differing"]
    assert row["test"] == "test_that_is_the_same_only_without_injection"
    assert (row["robust"], row["with"]) == ("failed", "passed"), "nothing was injected"
    text = (work / "mace_tests.md").read_text()
    assert (
        "| test_made_up.py | 2 passed, 1 failed, 1 skipped | 2 passed, 1 failed, 1 skipped | 1 passed, 2 failed" in text
    )
    assert "| test_broken.py | 0 passed, 1 error |" in text
    logs = {path: path.stat().st_mtime_ns for path in work.rglob("*.log")}
    run(tests, work)
    assert logs == {path: path.stat().st_mtime_ns for path in work.rglob("*.log")}
    (tests / "test_broken.py").write_text("def test_mended():\n    pass\n")
    run(tests, work)
    report = json.loads((work / "mace_tests.json").read_text())
    assert list(report["results"]["test_broken.py"].values()) == 3 * [{"test_mended": "passed"}]
    assert set(report["commits"]) == {"test_broken.py", "test_made_up.py"}
    after = {path: path.stat().st_mtime_ns for path in work.rglob("*.log")}
    assert [path for path in logs if logs[path] != after[path] and "made_up" in path.name] == []


SAME_NAMES = """
class TestOne:
    def test_it(self):
        assert False

class TestOther:
    def test_it(self):
        pass
"""


SLOW = """
import pathlib, time

def test_it():
    time.sleep(0 if pathlib.Path({!r}).exists() else 60)
"""


def test_tests_of_one_name_and_tests_that_take_too_long(tmp_path):
    tests, work = tmp_path / "tests", tmp_path / "work"
    tests.mkdir()
    (tests / "test_names.py").write_text(SAME_NAMES)
    (tests / "test_slow.py").write_text(SLOW.format(str(tmp_path / "now")))
    assert "Nothing was tested by test_slow.py" in run(tests, work, "--limit", "10").stderr
    outcomes = json.loads((work / "mace_tests.json").read_text())["results"]
    assert outcomes["test_names.py"]["with"] == {"TestOne::test_it": "failed", "TestOther::test_it": "passed"}
    assert outcomes["test_slow.py"]["with"] == {"(the file)": "timeout"}
    (tmp_path / "now").touch()
    run(tests, work)
    outcomes = json.loads((work / "mace_tests.json").read_text())["results"]
    assert outcomes["test_slow.py"]["with"] == {"test_it": "passed"}


def test_some_files_of_a_report_are_renewed(tmp_path):
    tests, work = tmp_path / "tests", tmp_path / "work"
    tests.mkdir()
    for name in ("one", "other"):
        (tests / f"test_{name}.py").write_text("def test_it():\n    pass\n")
    flags = ("--files", "test_other.py", "--keep")
    assert "--keep: there is no report" in run(tests, work, *flags).stderr
    run(tests, work)
    before = json.loads((work / "mace_tests.json").read_text())
    before["commits"]["test_one.py"] = "an earlier one"
    (work / "mace_tests.json").write_text(json.dumps(before))
    (tests / "test_other.py").write_text("def test_another():\n    pass\n")
    assert run(tests, work, *flags).returncode == 0
    after = json.loads((work / "mace_tests.json").read_text())
    assert after["results"]["test_one.py"] == before["results"]["test_one.py"]
    assert after["commits"]["test_one.py"] == "an earlier one"
    assert list(after["results"]["test_other.py"].values()) == 3 * [{"test_another": "passed"}]
    assert "test_one.py" in (work / "mace_tests.md").read_text()
    (work / "mace_tests.json").write_text(json.dumps(after | {"versions": {"mace-torch": "0.1"}}))
    assert "is of MACE 0.1" in run(tests, work, *flags).stderr


def test_where_nothing_can_be_injected_python_stops():
    path = str(ROOT / "scripts" / "inject")
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {path!r}); import sitecustomize"]
    )
    assert done.returncode


def test_a_file_of_which_nothing_can_be_run_is_no_success(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_broken.py").write_text("import no_such_module\n")
    done = run(tmp_path / "tests", tmp_path / "work")
    assert done.returncode == 1
    assert "Nothing was tested by test_broken.py" in done.stderr


def test_no_tests_of_mace_there(tmp_path):
    (tmp_path / "tests").mkdir()
    done = run(tmp_path / "tests", tmp_path / "work")
    assert "no test files in" in done.stderr
