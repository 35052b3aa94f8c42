"""What one would do instead: train, drop the worst, train again, on the data that people have. One seed.

    python benchmarks/real/real_refinement.py     # an hour on two cores; rows "refinement, round 1" of trainings.csv

As benchmarks/ablation/refinement.py: the losses of the stock model, the logarithms of which are clipped at two standard
deviations above their mean, again and again; a new stock model is trained on what is left. `touched_found` counts the
touched labels that were dropped; `recall` is the share of those that count as wrong, `false` that of the right ones.
"""

import argparse
import itertools
import shutil
from dataclasses import replace

import _real_paths  # noqa: F401 (first)
import numpy as np
import pandas
import real_results
from ase.io import read
from demo_arms import RESULT_FILE, finished_result, run_all
from finished_trainings import REFINED
from real_cells import Cell, ObservedTraining
from real_measure import ENERGY, FORCES, RIGHT, WRONG, collect, how_far_off, touched, truth
from refinement import kept, losses
from training_files import write_atomically, write_json_atomically

SEED, SIGMA, ROUND = 1, 2.0, 1
PUBLIC = [*itertools.product(("Si", "Mo", "acac"), ("flip", "pm60")), ("wbe", "own"), ("dft_water", "scf_15")]
CELLS = [Cell(*which, "forces", SEED) for which in PUBLIC]


def second(stock: ObservedTraining) -> ObservedTraining:
    """The training on what a stock model keeps, its data written."""
    whole = stock.data
    data = whole.with_name(f"{whole.name}-round-{ROUND}")
    if not (data / "test.xyz").exists():
        data.mkdir(parents=True, exist_ok=True)
        for split in ("train", "valid"):
            frames = read(whole / f"{split}.xyz", ":")
            write_atomically(data / f"{split}.xyz", [frames[i] for i in np.flatnonzero(keeps(stock, frames))])
        shutil.copy(whole / "test.xyz", data)
    run = stock.folder.parent
    return replace(stock, data=data, folder=run.with_name(f"{run.name}-round-{ROUND}") / stock.arm)


def keeps(stock: ObservedTraining, frames: list) -> np.ndarray:
    """Mask of the frames that are kept."""
    return kept(losses(stock.folder / "demo.model", frames, stock.energy_weight), SIGMA)


def measured(training: ObservedTraining, seconds: float) -> dict:
    """What a second training and the choice before it are worth; kept in its folder, which marks it as finished."""
    cell = training.cell
    stock = cell.training("weighted")
    file = stock.data / "train.xyz"
    dropped, off = ~keeps(stock, read(file, ":")), how_far_off(file)
    status, changed = truth(off, oracle(cell)), touched(off)
    right, wrong = status == RIGHT, status == WRONG
    result = collect(training, seconds) | {"arm": f"{REFINED}{ROUND}", "round": ROUND, "trainings": ROUND + 1}
    result |= {"share": round(float((off["planted"] == WRONG).mean()), 4)}  # before it dropped any
    result |= {"right": int(right.sum()), "wrong": int(wrong.sum()), "touched": int(changed.sum())}
    result |= {"touched_found": int(dropped[changed].sum()), "false": float(dropped[right].mean())}
    result |= {"recall": float(dropped[wrong].mean()) if wrong.any() else float("nan")}
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def oracle(cell: Cell) -> dict[str, float]:
    """Errors of the oracle of a cell on the test set; nothing where what is wrong is known otherwise."""
    rows = pandas.read_csv(real_results.TRAININGS).set_index(real_results.WHICH)
    which = (*cell, "oracle")
    return rows.loc[which, [ENERGY, FORCES]].to_dict() if which in rows.index else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    stock = [cell.training("weighted") for cell in CELLS]
    run_all([one for one in stock if finished_result(one) is None], options.processes, collect)
    refined = [second(one) for one in stock]
    run_all([one for one in refined if finished_result(one) is None], options.processes, measured)
    real_results.main()


if __name__ == "__main__":
    main()
