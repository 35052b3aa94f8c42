"""Which epoch would be chosen, by which summary of the validation losses? A replay of one training, every epoch kept.

    python benchmarks/ablation/selection.py --share 0.3 --seed 1

The training is that of `ema_robust` with a validation set that holds as many wrong labels as the training set. For each
epoch, the losses of all validation configurations are evaluated, and summarised as stock MACE does (mean), as ours
(weighted, from the log), by their median, and by trimmed means. The table says which epoch has the lowest, and the test
errors of that epoch's model.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = map(str, (HERE.parent.parent / "scripts", HERE.parent))

import numpy as np
from ase.io import read
from cells import EPOCHS, WORK, Cell
from data import write_data
from demo_arms import LOG_FILE, Training, began_with, finished_result, run_all
from demo_results import errors_on_test_set
from learning_curves import keeping_all, models_of_epochs
from measure import collect
from refinement import losses
from tqdm import tqdm
from training_files import write_json_atomically

WEIGHTED = re.compile(r"Validation: ema_robust loss=([\d.]+)")
RULES = {
    "mean (stock)": np.mean,
    "median": np.median,
    "mean of the lower 90 %": lambda values: np.sort(values)[: int(0.9 * len(values))].mean(),
    "mean of the lower 70 %": lambda values: np.sort(values)[: int(0.7 * len(values))].mean(),
    "mean of the lower 50 %": lambda values: np.sort(values)[: int(0.5 * len(values))].mean(),
}


def replay(training: Training) -> list[dict]:
    """What each rule chooses, and the test errors of that."""
    valid, test = (read(training.data / f"{name}.xyz", ":") for name in ("valid", "test"))
    models = tqdm(models_of_epochs(training), total=EPOCHS, desc="epochs")
    values = {epoch: losses(path, valid) for epoch, path in models}
    weighted = WEIGHTED.findall((training.folder / LOG_FILE).read_text())[-EPOCHS:]
    scores = {name: [rule(values[epoch]) for epoch in range(EPOCHS)] for name, rule in RULES.items()}
    scores["weighted (ema_robust)"] = [float(value) for value in weighted]
    chosen = {name: int(np.argmin(score)) for name, score in scores.items()}
    models = models_of_epochs(training)
    errors = {epoch: errors_on_test_set(path, test) for epoch, path in models if epoch in chosen.values()}
    return [{"rule": name, "epoch": epoch} | errors[epoch] for name, epoch in chosen.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cell = Cell("unconverged", options.share, "default")
    settings = write_data(cell.data(options.seed), cell.kind, cell.share, options.seed)
    training = keeping_all(cell.training(options.seed, settings), WORK / "selection")
    if finished_result(training) is None:
        run_all([training], 1, collect)
    rows = replay(training)
    path = HERE / "selection.json"
    known = json.loads(path.read_text()) if path.exists() else []
    place = {"share": options.share, "seed": options.seed}
    known = [row for row in known if {name: row[name] for name in place} != place]
    place["commit"] = began_with(training)
    write_json_atomically(path, known + [place | row for row in rows])
    for row in rows:
        errors = f"{row['energy_rmse_meV_per_atom']:.2f} meV/atom, {row['force_rmse_meV_per_A']:.1f} meV/A"
        print(f"{row['rule']:24s} epoch {row['epoch']:2d}: {errors}")


if __name__ == "__main__":
    main()
