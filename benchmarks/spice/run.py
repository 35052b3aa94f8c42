"""Mini-SPICE: how well do models of unseen molecules survive unconverged labels? Finished trainings are reused.

    python benchmarks/spice/run.py                  # all of it, some hours on two cores; tables and figures as well
    python benchmarks/spice/run.py --seeds 1        # one seed
    python benchmarks/spice/results.py              # tables and figures, from what is finished

Trainings run two at a time. Every arm has the same data, settings, seed and checkpoint rule; they differ in the labels
that they see (oracle), in the loss, and in what iterative refinement has dropped.
"""

import argparse

import _spice_paths  # noqa: F401 (first)
import results
from demo_arms import finished_result, run_all
from refinement import refine
from spice_cells import ARMS, ROUNDS, SEEDS, SHARES, SIGMA, STRETCHED, training
from spice_errors import collect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of iterative refinement")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    for seed in options.seeds:
        wanted = [
            training(share, arm, seed)
            for share in options.shares
            for arm in options.arms
            if share > 0 or arm != "oracle"  # of clean data, that is the stock training
        ]
        wanted += [training(*one, seed, "stretched") for one in STRETCHED]
        to_run = [one for one in wanted if finished_result(one) is None]
        print(f"seed {seed}: {len(to_run)} trainings to run, {len(wanted) - len(to_run)} finished", flush=True)
        run_all(to_run, options.processes, collect)
        stock = {one.data: one for one in wanted if one.arm == "weighted" and is_refined(one.data.name)}
        refine(stock, options.rounds, SIGMA, options.processes, collect)
        results.main()  # so that there is something to look at after each seed


def is_refined(data: str) -> bool:
    """Whether iterative refinement is tried on a data set."""
    return data.startswith("unconverged") and not data.startswith("unconverged-0-")


if __name__ == "__main__":
    main()
