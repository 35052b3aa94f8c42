"""Every MACE that is supported, with the oldest and the newest torch that it runs with on a CPU, and several Pythons.

    python scripts/version_matrix.py                 # an hour or two; goes on where it was cut
    python scripts/version_matrix.py --rows 0.3.16   # those of one MACE; the report keeps its other rows
    python scripts/version_matrix.py --keep          # only what the report has not

Finished rows are kept in build/version_matrix, as long as the plugin and the tests are the same. Each row has an
environment of its own, which is removed afterwards (torch takes several GB). First a stock training with the plugin
switched off: where that fails, MACE doesn't run with this torch, and for the oldest torch the next one is tried. Then
the tests below. Writes benchmarks/versions/matrix.json, where each row names the commit that changed the plugin last,
and matrix.md, the table that benchmarks/summary.py puts into docs/pages/cluster.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from run_mace_tests import SOURCES
from source_commit import commit_of
from training_files import digest_of, write_json_atomically

ROOT = Path(__file__).resolve().parent.parent
WORK, OUT, REPORT = ROOT / "build" / "version_matrix", ROOT / "benchmarks" / "versions", "matrix.json"
TESTS = ["tests/mace/test_canary.py", "tests/cli/test_doctor.py", "tests/run/test_training_runs.py"]
TESTS += ["tests/method", "tests/weights"]
LEFT_OUT = "not cueq and not schedulefree and not wandb"  # optional packages of MACE with demands of their own
NEEDED = ["pytest>=8", "scikit-learn", "h5py", "lmdb"]
OLDEST = ("1.13.1", "2.0.1", "2.1.2", "2.2.2", "2.4.1", "2.6.0")  # tried in this order
OLD_NUMPY = "numpy<2"  # for torch before 2.3
MACES, OLD_PYTHON, NEW_PYTHON = ("0.3.13", "0.3.14", "0.3.15", "0.3.16"), "3.10", "3.13"
STOCK = """
import os, pathlib, sys
sys.path.insert(0, {tests!r})
from structures import molecules, write_xyz
from conftest import command_line
write_xyz(pathlib.Path("."), molecules(20), molecules(5, seed=2))
os.execv(sys.executable, [sys.executable, "-m", "mace.cli.run_train", *command_line("stock", ("--loss=weighted",))])
"""


class Row(NamedTuple):
    """One environment."""

    mace: str
    python: str
    torch: str  # a version, "oldest" or "newest"

    @property
    def file(self) -> Path:
        """Where its result is kept."""
        return WORK / f"mace-{self.mace}-python-{self.python}-torch-{self.torch}.json"


def rows() -> list[Row]:
    """All rows: each MACE with both ends of torch, the newest with every Python."""
    ends = [
        Row(mace, python, torch) for mace in MACES for python, torch in ((OLD_PYTHON, "oldest"), (NEW_PYTHON, "newest"))
    ]
    return ends + [Row(MACES[-1], python, "newest") for python in ("3.10", "3.11", "3.12")]


def interpreter(version: str) -> str:
    """The command of a Python; raises SystemExit where there is none."""
    for name in (f"python{version}", *sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))):
        done = subprocess.run([str(name), "--version"], capture_output=True, text=True) if shutil.which(name) else None
        if done and done.stdout.startswith(f"Python {version}."):
            return str(name)
    raise SystemExit(f"no Python {version} here: install it, or leave its rows out by --rows")


def run(command: list[str], log: Path, cwd: Path = ROOT, **environment: str) -> bool:
    """Whether a command succeeded; its output is added to a log."""
    one_thread = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        done = subprocess.run(
            command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, env=os.environ | one_thread | environment
        )
    return done.returncode == 0


def install(row: Row, torch: str, folder: Path, log: Path) -> Path | None:
    """An environment with this MACE, torch and the plugin; None where it can't be had."""
    shutil.rmtree(folder, ignore_errors=True)
    if not run([interpreter(row.python), "-m", "venv", str(folder)], log):
        return None
    python = folder / "bin" / "python"
    pinned = "torch" if torch == "newest" else f"torch=={torch}"
    numpy = [OLD_NUMPY] if torch != "newest" and tuple(map(int, torch.split(".")[:2])) < (2, 3) else []
    pip = [str(python), "-m", "pip", "install", "--quiet", "--upgrade-strategy=only-if-needed"]
    good = run([*pip, "setuptools<81", "wheel", pinned, *numpy], log)
    good = good and run([*pip, pinned, *numpy, f"mace-torch=={row.mace}", str(ROOT), *NEEDED], log)
    return python if good else None


def stock_works(python: Path, folder: Path, log: Path) -> bool:
    """Whether MACE trains here without us."""
    folder.mkdir(parents=True, exist_ok=True)
    code = STOCK.format(tests=str(ROOT / "tests"))
    return run([str(python), "-c", code], log, cwd=folder, MACE_OUTLIER_DISABLE="1")


def versions(python: Path) -> dict[str, str]:
    """What was installed."""
    code = (
        "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in ('torch', 'numpy', 'e3nn')}))"
    )
    return json.loads(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout)


def count(report: Path) -> dict[str, int]:
    """Passed and other tests in pytest's XML report."""
    if not report.exists():
        return {"passed": 0, "failed": 1}
    suite = next(ElementTree.parse(report).iter("testsuite"))
    total, *others = (int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped"))
    return {"passed": total - sum(others), "failed": others[0] + others[1], "skipped": others[2]}


def key() -> str:
    """What a row depends on here: the plugin and its tests."""
    tests = [path for name in TESTS for path in (sorted((ROOT / name).glob("*.py")) or [ROOT / name])]
    tests += [ROOT / "tests" / name for name in ("conftest.py", "structures.py")]
    return digest_of([*sorted((ROOT / "mace_outlier").rglob("*.py")), *tests])


def judge(row: Row, report: list[dict]) -> dict:
    """The result of a row: that of a report, if it is there, or made earlier of the same sources, or now."""
    for own in report:
        if (own["mace"], own["python"], own["wanted"]) == row and own["stock"] and not own["failed"]:
            return own
    if row.file.exists() and (earlier := json.loads(row.file.read_text(encoding="utf-8")))["key"] == key():
        return earlier
    log, folder, started = row.file.with_suffix(".log"), row.file.with_suffix(""), time.monotonic()
    log.unlink(missing_ok=True)
    result = {"mace": row.mace, "python": row.python, "wanted": row.torch, "stock": False, "key": key()}
    result["commit"] = commit_of(*SOURCES)
    try:
        for torch in OLDEST if row.torch == "oldest" else (row.torch,):
            python = install(row, torch, folder, log)
            if python is not None and stock_works(python, folder / "stock", log):
                report = folder / "report.xml"
                flags = ["-q", "-k", LEFT_OUT, f"--junitxml={report}", "-p", "no:cacheprovider"]
                run([str(python), "-m", "pytest", *flags, *TESTS], log)
                result |= {"stock": True} | versions(python) | count(report)
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["seconds"] = round(time.monotonic() - started)
    if result["stock"]:  # else the next call tries it again: the network may have been away
        write_json_atomically(row.file, result)
    return result


def table(results: list[dict]) -> str:
    """The matrix in Markdown."""
    lines = ["| mace-torch | Python | torch | stock MACE | our tests |", "|---|---|---|---|---|"]
    for own in results:
        tests = (
            f"{own['passed']} passed" + (f", {own['failed']} FAILED" if own["failed"] else "") if own["stock"] else "-"
        )
        stock = "runs" if own["stock"] else "doesn't run"
        lines.append(f"| {own['mace']} | {own['python']} | {own.get('torch', own['wanted'])} | {stock} | {tests} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", metavar="MACE", help="versions of MACE (default: all)")
    parser.add_argument("--keep", action="store_true", help="take the good rows of the report, whatever the plugin was")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    report = json.loads((OUT / REPORT).read_text(encoding="utf-8"))["rows"] if (OUT / REPORT).exists() else []
    found = {(own["mace"], own["python"], own["wanted"]): own for own in report}
    wanted = [row for row in rows() if not options.rows or row.mace in options.rows]
    for row in wanted:
        print(f"MACE {row.mace}, Python {row.python}, torch {row.torch}", flush=True)
        found[row] = judge(row, report if options.keep else [])
        print(table([found[row]]).splitlines()[-1], flush=True)
        write([found[row] for row in rows() if row in found])
    sys.exit(any(not found[row]["stock"] or found[row]["failed"] for row in wanted))


def write(results: list[dict]) -> None:
    """The report, and the table."""
    OUT.mkdir(exist_ok=True)
    about = {"command": "python scripts/version_matrix.py", "left_out_of_the_tests": LEFT_OUT, "tests": TESTS}
    write_json_atomically(OUT / REPORT, about | {"rows": results})
    (OUT / "matrix.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()
