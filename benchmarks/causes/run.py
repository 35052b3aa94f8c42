"""Is the cause right that is said of suspects? On finished trainings of benchmarks/real; nothing is trained here.

    python benchmarks/causes/run.py             # some ten minutes; writes planted.csv, trained.csv, tables in README.md
    python benchmarks/causes/run.py --sets Si acac --seeds 1 --faults flip     # what this code found of others stays

Planted: models that `ema_robust` trained on clean data predict their training and validation frames; each fault is
planted into the labels, and the frames it puts off are the suspects. Trained: the suspects of trainings on data with
faults, as those trainings found them.
"""

import argparse
import csv
import json
import platform
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import _causes_paths  # noqa: F401 (first)
import numpy as np
import torch
from ase import Atoms
from ase.io import read
from faults import FAULTS, Fault, Frames, plant
from more_faults import LIBRARY, MORE, WANTED
from predictions import predictions
from readme_tables import markdown, write_tables
from real_cells import WORK, Cell
from source_commit import PACKAGE, commit_of, is_present

from mace_outlier.causes.cause import UNKNOWN, Cause
from mace_outlier.causes.expected import rms
from mace_outlier.checks.frame import matrix_of
from mace_outlier.results.reading import read_results
from mace_outlier.run.causes import causes_of
from mace_outlier.run.sample import Chosen, Evaluated

HERE = Path(__file__).resolve().parent
KINDS = ("planted", "trained")  # beside the predictions of a model, found by a training
SETS = ("Si", "Mo", "acac", "water")
HELD_OUT = ("spice", "dft_water", "alloys")  # of which nobody had seen a cause when the method was made
SPICE = HERE.parent.parent / "build" / "spice"  # trainings of benchmarks/spice
SHARES = {"scf_15": 0.15, "scf_30": 0.3, "scf_43": 0.43}  # of unconverged labels there
OFF = 3.0  # typical errors of the model, from which a planted label counts as off


class Predicted(NamedTuple):
    """A model's view of the training and validation frames of a cell, labels as they were trained on."""

    frames: Frames  # as read, with what was planted
    evaluated: Evaluated
    weight: np.ndarray  # (N,)


def predict(cell: Cell) -> Predicted | None:
    """Predict by the model that `ema_robust` trained; None: it is not there."""
    run = WORK / "runs" / cell.run_name / "ema_robust"
    return predicted_by(run, cell.data()) if (run / "result.json").exists() else None


def predict_spice(fault: str, seed: int) -> Predicted | None:
    """Predict by a model of benchmarks/spice; None: it is not there."""
    if fault not in SHARES:
        return None
    name = f"unconverged-{SHARES[fault]:g}-seed-{seed}"
    run = SPICE / "runs" / name / "default"
    return predicted_by(run, SPICE / "data" / name) if (run / "result.json").exists() else None


def predicted_by(run: Path, data: Path) -> Predicted:
    """Predict the training and validation frames of a folder by the model of a training on them."""
    table = read_results(run).table
    files = [data / f"{split}.xyz" for split in ("train", "valid")]
    frames = [atoms for path in files for atoms in read(path, ":")]
    evaluated = predictions(run / "demo.model", files, {"forces": True, "stress": bool(frames[0].pbc.any())})
    assert len(evaluated.frames) == len(frames), "no frame is left out"
    return Predicted(frames, evaluated, table["weight"].to_numpy())


# --- suspects --------------------------------------------------------------------------------------------------------


def planted(predicted: Predicted, labels: Frames, fault: Fault, seed: int) -> tuple[list[Cause], Chosen]:
    """Plant a fault into the labels, and ask for the causes of those that it puts off."""
    typical = typical_errors(predicted, labels)
    frames = [atoms.copy() for atoms in labels]
    plant(frames, fault, seed)
    off = np.array([is_off(before, after, typical) for before, after in zip(labels, frames, strict=True)])
    touched = np.array([atoms.info["planted"] == 1 for atoms in frames])
    chosen = Chosen(np.flatnonzero(off), np.flatnonzero(~touched))
    seen = [labelled(atoms, own) for atoms, own in zip(frames, predicted.evaluated.frames, strict=True)]
    return causes(Evaluated(seen, predicted.evaluated.measured), chosen), chosen


def typical_errors(predicted: Predicted, labels: Frames) -> dict[str, float]:
    errors: dict[str, list[float]] = {"energy": [], "forces": [], "stress": []}
    for atoms, own in zip(labels, predicted.evaluated.frames, strict=True):
        errors["energy"].append(abs(own.info["predicted_energy"] - atoms.info["REF_energy"]) / len(atoms))
        errors["forces"].append(rms(own.arrays["predicted_forces"] - atoms.arrays["REF_forces"]))
        if "REF_stress" in atoms.info and "predicted_stress" in own.info:
            errors["stress"].append(rms(own.info["predicted_stress"] - full(atoms.info["REF_stress"])))
    return {name: float(np.median(own)) if own else np.inf for name, own in errors.items()}


def is_off(before: Atoms, after: Atoms, typical: dict[str, float]) -> bool:
    """Whether a label was changed by more than is typical of the model's errors."""
    changed = {
        "energy": abs(after.info["REF_energy"] - before.info["REF_energy"]) / len(before),
        "forces": rms(after.arrays["REF_forces"] - before.arrays["REF_forces"]),
    }
    if "REF_stress" in before.info:
        changed["stress"] = rms(full(after.info["REF_stress"]) - full(before.info["REF_stress"]))
    return any(size > OFF * typical[name] for name, size in changed.items())


def labelled(atoms: Atoms, predicted: Atoms) -> Atoms:
    """Predictions with other labels beside them."""
    own = predicted.copy()
    own.info["reference_energy"], own.arrays["reference_forces"] = atoms.info["REF_energy"], atoms.arrays["REF_forces"]
    if "REF_stress" in atoms.info:
        own.info["reference_stress"] = full(atoms.info["REF_stress"])
    return own


def full(stress: np.ndarray) -> np.ndarray:
    """Six or nine numbers as a matrix."""
    return matrix_of(np.asarray(stress, dtype=float))


def causes(evaluated: Evaluated, chosen: Chosen) -> list[Cause]:
    rows = chosen.rows
    part = Evaluated([evaluated.frames[i] for i in rows], evaluated.measured[torch.from_numpy(rows)])
    return causes_of(part, chosen, np.zeros(len(evaluated.frames), dtype=np.int64)) if len(chosen.suspects) else []


# --- results ---------------------------------------------------------------------------------------------------------


def row_of(kind: str, cell: Cell, fault: str, found: list[Cause]) -> dict[str, Any]:
    """How many suspects have the right cause, another one, or none."""
    counts = Counter(cause.words for cause in found)
    wanted = WANTED.get(fault, ())
    right = sum(counts[words] for words in wanted)
    either = sum(number for words, number in counts.items() if is_either(words, wanted))
    values = [cause.value for cause in found if cause.words in wanted]
    return {
        "kind": kind,
        "set": cell.set,
        "fault": fault,
        "seed": cell.seed,
        "suspects": len(found),
        "right": right,
        "unknown": counts[UNKNOWN],
        "either": either,
        "wrong": len(found) - right - counts[UNKNOWN] - either,
        "value": round(float(np.median(np.abs(values))), 6) if values and np.isfinite(values).any() else "",
        "causes": json.dumps(dict(counts.most_common(6))),
    }


def is_either(words: str, wanted: tuple[str, ...]) -> bool:
    """Whether several units are named, of which one is right."""
    label, _, units = words.partition(" in ")
    each = units.split(" or ")
    return len(each) > 1 and any(f"{label} in {unit}" in wanted for unit in each)


def rows(sets: list[str], seeds: list[int], faults: list[str]) -> Iterator[dict[str, Any]]:
    for name in sets:
        for seed in seeds:
            cell = Cell(name, "clean", "forces", seed)
            predicted = predict(cell)
            if predicted is None:
                print(f"{cell.run_name}: not trained, left out")
                continue
            if "clean" in faults:
                none = np.random.default_rng(seed).permutation(len(predicted.frames))[:40]
                others = np.setdiff1d(np.arange(len(predicted.frames)), none)
                yield row_of("planted", cell, "clean", causes(predicted.evaluated, Chosen(none, others)))
            molecules = not predicted.frames[0].pbc.any()
            of_stress = predict(cell._replace(train="stress"))
            wanted = {one: fault for one, fault in (LIBRARY | MORE).items() if one in faults}
            for fault_name, fault in wanted.items():
                own = of_stress if "stress" in fault.labels else predicted
                if own is None or (fault_name in ("charge", "scf_15", "scf_30") and not molecules):
                    continue
                found, _ = planted(own, own.frames, fault, 100 * seed + 7)
                yield row_of("planted", cell, fault_name, found)
        yield from trained_rows(name, seeds, faults)


def trained_rows(name: str, seeds: list[int], faults: list[str]) -> Iterator[dict[str, Any]]:
    """Suspects as trainings on data with faults found them."""
    for fault in [one for one in ("own", *FAULTS) if one in faults]:
        for seed in seeds:
            cell = Cell(name, fault, "stress" if fault.startswith("stress") else "forces", seed)
            predicted = predict(cell) or (predict_spice(fault, seed) if name == "spice" else None)
            if predicted is None:
                continue
            suspects = predicted.weight < 0.5
            pairs = zip(predicted.frames, predicted.evaluated.frames, strict=True)
            seen = predicted.evaluated._replace(frames=[labelled(*pair) for pair in pairs])
            found = causes(seen, Chosen(np.flatnonzero(suspects), np.flatnonzero(~suspects)))
            yield row_of("trained", cell, fault, found)


def tables(results: list[dict[str, Any]]) -> dict[str, str]:
    """A table for each kind: suspects, and how many per cent of them have the right and a wrong cause."""
    found = {}
    for kind in KINDS:
        own = [row for row in results if row["kind"] == kind]
        sets = [name for name in (*SETS, *HELD_OUT, "wbe") if any(row["set"] == name for row in own)]
        faults = [name for name in ("clean", *WANTED, "own") if any(row["fault"] == name for row in own)]
        cells = [
            [cell_of([r for r in own if (r["set"], r["fault"]) == (name, one)]) for name in sets] for one in faults
        ]
        found[kind] = markdown(["fault", *sets], [[f"`{one}`", *line] for one, line in zip(faults, cells, strict=True)])
    return found


def cell_of(own: list[dict[str, Any]]) -> str:
    """Suspects, and the shares with the right and a wrong cause; with one of two units, if there are."""
    number = sum(int(row["suspects"]) for row in own)
    if not number:
        return "0" if own else "-"
    if own[0]["fault"] == "own":
        return f"{number}"
    right, wrong = (100 * sum(int(row[name]) for row in own) / number for name in ("right", "wrong"))
    either = 100 * sum(int(row["either"]) for row in own) / number
    return f"{number}: {right:.0f} / {wrong:.0f}" + (f" ({either:.0f} either)" if either else "")


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    """Of what a row tells."""
    return tuple(str(row[name]) for name in ("kind", "set", "fault", "seed"))


def known_before(folder: Path = HERE) -> dict[tuple[str, ...], dict[str, Any]]:
    """What was found before by the code that is here, which stays unless it is found anew."""
    known = {}
    for kind in KINDS:
        with (folder / f"{kind}.csv").open(newline="") as file:
            known |= {key_of(row): row for row in csv.DictReader(file) if holds(row["commit"])}
    return known


@cache
def holds(commit: str) -> bool:
    """Whether causes are told as they were at a commit."""
    return is_present(commit, PACKAGE / "causes")


def write_rows(results: list[dict[str, Any]], folder: Path = HERE) -> None:
    """Write all that is known so far, each kind into its file, or leave what was there."""
    for kind in KINDS:
        own, path = [row for row in results if row["kind"] == kind], folder / f"{kind}.csv"
        with path.with_suffix(".tmp").open("w", newline="") as file:
            writer = csv.DictWriter(file, results[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(own)
        path.with_suffix(".tmp").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *HELD_OUT, "wbe"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    names = ["clean", "own", *WANTED]
    parser.add_argument("--faults", nargs="+", default=names, choices=names)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*requires_grad.*")
    code = {"commit": commit_of(PACKAGE), "python": platform.python_version(), "torch": torch.__version__}
    results = known_before()
    for row in rows(arguments.sets, arguments.seeds, arguments.faults):
        results[key_of(row)] = row | code
        print(
            *(row[name] for name in ("kind", "set", "fault", "seed", "suspects", "right", "wrong", "causes")),
            flush=True,
        )
        write_rows(list(results.values()))
    write_tables(HERE / "README.md", "causes", tables(list(results.values())))


if __name__ == "__main__":
    main()
