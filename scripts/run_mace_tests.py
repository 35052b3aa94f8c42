"""MACE's own tests, which its wheel ships: without the plugin, with it, and with --loss=ema_robust in every training.

    python scripts/run_mace_tests.py                        # hours on two cores
    python scripts/run_mace_tests.py --files test_data.py   # some of the files
    python scripts/run_mace_tests.py --files test_data.py --keep   # these anew; keep the rest of --out's report

After a cut it goes on, and after a change of the plugin or of a test it runs what that concerns. The report says with
which state of the plugin each file was run: the commit that changed it last.

Writes a report: per file how many tests passed, and every test whose outcome is not the same in all three. Tests that
need a network fail or are skipped in all of them.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from source_commit import commit_of
from tqdm import tqdm
from training_files import digest_of, write_json_atomically

HERE = Path(__file__).resolve().parent
SOURCES = (HERE.parent / "mace_outlier", HERE / "inject")  # the plugin, and what puts its loss into every training
WAYS = {  # how the tests are run -> environment
    "without": {"MACE_OUTLIER_DISABLE": "1"},
    "with": {},
    "robust": {"PYTHONPATH": str(HERE / "inject")},
}
WHOLE_FILE = "(the file)"  # stands for a test where none was reached
TIMEOUT = "timeout"
REPORT = "mace_tests.json"
OFFLINE = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def tests_of_mace() -> Path:
    """The folder of the tests that were installed with MACE."""
    package = importlib.util.find_spec("mace")
    folder = Path(package.submodule_search_locations[0]).parent / "tests" if package else Path()
    if not (folder / "test_run_train.py").exists():
        raise SystemExit(f"there are no tests of MACE in {folder}: give their folder by --tests")
    return folder


def run_file(tests: Path, file: str, way: str, work: Path, limit: int) -> tuple[dict[str, str], str]:
    """Outcome of each test of a file: passed, failed, error, skipped; of the file: timeout, where it took too long.

    And the commit of the plugin. Kept for the next call, but for a timeout.
    """
    kept, key = work / f"{Path(file).stem}-{way}.json", key_of(tests / file, way)
    if kept.exists() and (earlier := json.loads(kept.read_text(encoding="utf-8")))["key"] == key:
        return earlier["outcomes"], earlier["commit"]
    report, log = kept.with_suffix(".xml"), kept.with_suffix(".log")
    report.unlink(missing_ok=True)
    commit = commit_of(*SOURCES)
    flags = ["-q", "-ra", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tests}"]
    command = [sys.executable, "-m", "pytest", *flags, f"--junitxml={report}", str(tests / file)]
    with log.open("w", encoding="utf-8") as output:
        try:
            subprocess.run(
                command, cwd=work, env=environment(way), stdout=output, stderr=subprocess.STDOUT, timeout=limit
            )
            outcomes = read_outcomes(report) if report.exists() else {WHOLE_FILE: "error"}
        except subprocess.TimeoutExpired:
            return {WHOLE_FILE: TIMEOUT}, commit
    write_json_atomically(kept, {"key": key, "commit": commit, "outcomes": outcomes})
    return outcomes, commit


def environment(way: str) -> dict[str, str]:
    """Of the tests; what the caller's says of the plugin doesn't count."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MACE_OUTLIER_")}
    return own | OFFLINE | WAYS[way]


def key_of(test_file: Path, way: str) -> str:
    """What an outcome depends on: the test, and the plugin unless it is switched off."""
    files = [test_file]
    if way != "without":
        files += [path for folder in SOURCES for path in folder.rglob("*.py")]
    return digest_of(sorted(files))


def read_outcomes(report: Path) -> dict[str, str]:
    """Outcome of each test in pytest's XML report, by class and name."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        where = case.get("classname", "").rpartition(".")[2]  # the module's name, where there is no class
        name = "::".join([where, case.get("name", "")] if where[:1].isupper() else [case.get("name", "")])
        found[name] = {"failure": "failed"}.get(kinds[0], kinds[0]) if kinds else "passed"
    return found


def differences(outcomes: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    """Tests of a file whose outcome is not the same in all ways."""
    names = dict.fromkeys(name for own in outcomes.values() for name in own)
    found = [{"test": name} | {way: own.get(name, "not run") for way, own in outcomes.items()} for name in names]
    return [row for row in found if len({row[way] for way in outcomes}) > 1]


def table(results: dict[str, dict[str, dict[str, str]]]) -> str:
    """Passed tests of each file, in Markdown."""
    lines = ["| file | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|"]
    for file, outcomes in results.items():
        cells = []
        for own in outcomes.values():
            passed = sum(outcome == "passed" for outcome in own.values())
            others = sorted(set(own.values()) - {"passed"})
            counts = [f"{sum(outcome == other for outcome in own.values())} {other}" for other in others]
            cells.append(", ".join([f"{passed} passed", *counts]))
        lines.append(f"| {file} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(
    results: dict[str, dict[str, dict[str, str]]], commits: dict[str, str], out: Path, seconds: float
) -> list[dict[str, str]]:
    """Write the results as JSON and Markdown; return what is not the same."""
    differing = [{"file": file} | row for file, own in results.items() for row in differences(own)]
    about = {
        "command": " ".join(["python", "scripts/run_mace_tests.py", *sys.argv[1:]]),
        "versions": {name: version(name) for name in ("mace-torch", "torch", "mace-outlier", "pytest")},
        "seconds": round(seconds),
    }
    write_json_atomically(out / REPORT, about | {"differing": differing, "commits": commits, "results": results})
    text = [f"# MACE {about['versions']['mace-torch']}: its own tests\n", table(results), "## Not the same\n"]
    text += [f"- {row['file']}::{row['test']}: " + ", ".join(f"{way} {row[way]}" for way in WAYS) for row in differing]
    (out / "mace_tests.md").write_text("\n".join(text) + ("" if differing else "nothing") + "\n", encoding="utf-8")
    return differing


def earlier_report(path: Path) -> dict:
    """What was found before; raises SystemExit where there is nothing, or it is of another MACE."""
    if not path.exists():
        raise SystemExit(f"--keep: there is no report {path}")
    earlier = json.loads(path.read_text(encoding="utf-8"))
    if (found := earlier["versions"]["mace-torch"]) != version("mace-torch"):
        raise SystemExit(f"--keep: {path} is of MACE {found}, here is {version('mace-torch')}")
    return earlier


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", type=Path, help="folder of MACE's tests (default: those of its wheel)")
    parser.add_argument("--files", nargs="+", help="test files (default: all)")
    parser.add_argument("--keep", action="store_true", help="keep what the report in --out says of other files")
    parser.add_argument(
        "--work", type=Path, default=HERE.parent / "build" / "mace_tests", help="logs; what is finished"
    )
    parser.add_argument("--out", type=Path, help="folder of the report (default: that of --work)")
    parser.add_argument("--processes", type=int, default=2, help="files at a time, one thread each")
    parser.add_argument("--limit", type=int, default=3600, help="seconds for one file")
    return parser.parse_args()


def main() -> None:
    options, started = parse_arguments(), time.monotonic()
    tests = (options.tests or tests_of_mace()).resolve()
    files = options.files or sorted(path.name for path in tests.glob("test_*.py"))
    missing = [file for file in files if not (tests / file).is_file()]
    if missing or not files:
        raise SystemExit(f"no test files in {tests}" if not files else f"--files {missing[0]}: not in {tests}")
    work = (options.work / version("mace-torch")).resolve()
    work.mkdir(parents=True, exist_ok=True)
    out = options.out or work
    known = earlier_report(out / REPORT) if options.keep else {"results": {}, "commits": {}}
    tasks = [(file, way) for file in files for way in WAYS]
    with ThreadPoolExecutor(options.processes) as pool:
        runs = pool.map(lambda task: run_file(tests, *task, work, options.limit), tasks)
        outcomes = dict(zip(tasks, tqdm(runs, total=len(tasks), unit="run"), strict=True))
    results = known["results"] | {file: {way: outcomes[file, way][0] for way in WAYS} for file in files}
    commits = known["commits"] | {file: outcomes[file, "robust"][1] for file in files}
    out.mkdir(parents=True, exist_ok=True)
    differing = report(*(dict(sorted(own.items())) for own in (results, commits)), out, time.monotonic() - started)
    print((out / "mace_tests.md").read_text(encoding="utf-8"))
    if differing:
        sys.exit(f"{len(differing)} tests don't have the same outcome")
    nothing = [file for file, own in results.items() if set(own["without"].values()) <= {"error", TIMEOUT}]
    if nothing:
        print(f"Nothing was tested by {', '.join(nothing)}: see {work}/*.log", file=sys.stderr)
    sys.exit(len(nothing) == len(results))


if __name__ == "__main__":
    main()
