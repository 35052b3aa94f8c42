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
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "scripts"))

import numpy as np
import torch
from ase.io import read
from cells import EPOCHS, WORK, Cell
from data import write_data
from demo_arms import LOG_FILE, Training, finished_result, run_all
from demo_results import errors_on_test_set
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


def keeping_all(training: Training) -> Training:
    """The same training, with the checkpoint of every epoch."""
    folder = WORK / "selection" / training.data.name
    return replace(training, folder=folder, flags=(*training.flags, "--save_all_checkpoints"))


def models(training: Training):
    """The model of each epoch: a path that holds it until the next."""
    model = torch.load(training.folder / "demo.model", weights_only=False, map_location="cpu")
    path = training.folder / "epoch.model"
    for epoch in range(training.epochs):
        checkpoint = training.folder / "checkpoints" / f"demo_run-{training.seed}_epoch-{epoch}.pt"
        model.load_state_dict(torch.load(checkpoint, weights_only=False, map_location="cpu")["model"])
        torch.save(model, path)
        yield epoch, path


def replay(training: Training) -> list[dict]:
    """What each rule chooses, and the test errors of that."""
    valid, test = (read(training.data / f"{name}.xyz", ":") for name in ("valid", "test"))
    values = {epoch: losses(path, valid) for epoch, path in tqdm(models(training), total=EPOCHS, desc="epochs")}
    weighted = WEIGHTED.findall((training.folder / LOG_FILE).read_text())[-EPOCHS:]
    scores = {name: [rule(values[epoch]) for epoch in range(EPOCHS)] for name, rule in RULES.items()}
    scores["weighted (ema_robust)"] = [float(value) for value in weighted]
    chosen = {name: int(np.argmin(score)) for name, score in scores.items()}
    errors = {epoch: errors_on_test_set(path, test) for epoch, path in models(training) if epoch in chosen.values()}
    return [{"rule": name, "epoch": epoch} | errors[epoch] for name, epoch in chosen.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cell = Cell("unconverged", options.share, "default")
    settings = write_data(cell.data(options.seed), cell.kind, cell.share, options.seed)
    training = keeping_all(cell.training(options.seed, settings))
    if finished_result(training) is None:
        run_all([training], 1, collect)
    rows = replay(training)
    path = HERE / "selection.json"
    known = json.loads(path.read_text()) if path.exists() else []
    place = {"share": options.share, "seed": options.seed}
    known = [row for row in known if {name: row[name] for name in place} != place]
    write_json_atomically(path, known + [place | row for row in rows])
    for row in rows:
        errors = f"{row['energy_rmse_meV_per_atom']:.2f} meV/atom, {row['force_rmse_meV_per_A']:.1f} meV/A"
        print(f"{row['rule']:24s} epoch {row['epoch']:2d}: {errors}")


if __name__ == "__main__":
    main()
