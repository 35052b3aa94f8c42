"""Liquid water from unconverged reference data: do its structure and its diffusion come back?

    python benchmarks/water/run.py                           # some five hours on two cores; goes on where it was cut
    python benchmarks/water/run.py --quick                   # a quarter of an hour: tries everything, shows nothing
    python benchmarks/water/run.py --out benchmarks/water    # only what the tables there don't have
    python benchmarks/water/water_results.py                 # tables and figures, from what is finished

Data (GFN1-xTB), trainings, molecular dynamics with the trained models, observables. Trainings and trajectories run two
at a time, one thread each. Every arm has the same data, settings, seed and checkpoint rule, and its dynamics the same
starts and random numbers; arms differ in the labels that they see, in the loss, and in what refinement has dropped.
"""

import argparse
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

import _water_paths  # noqa: F401 (first)
from demo_arms import finished_result, run_all
from finished_trainings import REFINED
from measure import collect
from refinement import refine
from side_by_side import side_by_side
from tqdm import tqdm
from water_cells import FULL, QUICK, SIGMA, Benchmark, Cell
from water_md import Replica, is_finished, simulate
from water_results import finished_before, refuse_other_frames, write_results


def train(benchmark: Benchmark, seed: int, cells: list[Cell]) -> None:
    """Run what is not finished."""
    wanted = [benchmark.training(cell, seed) for cell in cells]
    missing = [one for one in wanted if finished_result(one) is None]
    print(f"seed {seed}: {len(missing)} trainings to run, {len(wanted) - len(missing)} finished", flush=True)
    if wanted:  # now there are frames
        refuse_other_frames(benchmark)
    run_all(missing, benchmark.processes, collect)


def to_refine(benchmark: Benchmark, before: set[Cell]) -> list[Cell]:
    """The stock trainings that refinement starts from, but for those of which an earlier checkout has all rounds."""
    rounds = [f"{REFINED}{number}" for number in range(1, benchmark.rounds + 1)]
    known = [of for of in benchmark.refined if all((*of, arm) in before for arm in rounds)]
    return [(*of, "weighted") for of in benchmark.refined if of not in known]


def train_all(benchmark: Benchmark, seed: int, before: set[Cell]) -> None:
    """Run the trainings of a seed that are not finished, those of refinement with the first."""
    refined = to_refine(benchmark, before) if seed == benchmark.seeds[0] else []
    cells = [cell for cell in benchmark.trained_with(seed) if cell not in before or cell in refined]
    train(benchmark, seed, cells)
    stock = {benchmark.data(*cell[:2], seed): benchmark.training(cell, seed) for cell in refined}
    refine(stock, benchmark.rounds, SIGMA, benchmark.processes)


def simulate_all(models: list[list[Replica]], processes: int) -> None:
    """Run the trajectories of models that are not finished, the first one of every model first."""
    in_turn = [one for own in zip_longest(*models) for one in own if one is not None]
    missing = [one for one in in_turn if not is_finished(one)]
    if missing:
        list(tqdm(side_by_side(simulate, missing, processes), total=len(missing), desc="dynamics", unit="trajectory"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small liquid, few epochs, a picosecond")
    parser.add_argument("--seeds", type=int, nargs="+", help="the first one runs everything, others what decides")
    parser.add_argument("--processes", type=int, default=2, help="at a time, one thread each")
    parser.add_argument("--out", type=Path, help="folder of tables and figures; what these have isn't run again")
    options = parser.parse_args()
    benchmark = replace(QUICK if options.quick else FULL, processes=options.processes)
    benchmark = replace(benchmark, seeds=tuple(options.seeds or benchmark.seeds))
    models = []
    if options.out:
        benchmark = replace(benchmark, out=options.out.resolve())
    for seed in benchmark.seeds:
        before = finished_before(benchmark, seed) if options.out else set()
        train_all(benchmark, seed, before)
        cells = [cell for cell in benchmark.simulated_with(seed) if cell not in before]
        models += [benchmark.replicas(cell, seed) for cell in cells]
    simulate_all(models, benchmark.processes)
    write_results(benchmark)


if __name__ == "__main__":
    main()
