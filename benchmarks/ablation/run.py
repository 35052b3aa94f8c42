"""How many wrong labels does it survive, of which kind, and what helps? Resumable: finished trainings are reused.

    python benchmarks/ablation/run.py                                   # all studies, some hours on two cores
    python benchmarks/ablation/run.py --studies stock shares --seeds 1

Trainings run two at a time. Writes trainings.csv, results.json, tables and figures beside this file, from all trainings
that are finished.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "scripts")]

from cells import SEEDS, STUDIES, TRAININGS
from data import write_data
from demo_arms import Training, finished_result, run_all
from finished_trainings import is_committed
from measure import collect


def trainings(studies: list[str], seeds: list[int]) -> list[Training]:
    """The trainings of some studies, each once, seed by seed, their data written."""
    chosen = dict.fromkeys(cell for study in studies for cell in STUDIES[study])
    return [
        cell.training(seed, write_data(cell.data(seed), cell.kind, cell.share, seed))
        for seed in seeds
        for cell in chosen
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--again", action="store_true", help="also what trainings.csv has by this code, or by none of ours"
    )
    options = parser.parse_args()
    wanted = trainings(options.studies, options.seeds)
    if not options.again:
        wanted = [training for training in wanted if not is_committed(training, TRAININGS)]
    to_run = [training for training in wanted if finished_result(training) is None]
    print(f"{len(to_run)} trainings to run, {len(wanted) - len(to_run)} finished", flush=True)
    run_all(to_run, options.processes, collect)


if __name__ == "__main__":
    main()
