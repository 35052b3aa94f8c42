"""What `mace_outlier check` finds, what it calls wrong on right data, and what it costs. No training, no model.

    python benchmarks/checks/run.py             # about 20 minutes; writes results.*, and the table in README.md
    python benchmarks/checks/run.py --parts wbe clean

Parts: W-Be with its published wrong labels (`known_wrong` hidden), right data, planted faults of whole files, single
geometries that are changed, validation frames out of trajectories, memory, and made-up HDF5 files of growing size.
Data lie in ../shared/data; what isn't there is left out and said.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import _checks_paths  # noqa: F401 (first)
import numpy as np
from ase.io import read, write
from check_sets import CLEAN, FAULTS, PLANTED, REAL, Frames
from check_tables import SIZES, table
from check_validation import CHANGED, CHANGES, scaled, splits
from made_up_hdf5 import write_hdf5
from source_commit import commit_of

from mace_outlier.checks import catalogue
from mace_outlier.checks.examine import Examined, examine
from mace_outlier.checks.finding import Finding
from mace_outlier.checks.inputs import gather
from mace_outlier.checks.reading import chunks
from mace_outlier.checks.settings import Settings
from mace_outlier.checks.survey import assemble
from mace_outlier.checks.survey_files import survey
from mace_outlier.checks.trajectory import path_like

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "mace_outlier" / "checks"


def findings_of(
    frames: Frames, hidden: tuple[str, ...] = (), settings: Settings | None = None, only: tuple[str, ...] = ()
) -> list[Finding]:
    """Write frames to a file, and check it."""
    for atoms in frames:
        for name in hidden:
            atoms.info.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.xyz"
        write(path, frames)
        known = survey(gather([str(path)], {}, {}), settings or Settings(), workers=1)
        return catalogue.run(known, only or list(catalogue.CHECKS))


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
            if check in ("stress", "sizes") and "REF_stress" not in right[0].info:
                continue
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


def validation() -> list[dict[str, Any]]:
    """What is said of validation frames from trajectories and elsewhere, and the numbers behind it."""
    rows = []
    for split in splits():
        with tempfile.TemporaryDirectory() as folder:
            files = {"train_file": f"{folder}/train.xyz", "valid_file": f"{folder}/valid.xyz"}
            write(files["train_file"], split.train)
            write(files["valid_file"], split.valid)
            known = survey(gather([], files, {}), Settings(), workers=1)
        ratio, dimension = path_like(known.nearness, np.arange(len(known.probes)), known.settings)
        found = any("one trajectory" in f.what for f in catalogue.run(known, ["settings"]))
        rows.append({"data": split.data, "taken": split.taken, "train": len(split.train), "valid": len(split.valid)})
        rows[-1] |= {"ratio": round(ratio, 2), "dimension": round(dimension, 1), "found": found}
        print(rows[-1], flush=True)
    return rows


def alone() -> list[dict[str, Any]]:
    """How many of single frames, whose lengths are all multiplied, are named; and how many others."""
    rows = []
    for name in PLANTED:
        frames = CLEAN[name][0]()
        common = Counter(atoms.get_chemical_formula() for atoms in frames).most_common(1)[0][0]
        places = [i for i, atoms in enumerate(frames) if atoms.get_chemical_formula() == common]
        for factor in CHANGES:
            row = {"data": name, "factor": factor, "changed": min(CHANGED, len(places)), "named": 0, "others": 0}
            for place in places[:: max(1, len(places) // CHANGED)][:CHANGED]:
                changed = [*frames[:place], scaled(frames[place], factor), *frames[place + 1 :]]
                found = [f for f in findings_of(changed, only=("geometry",)) if "outside of all others" in f.what]
                named = {row for f in found for row in f.rows.tolist()}
                row["named"] += place in named
                row["others"] += len(named - {place})
            rows.append(row)
            print(row, flush=True)
    return rows


def memory() -> dict[str, Any]:
    """Bytes that a frame takes at most in survey and checks: the difference of 120,000 and 20,000 frames."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.h5"
        write_hdf5(path, 1000)
        inputs = gather([str(path)], {}, {})
        tasks = chunks(0, str(path), Settings().chunk, Settings().back)
        first = [examine(task, inputs.sources[0].keys, Settings()) for task in tasks]
    for count in (20_000, 120_000):
        tracemalloc.start()
        known = assemble(inputs, Settings(), again(first, count))
        held = tracemalloc.get_traced_memory()[0]
        catalogue.run(known, list(catalogue.CHECKS))
        peaks[count] = held, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del known
    held, peak = ((peaks[120_000][i] - peaks[20_000][i]) / 100_000 for i in (0, 1))
    print({"held": held, "peak": peak})
    return {"bytes_held": round(held), "bytes_at_most": round(peak)}


def again(parts: list[Examined], count: int) -> Iterator[tuple[int, Examined]]:
    """The same chunks as if they were many, with fingerprints that differ."""
    rng, start = np.random.default_rng(0), 0
    while start < count:
        part = parts[start // Settings().chunk % len(parts)]
        frames, links = part.frames.copy(), part.links.copy()
        shift = start - int(frames["frame"][0])
        frames["frame"] += shift
        frames["fingerprint"] *= 1 + 1e-3 * rng.normal(size=frames["fingerprint"].shape)
        for end in ("one", "two"):
            links[end] = np.maximum(links[end] + shift, 0)
        yield 0, part._replace(frames=frames, links=links, sample=part.sample if start < 4000 else [])
        start += len(frames)


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
    """Seconds (of the clock, of the CPUs) and peak memory (of the main process, of the largest worker) of a check.

    `ru_maxrss` of a process begins with what its parent had: of this one, which writes the files, that is more.
    """
    code = (
        "import resource, sys\nfrom mace_outlier.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "own = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(sum(each.ru_utime + each.ru_stime for each in used), own, used[1].ru_maxrss)"
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


# --- results ---------------------------------------------------------------------------------------------------------


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
PARTS |= {"alone": alone, "validation": validation, "memory": memory}
PARTS |= {f"costs_{size}": partial(costs, size) for size in SIZES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="the others stay as they are")
    arguments = parser.parse_args()
    packages = {name: version(name) for name in ("numpy", "scipy", "ase", "h5py", "mace-outlier")}
    about = {"versions": packages | {"python": platform.python_version()}}
    for part in arguments.parts:
        content = PARTS[part]()
        file = HERE / "results.json"
        results = json.loads(file.read_text()) if file.exists() else {}
        earlier = {name: value for name, value in results.items() if name in PARTS}
        commits = results.get("commits", {}) | {part: commit_of(SOURCES)}  # each part's own
        write_results(
            {"command": "python benchmarks/checks/run.py", **about, "commits": commits, **earlier, part: content}
        )


if __name__ == "__main__":
    main()
