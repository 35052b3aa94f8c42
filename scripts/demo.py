"""Demo: MACE on water clusters, some of whose labels are wrong, with the stock loss and with --loss=ema_robust.

15 % of the training and of the validation frames carry the energies and forces of an SCC calculation that was
stopped too early. Every arm has the same settings and is tested on converged labels it never saw:

    weighted     stock MACE, --loss=weighted
    ema_robust   the plugin, --loss=ema_robust: nothing else changed
    oracle       (with --oracle) stock MACE on the good frames only: the best one could hope for

A seed is MACE's --seed and also chooses which frames are bad; the geometries are the same for all seeds.
Data and finished trainings are kept and reused; an interrupted training starts again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy, torch and tblite are loaded: a process is one thread

import numpy as np
from demo_arms import ARMS, MACE_SETTINGS, REPOSITORY, Training, collect, finished_result, run_all
from make_water import DESCRIPTION_FILE, make_labelled, write_json_atomically, write_training_files
from water_clusters import WaterSettings

SHARE_UNCONVERGED = 0.15
EPOCHS = 80
QUICK_EPOCHS = 3
QUICK_WATER = WaterSettings(
    n_molecules=3, n_train=60, n_valid=20, n_test=20, frames_per_trajectory=20, equilibration_steps=50,
    steps_between_frames=10,
)
METRICS = {"energy_rmse_meV_per_atom": "energy RMSE, meV/atom", "force_rmse_meV_per_A": "force RMSE, meV/A"}
WEIGHTS = {"mean_weight_good": "mean weight, good", "mean_weight_bad": "mean weight, bad"}


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="repeat for these seeds (default: 1)")
    parser.add_argument("--oracle", action="store_true", help="also train on the good frames only")
    parser.add_argument("--quick", action="store_true", help="tiny data, few epochs: tries the script, shows nothing")
    parser.add_argument("--out", type=Path, help="folder of the results (default: build/demo, quick: build/demo/quick)")
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each (default: 2)")
    options = parser.parse_args()
    if options.processes < 1:
        parser.error(f"--processes {options.processes}: at least 1 is needed")
    default = REPOSITORY / "build" / "demo"
    options.out = (options.out or (default / "quick" if options.quick else default)).resolve()
    return options


def stage(title: str, started: float) -> None:
    """Say what happens next, and when."""
    print(f"[{time.monotonic() - started:4.0f} s] {title}", flush=True)


def prepare_trainings(options: argparse.Namespace) -> list[Training]:
    """Make the data of every seed; return the trainings, those of one seed side by side."""
    folder = options.out / "data"
    labelled = make_labelled(QUICK_WATER if options.quick else WaterSettings(), folder)
    e0s = json.loads((folder / DESCRIPTION_FILE).read_text())["E0s_eV"]
    arms = [arm for arm in ARMS if arm != "oracle"] + ["oracle"] * options.oracle
    epochs = QUICK_EPOCHS if options.quick else EPOCHS
    trainings = []
    for seed in dict.fromkeys(options.seeds):
        data = folder / f"seed-{seed}"
        write_training_files(labelled, data, SHARE_UNCONVERGED, seed)
        for arm in arms:
            work = options.out / "runs" / f"seed-{seed}" / arm
            trainings.append(Training(arm, seed, epochs, data, work, str({int(z): e for z, e in e0s.items()})))
    return trainings


# --- tables -----------------------------------------------------------------------------------------------------


def table_row(result: dict) -> dict:
    """One row of results.csv: a training without its lists."""
    weights = {kind: values for kind, values in result.get("weights", {}).items() if values}
    row = {name: result[name] for name in ("arm", "seed", "seconds", "energy_mean_error_meV_per_atom", *METRICS)}
    return row | {f"mean_weight_{kind}": float(np.mean(values)) for kind, values in weights.items()}


def summarise(rows: list[dict]) -> list[dict]:
    """For each arm: mean and standard deviation over the seeds, and the ratio of the means to the oracle's."""
    summary = []
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        entry = {"arm": arm, "seeds": len(own)}
        for name in (*METRICS, *WEIGHTS):
            values = [row[name] for row in own if name in row]
            if values:
                std = float(np.std(values, ddof=1)) if len(values) > 1 else None
                entry[name] = {"mean": float(np.mean(values)), "std": std}
        summary.append(entry)
    oracle = next((entry for entry in summary if entry["arm"] == "oracle"), None)
    for entry in summary if oracle else []:
        entry["ratio_to_oracle"] = {name: entry[name]["mean"] / oracle[name]["mean"] for name in METRICS}
    return summary


def cell(entry: dict, name: str, digits: int) -> str:
    """A number of the table, as mean, +- std (several seeds) and ratio to the oracle (if that was trained)."""
    if name not in entry:
        return "-"
    value = entry[name]
    text = f"{value['mean']:.{digits}f}"
    if value["std"] is not None:
        text += f" +- {value['std']:.{digits}f}"
    if name in entry.get("ratio_to_oracle", {}):
        text += f" ({entry['ratio_to_oracle'][name]:.2f} x oracle)"
    return text


def print_table(summary: list[dict]) -> None:
    """Print the summary as a Markdown table."""
    columns = METRICS | WEIGHTS
    lines = [["arm", *columns.values()]]
    digits = dict.fromkeys(METRICS, 1) | dict.fromkeys(WEIGHTS, 3)
    lines += [[entry["arm"], *(cell(entry, name, digits[name]) for name in columns)] for entry in summary]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    print()
    for line in lines:
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |")
    print()


# --- files ------------------------------------------------------------------------------------------------------


def package_version(name: str) -> str:
    """Installed version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_results(options: argparse.Namespace, results: list[dict], summary: list[dict]) -> None:
    """results.json (everything) and results.csv (a row for each training)."""
    content = {
        "command": [sys.executable, *sys.argv],
        "versions": {"python": sys.version.split()[0]}
        | {name: package_version(name) for name in ("torch", "mace-torch", "mace-outlier", "tblite", "ase", "numpy")},
        "data": json.loads((options.out / "data" / DESCRIPTION_FILE).read_text()) | {"share": SHARE_UNCONVERGED},
        "mace_settings": MACE_SETTINGS,
        "summary": summary,
        "trainings": results,
    }
    write_json_atomically(options.out / "results.json", content)
    rows = [table_row(result) for result in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    temporary = options.out / "results.csv.tmp"
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, options.out / "results.csv")


def main() -> None:
    """Data, trainings, test, table, figure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the trainings end with the demo
    options, started = parse_arguments(), time.monotonic()
    stage(f"data in {options.out / 'data'}", started)
    trainings = prepare_trainings(options)
    found = {training: finished_result(training) for training in trainings}
    to_run = [training for training, result in found.items() if result is None]
    stage(f"{len(to_run)} trainings to run, {len(trainings) - len(to_run)} finished ones reused", started)
    # Each result is kept as soon as its training ends, so that an interrupted demo loses only what was running.
    found.update(run_all(to_run, options.processes, collect))
    results = [found[training] for training in trainings]
    summary = summarise([table_row(result) for result in results])
    write_results(options, results, summary)
    stage("figure", started)
    from demo_figure import draw

    draw(results, options.out / "demo.png")
    print_table(summary)
    stage(f"done: {options.out}/results.json, results.csv, demo.png", started)


if __name__ == "__main__":
    main()
