"""What `mace_outlier check` finds, what it calls wrong on right data, and what it costs. No training, no model.

    python benchmarks/checks/run.py             # about 20 minutes; writes results.*, and the table in README.md
    python benchmarks/checks/run.py --parts wbe clean

Parts: W-Be with its published wrong labels (`known_wrong` hidden), right data, planted faults of whole files, and
made-up HDF5 files of growing size. Data lie in ../shared/data; what isn't there is left out and said.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _checks_paths  # noqa: F401 (first)
import numpy as np
from ase.io import read, write
from check_sets import CLEAN, FAULTS, PLANTED, REAL, Frames
from made_up_hdf5 import write_hdf5
from source_commit import commit_of

from mace_outlier.checks import catalogue
from mace_outlier.checks.finding import Finding
from mace_outlier.checks.inputs import gather
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.survey_files import survey

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "mace_outlier" / "checks"
SIZES = [1_000, 20_000, 200_000]


def findings_of(frames: Frames, hidden: tuple[str, ...] = (), settings: Settings | None = None) -> list[Finding]:
    """Write frames to a file, and check it."""
    for atoms in frames:
        for name in hidden:
            atoms.info.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.xyz"
        write(path, frames)
        known = survey(gather([str(path)], {}, {}), settings or Settings(), workers=1)
        return catalogue.run(known, list(catalogue.CHECKS))


def sure(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.certainty != "look"]


# --- parts -----------------------------------------------------------------------------------------------------------


def wbe(settings: Settings | None = None) -> dict[str, Any]:
    """Frames that are named, against what is known of them."""
    frames = read(REAL / "wbe.xyz", ":")
    truth = np.array([atoms.info["known_wrong"] for atoms in frames])
    named = np.zeros(len(frames), dtype=bool)
    for finding in sure(findings_of(frames, hidden=("known_wrong", "frame_name"), settings=settings)):
        named[finding.rows] = True
    wrong, right = truth == 1, truth == 0
    return {
        "frames": len(frames),
        "wrong": int(wrong.sum()),
        "right": int(right.sum()),
        "named_wrong": int((named & wrong).sum()),
        "named_right": int((named & right).sum()),
        "named_undecided": int((named & (truth < 0)).sum()),
        "recall": float(named[wrong].mean()),
        "precision": float((named & wrong).sum() / max((named & ~(truth < 0)).sum(), 1)),
        "right_but_named": np.flatnonzero(named & right).tolist(),
        "wrong_but_not_named": np.flatnonzero(~named & wrong).tolist(),
    }


def clean() -> list[dict[str, Any]]:
    """Number of findings on right data."""
    rows = []
    for name, (make, needed) in CLEAN.items():
        if not needed.exists():
            print(f"{name}: left out ({needed})")
            continue
        frames = make()
        started = time.perf_counter()
        findings = findings_of(frames)
        seconds = time.perf_counter() - started
        count = {word: sum(f.certainty == word for f in findings) for word in ("certain", "likely", "look")}
        rows.append({"data": name, "frames": len(frames), **count, "seconds": round(seconds, 1)})
        print(rows[-1], [f"{f.check}: {f.what}" for f in sure(findings)], flush=True)
    return rows


def planted() -> list[dict[str, Any]]:
    """Whether a planted fault is named, with the right words, and how many frames are named without one."""
    rows = []
    for name in PLANTED:
        make, needed = CLEAN[name]
        if not needed.exists():
            continue
        right = make()
        for fault, (spoil, check, words) in FAULTS.items():
            frames = [atoms.copy() for atoms in right]
            wrong = np.zeros(len(frames) + 3, dtype=bool)
            wrong[spoil(frames)] = True
            findings = sure(findings_of(frames))
            by_name = [f for f in findings if f.check == check and words in f.what.partition(" or ")[0]]
            named = np.unique([row for f in findings for row in f.rows]).astype(int)
            own = np.unique([row for f in by_name for row in f.rows]).astype(int)
            rows.append({
                "data": name, "fault": fault, "wrong": int(wrong.sum()), "named_right": bool(by_name),
                "found": int(wrong[own].sum()), "false": int((~wrong[named]).sum()),
                "certainty": by_name[0].certainty if by_name else "", "says": by_name[0].what if by_name else "",
            })  # fmt: skip
            print({key: value for key, value in rows[-1].items() if key != "says"}, flush=True)
    return rows


def varied() -> list[dict[str, Any]]:
    """W-Be and right data with each number that `work` depends on multiplied and divided by 1.5."""
    rows = []
    for name in ("step", "morse", "bound", "converged", "informative", "back"):
        for factor in (1 / 1.5, 1.5):
            value = getattr(Settings(), name) * factor
            settings = replace(Settings(), **{name: round(value) if name == "back" else value})
            found = wbe(settings)
            right = sum(len(sure(findings_of(CLEAN[data][0](), settings=settings))) for data in PLANTED[:3])
            rows.append({"setting": name, "value": getattr(settings, name), "right_data": right, **found})
            print(name, factor, found["recall"], found["precision"], right, flush=True)
    return rows


def costs(size: int) -> dict[str, Any]:
    """Seconds and peak memory of the command on made-up HDF5."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.h5"
        write_hdf5(path, size)
        row = {"frames": size} | cost(path)
    print(row, flush=True)
    return row


def cost(path: Path) -> dict[str, Any]:
    """Seconds (of the clock, of the CPUs) and peak memory (of the main process, of the largest worker) of a check."""
    code = (
        "import resource, sys\nfrom mace_outlier.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "print(sum(own.ru_utime + own.ru_stime for own in used), *(own.ru_maxrss for own in used))"
    )
    started = time.perf_counter()
    command = [sys.executable, "-c", code, "check", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    cpu, own, worker = map(float, done.stdout.split()[-3:])
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "megabytes": round(own / 1e3),
        "megabytes_of_a_worker": round(worker / 1e3),
        "says": done.stdout.splitlines()[0],
    }


# --- tables ----------------------------------------------------------------------------------------------------------


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    found = results["wbe"]
    lines = [
        f"W-Be, as published: {found['named_wrong']} of the {found['wrong']} frames that are proven wrong are named, "
        f"and {found['named_right']} of the {found['right']} that count as right (recall {found['recall']:.3f}, "
        f"precision {found['precision']:.3f}); and {found['named_undecided']} of which nothing is known.",
        "",
        "| right data | frames | certain | likely | look | seconds |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['data']} | {r['frames']:,} | {r['certain']} | {r['likely']} | {r['look']} | {r['seconds']} |"
            for r in results["clean"]
        ),
        "",
        "Frames that a finding with the right name holds, of those with the fault (other frames in any finding):",
        "",
        f"| fault | {' | '.join(PLANTED)} |",
        "|---" * (1 + len(PLANTED)) + "|",
    ]
    cells = {(r["fault"], r["data"]): r for r in results["planted"]}
    for fault in FAULTS:
        own = [cells.get((fault, name)) for name in PLANTED]
        texts = [f"{r['found']} of {r['wrong']} ({r['false']})" if r else "" for r in own]
        lines.append(f"| {fault} | {' | '.join(texts)} |")
    if "settings" in results:
        lines += ["", "W-Be with one number of the check `work` changed by a factor of 1.5; findings on silicon, "]
        lines[-1] += "molybdenum and acetylacetone as they are:"
        lines += [
            "",
            "| setting | wrong frames named | right frames named | findings on right data |",
            "|---|---|---|---|",
        ]
        for r in results["settings"]:
            cells = f"{r['named_wrong']} of {r['wrong']}", f"{r['named_right']}", f"{r['right_data']}"
            lines.append(f"| {r['setting']} = {r['value']:.3g} | {' | '.join(cells)} |")
    lines += ["", "| frames (HDF5, 12 atoms) | seconds | of the CPUs | MB | MB of a worker |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['frames']:,} | {r['seconds']} | {r['cpu_seconds']} | {r['megabytes']} | {r['megabytes_of_a_worker']} |"
        for r in (results.get(f"costs_{size}") for size in SIZES)
        if r
    ]
    return "\n".join(lines) + "\n"


def write_results(results: dict[str, Any]) -> None:
    """Write results.json; results.csv (the planted faults) and the README's table, once the first parts are there."""
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    if any(part not in results for part in ("wbe", "clean", "planted")):
        return
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(results["planted"][0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(results["planted"])
    text = (HERE / "README.md").read_text()
    before, after = text.split("<!-- table -->\n")[0], text.split("<!-- end -->\n")[1]
    (HERE / "README.md").write_text(f"{before}<!-- table -->\n{table(results)}<!-- end -->\n{after}")
    print(table(results))


PARTS: dict[str, Callable[[], Any]] = {"wbe": wbe, "clean": clean, "planted": planted, "settings": varied}
PARTS |= {f"costs_{size}": partial(costs, size) for size in SIZES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="the others stay as they are")
    arguments = parser.parse_args()
    packages = {name: version(name) for name in ("numpy", "scipy", "ase", "h5py", "mace-outlier")}
    about = {"versions": packages | {"python": platform.python_version()}, "commit": commit_of(SOURCES)}
    for part in arguments.parts:
        content = PARTS[part]()
        file = HERE / "results.json"
        results = json.loads(file.read_text()) if file.exists() else {}
        earlier = {name: value for name, value in results.items() if name in PARTS}
        write_results({"command": "python benchmarks/checks/run.py", **about, **earlier, part: content})


if __name__ == "__main__":
    main()
