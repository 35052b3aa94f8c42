"""Does it keep right labels and find wrong ones on the data that people have? Finished trainings are reused.

    python benchmarks/real/run.py --list                     # which cells, how many trainings, about how long
    python benchmarks/real/run.py --quick                    # Si and acac with a few epochs: some minutes
    python benchmarks/real/run.py --sets Si Mo --faults clean pm60 --train forces --arms ema_robust --seeds 1
    python benchmarks/real/run.py --missing                  # only what trainings.csv doesn't have, by this code
    python benchmarks/real/run.py --stale                    # only what it has by other code
    python benchmarks/real/real_results.py                   # table, README and figures, from what is finished

Trainings run two at a time, one thread each; what the bars are about comes first. Data are read from ../shared/data and
written to build/real/data; a data set that is not there is skipped, and the reason said.
"""

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import _real_paths  # noqa: F401 (first)
import real_results
from demo_arms import finished_result, run_all
from finished_trainings import committed_trainings
from real_cells import (
    ARM_NAMES,
    OF_LANDED,
    SEEDS,
    SETS,
    TABLE,
    TRAINED,
    WORK,
    Cell,
    cells_of_table,
    check_out_landed,
    importance,
)
from real_measure import collect
from real_results import TRAININGS, WHICH
from real_sets import missing

QUICK = {("Si", "pm60"), ("acac", "clean")}
QUICK_ARMS, QUICK_EPOCHS = ("oracle", "weighted", "ema_robust"), 8
FAULT_NAMES = list(dict.fromkeys(fault for _, faults, _ in TABLE for fault in faults))


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--faults", nargs="+", default=FAULT_NAMES, choices=FAULT_NAMES)
    parser.add_argument("--train", nargs="+", default=list(TRAINED), choices=list(TRAINED), help="what is trained")
    parser.add_argument("--arms", nargs="+", default=list(ARM_NAMES), choices=ARM_NAMES)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--missing", action="store_true", help="only trainings that trainings.csv doesn't have")
    parser.add_argument("--stale", action="store_true", help="only those that it has by other code of the plugin")
    parser.add_argument("--list", action="store_true", help="only say what would be trained")
    parser.add_argument("--quick", action="store_true", help="two cells with few epochs, beside the others' results")
    return parser.parse_args(words)


def chosen_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells of the table that were asked for, and whose data can be had here."""
    if options.quick:
        return [cell for cell in cells_of_table() if cell[:2] in QUICK and cell[2:] == ("forces", 1)]
    absent = {name: missing(name) for name in options.sets}
    for reason in filter(None, absent.values()):
        print(f"skipped, {reason}", flush=True)
    return [
        cell
        for cell in cells_of_table()
        if cell.set in options.sets
        and not absent[cell.set]
        and cell.fault in options.faults
        and cell.train in options.train
        and cell.seed in options.seeds
    ]


def chosen_trainings(options: argparse.Namespace) -> list[tuple[Cell, str]]:
    """Cell and arm of what was asked for."""
    arms = QUICK_ARMS if options.quick else options.arms
    wanted = [(cell, arm) for cell in chosen_cells(options) for arm in cell.arms if arm in arms]
    if options.stale:
        there = committed_trainings(TRAININGS, WHICH, by_any_code=True)
        wanted = [(cell, arm) for cell, arm in wanted if (*cell, arm) in there]
    known = committed_trainings(TRAININGS, WHICH) if options.missing or options.stale else set()
    return [(cell, arm) for cell, arm in wanted if (*cell, arm) not in known]


def run(wanted: list[tuple[Cell, str]], work: Path, table: Path, processes: int, epochs: int | None) -> None:
    """Train set by set; after each there is something to look at."""
    if any(arm in OF_LANDED for _, arm in wanted):
        check_out_landed()
    for _, group in groupby(wanted, key=lambda one: importance(*one)):
        chosen = list(group)
        seed, name = chosen[0][0].seed, chosen[0][0].set
        trainings = [cell.training(arm, work, epochs) for cell, arm in chosen]
        to_run = [training for training in trainings if finished_result(training) is None]
        finished = len(trainings) - len(to_run)
        print(f"seed {seed}, {name}: {len(to_run)} trainings to run, {finished} finished", flush=True)
        run_all(to_run, processes, collect)
        real_results.write(work, table)


def main(words: Sequence[str] | None = None) -> None:
    options = parse_arguments(words)
    wanted = sorted(chosen_trainings(options), key=lambda one: importance(*one))
    if options.list:
        for cell, arms in groupby(wanted, key=lambda one: one[0]):
            print(*cell, "-", *(arm for _, arm in arms))
        hours = sum(SETS[cell.set].epochs * SETS[cell.set].seconds for cell, _ in wanted) / options.processes / 3600
        print(f"{len(wanted)} trainings, about {hours:.0f} h with {options.processes} at a time")
    elif options.quick:
        run(wanted, WORK / "quick", WORK / "quick" / "trainings.csv", options.processes, QUICK_EPOCHS)
    else:
        run(wanted, WORK, TRAININGS, options.processes, None)
        real_results.main()


if __name__ == "__main__":
    main()
