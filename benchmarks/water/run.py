"""Liquid water from unconverged reference data: do its structure and its diffusion come back?

    python benchmarks/water/run.py            # all of it: some seven hours on two cores; goes on where it was cut
    python benchmarks/water/run.py --quick    # a quarter of an hour: tries everything, shows nothing
    python benchmarks/water/water_results.py  # tables and figures, from what is finished

Data (GFN1-xTB), trainings, molecular dynamics with the trained models, observables. Trainings and trajectories run two
at a time, one thread each. Every arm has the same data, settings, seed and checkpoint rule, and its dynamics the same
starts and random numbers; arms differ in the labels that they see, in the loss, and in what refinement has dropped.
"""

import argparse
import multiprocessing

import _water_paths  # noqa: F401 (first)
from demo_arms import finished_result, run_all
from measure import collect
from refinement import refine
from tqdm import tqdm
from water_cells import FULL, QUICK, SIGMA, Benchmark
from water_md import is_finished, simulate
from water_results import write_results


def train(benchmark: Benchmark, seed: int, processes: int) -> None:
    """Run what is not finished."""
    wanted = [benchmark.training(cell, seed) for cell in benchmark.trained] + benchmark.learning(seed)
    missing = [one for one in wanted if finished_result(one) is None]
    print(f"seed {seed}: {len(missing)} trainings to run, {len(wanted) - len(missing)} finished", flush=True)
    run_all(missing, processes, collect)


def simulate_all(benchmark: Benchmark, seed: int, processes: int) -> None:
    """Run the trajectories that are not finished, the first one of every model first."""
    wanted = [one for cell in benchmark.simulated for one in benchmark.replicas(cell, seed)]
    missing = sorted((one for one in wanted if not is_finished(one)), key=lambda one: one.number)
    if not missing:
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        list(tqdm(pool.imap_unordered(simulate, missing), total=len(missing), desc="dynamics", unit="trajectory"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small liquid, few epochs, a picosecond")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2, help="at a time, one thread each")
    options = parser.parse_args()
    benchmark = QUICK if options.quick else FULL
    train(benchmark, options.seed, options.processes)
    refined = [(kind, share, "weighted") for kind, share in benchmark.refined]
    stock = {benchmark.data(*cell[:2], options.seed): benchmark.training(cell, options.seed) for cell in refined}
    refine(stock, benchmark.rounds, SIGMA, options.processes)
    simulate_all(benchmark, options.seed, options.processes)
    write_results(benchmark, options.seed)


if __name__ == "__main__":
    main()
