"""The scripts and benchmarks that the README names, each in its quick form, and the README's own promises."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mace.tools import build_default_arg_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]


def run(*command, cwd=ROOT):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_demo_trains_both_arms_and_writes_table_and_figure_then_reuses_them(tmp_path):
    command = (sys.executable, ROOT / "scripts" / "demo.py", "--quick", "--work", tmp_path / "work", "--out", tmp_path)
    assert "2 trainings to run" in run(*command)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [entry["arm"] for entry in results["summary"]] == ["weighted", "ema_robust"]
    assert {"torch", "mace-torch", "mace-outlier", "tblite"} <= results["versions"].keys()
    weights = results["trainings"][1]["weights"]
    assert (len(weights["good"]), len(weights["bad"])) == (51, 9)
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    assert (tmp_path / "results.csv").read_text().startswith("arm,seed,")
    assert "AUROC" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "report" / "residuals.png").stat().st_size > 10_000
    assert "0 trainings to run, 2 finished ones reused" in run(*command)


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(("script", "flags", "measured"), [
    ("run", [], [
        "weighted, float32", "universal, float32", "weighted, float64", "universal, float64",
        "weighted, float32, 128x0e+128x1o",
    ]),
    ("gpu", ["--device=cpu", "--models=small"], ["weighted, small", "universal, small"]),
])  # fmt: skip
def test_overhead_benchmarks_run(tmp_path, monkeypatch, script, flags, measured):
    monkeypatch.syspath_prepend(ROOT / "benchmarks" / "overhead")
    monkeypatch.delitem(sys.modules, "run", raising=False)  # of another benchmark
    out = tmp_path / "results.json"
    monkeypatch.setattr(sys, "argv", [script, "--steps=2", "--configurations=10", f"--out={out}", *flags])
    importlib.import_module(script).main()
    results = json.loads(out.read_text())["results"]
    assert list(results) == measured
    assert all(numbers["median_of_ratios"] > 0 for numbers in results.values())


def test_end_of_epoch_benchmark_runs(tmp_path):
    out = tmp_path / "end_of_epoch.json"
    run(sys.executable, ROOT / "benchmarks" / "overhead" / "end_of_epoch.py", "--sizes", "50", "--out", out)
    assert json.loads(out.read_text())["results"][0]["seconds"] > 0


def test_records_benchmark_runs(tmp_path):
    run(sys.executable, ROOT / "benchmarks" / "records" / "run.py", "--sizes", "2000", "--out", tmp_path)
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert result["records_megabytes"] == 2000 * 42 / 1e6
    assert (tmp_path / "records.png").exists()


def test_startup_benchmark_runs(tmp_path):
    run(sys.executable, ROOT / "benchmarks" / "overhead" / "startup.py", "--out", tmp_path / "startup.json")
    assert json.loads((tmp_path / "startup.json").read_text())["import_us"] > 0


def test_the_page_of_options_names_them_with_their_defaults():
    options = (ROOT / "docs" / "pages" / "options.md").read_text()
    rows = dict(re.findall(r"^\| `--(ema_robust_\w+)` \| `([^`]*)` \|", options, flags=re.M))
    parser = build_default_arg_parser()
    known = {name for name in parser._option_string_actions if name.startswith("--ema_robust")}
    assert {f"--{name}" for name in rows} == known
    for name, default in rows.items():
        assert f"(default: {default})" in parser._option_string_actions[f"--{name}"].help


def test_readme_tables_are_what_the_benchmarks_wrote(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import summary

    for document in summary.DOCUMENTS:
        assert summary.filled(document) == document.read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_scripts_exist(page):
    text = page.read_text()
    for path in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / path).exists(), path
    for path in re.findall(r"`(scripts/\w+)`", text):
        assert (ROOT / path).exists(), path


def test_the_readme_is_read_in_two_minutes():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
