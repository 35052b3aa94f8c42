"""Mini-SPICE: how well do models of unseen molecules survive unconverged labels? Finished trainings are reused.

    python benchmarks/spice/run.py                  # what trainings.csv doesn't have; tables and figures as well
    python benchmarks/spice/run.py --again          # all of it, some hours on two cores
    python benchmarks/spice/run.py --seeds 1        # one seed
    python benchmarks/spice/spice_results.py        # tables and figures, from what is finished

Trainings run two at a time. Every arm has the same data, settings, seed and checkpoint rule; they differ in the labels
that they see (oracle), in the loss, and in what iterative refinement has dropped.
"""

import argparse

import _spice_paths  # noqa: F401 (first)
import spice_results
from demo_arms import Training, finished_result, run_all
from finished_trainings import REFINED, is_committed
from refinement import refine
from spice_cells import ARMS, OF_MAP, ROUNDS, SEEDS, SHARES, SIGMA, STRETCHED, training
from spice_errors import collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of iterative refinement")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="also what an earlier checkout has run")
    options = parser.parse_args()
    for seed in options.seeds:
        wanted = [
            training(share, arm, seed)
            for share in options.shares
            for arm in options.arms
            if share > 0 or arm != "oracle"  # of clean data, that is the stock training
        ]
        wanted += [training(*one, seed, "stretched") for one in STRETCHED]
        if seed == SEEDS[0]:
            wanted += [training(share, arm, seed, kind) for kind, share, arm in OF_MAP]
        wanted = list(dict.fromkeys(wanted))
        stock = {one.data: one for one in wanted if one.arm == "weighted" and is_refined(one.data.name)}
        if not options.again:
            stock = {data: one for data, one in stock.items() if not refinement_is_committed(one, options.rounds)}
            wanted = [one for one in wanted if one in stock.values() or not is_committed(one, spice_results.TRAININGS)]
        to_run = [one for one in wanted if finished_result(one) is None]
        print(f"seed {seed}: {len(to_run)} trainings to run, and {options.rounds * len(stock)} to refine", flush=True)
        run_all(to_run, options.processes, collect)
        refine(stock, options.rounds, SIGMA, options.processes, collect)
        spice_results.main()  # so that there is something to look at after each seed


def refinement_is_committed(stock: Training, rounds: int) -> bool:
    """Whether an earlier checkout has refined a stock training: no model of it is needed."""
    return all(is_committed(stock, spice_results.TRAININGS, f"{REFINED}{number}") for number in range(1, rounds + 1))


def is_refined(data: str) -> bool:
    """Whether iterative refinement is tried on a data set."""
    return data.startswith("unconverged") and not data.startswith("unconverged-0-")


if __name__ == "__main__":
    main()
