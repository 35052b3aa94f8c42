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
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy, torch and tblite are loaded: a process is one thread

from demo_arms import ARMS, REPOSITORY, Training, finished_result, run_all
from demo_results import collect, summarise, table, table_row, write_results
from make_water import DESCRIPTION_FILE, make_labelled
from training_files import write_training_files
from water_clusters import WaterSettings

SHARE_UNCONVERGED = 0.15
EPOCHS = 60
QUICK_EPOCHS = 3
QUICK_WATER = WaterSettings(
    n_molecules=3,
    n_train=60,
    n_valid=20,
    n_test=20,
    frames_per_trajectory=20,
    equilibration_steps=50,
    steps_between_frames=10,
)


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="repeat for these seeds (default: 1)")
    parser.add_argument("--oracle", action="store_true", help="also train on the good frames only")
    parser.add_argument(
        "--energy_weight", type=float, default=1, help="MACE's weight of the energies (default: MACE's)"
    )
    parser.add_argument("--quick", action="store_true", help="tiny data, few epochs: tries the script, shows nothing")
    parser.add_argument("--work", type=Path, help="folder of data and trainings (default: build/demo[_quick])")
    parser.add_argument("--out", type=Path, help="folder of table and figure (default: that of --work)")
    parser.add_argument("--processes", type=int, default=2, help="trainings side by side, one thread each (default: 2)")
    options = parser.parse_args()
    if options.processes < 1:
        parser.error(f"--processes {options.processes}: at least 1 is needed")
    options.work = (options.work or REPOSITORY / "build" / ("demo_quick" if options.quick else "demo")).resolve()
    options.out = (options.out or options.work).resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def stage(title: str, started: float) -> None:
    """Say what happens next, and when."""
    print(f"[{time.monotonic() - started:4.0f} s] {title}", flush=True)


def prepare_trainings(options: argparse.Namespace) -> list[Training]:
    """Make the data of every seed; return the trainings, those of one seed side by side."""
    folder = options.work / "data"
    labelled = make_labelled(QUICK_WATER if options.quick else WaterSettings(), folder)
    e0s = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))["E0s_eV"]
    arms = [arm for arm in ARMS if arm != "oracle"] + ["oracle"] * options.oracle
    epochs = QUICK_EPOCHS if options.quick else EPOCHS
    trainings = []
    for seed in dict.fromkeys(options.seeds):
        data = folder / f"seed-{seed}"
        write_training_files(labelled, data, SHARE_UNCONVERGED, seed)
        for arm in arms:
            work = options.work / "runs" / f"seed-{seed}" / arm
            free_atoms = str({int(z): e for z, e in e0s.items()})
            trainings.append(Training(arm, seed, epochs, data, work, free_atoms, options.energy_weight))
    return trainings


def main() -> None:
    """Data, trainings, test, table, figure."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the trainings end with the demo
    options, started = parse_arguments(), time.monotonic()
    stage(f"data in {options.work / 'data'}", started)
    trainings = prepare_trainings(options)
    found = {training: finished_result(training) for training in trainings}
    to_run = [training for training, result in found.items() if result is None]
    stage(f"{len(to_run)} trainings to run, {len(trainings) - len(to_run)} finished ones reused", started)
    # Each result is kept as soon as its training ends, so that an interrupted demo loses only what was running.
    found.update(run_all(to_run, options.processes, collect))
    results = [found[training] for training in trainings]
    summary = summarise([table_row(result) for result in results])
    data = json.loads((options.work / "data" / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    write_results(options.out, options.energy_weight, data | {"share_unconverged": SHARE_UNCONVERGED}, results, summary)
    stage("figure", started)
    from demo_figure import draw

    draw(results, options.out / "demo.png")
    stage("report: which configurations were wrong?", started)
    report(next(training for training in trainings if training.arm == "ema_robust"), options.out)
    print(f"\n{table(summary)}")
    stage(f"done: {options.out}/table.md, results.json, results.csv, demo.png, report.html", started)


def report(training: Training, out: Path) -> None:
    """What a user runs after a training; the labels that we spoiled are known, so the page can say how well it did."""
    command = [sys.executable, "-m", "mace_outlier", "report", training.folder, "--top", "5", "--truth", "unconverged"]
    subprocess.run([*command, "--out", out / "report.html", "--figures", out / "report"], check=True)


if __name__ == "__main__":
    main()
