"""Iterative refinement, the baseline that needs several trainings: train, drop the worst, train again.

    python benchmarks/ablation/refinement.py --rounds 3 --seeds 1

Round 0 is the stock training of the ablation. Each further round takes the model of the round before, evaluates its
loss for every training and validation frame, clips the logarithms of these losses at `sigma` standard deviations above
their mean, again and again until nothing more is dropped, and trains a new model on what is left. Errors are of the
last round; `trainings` is what they cost.
"""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "scripts"))

import numpy as np
from ase import Atoms
from ase.io import read
from cells import ENERGY_WEIGHT, SEEDS, Cell
from data import write_data
from demo_arms import MACE_SETTINGS, Training, finished_result, run_all
from demo_results import predictions_minus_labels
from measure import collect
from training_files import write_atomically

SETS = [("unconverged", 0.0), ("unconverged", 0.15), ("unconverged", 0.3), ("unconverged", 0.43), ("mild", 0.15),
        ("energy_only", 0.15), ("organic", 0.29)]  # fmt: skip


def losses(model: Path, frames: list[Atoms], energy_weight: float = ENERGY_WEIGHT) -> np.ndarray:
    """MACE's weighted loss of each frame (N,)."""
    energy, forces = predictions_minus_labels(model, frames)
    mean_squares = np.array([np.mean(own**2) for own in forces])
    return energy_weight * energy**2 + MACE_SETTINGS["forces_weight"] * mean_squares


def kept(values: np.ndarray, sigma: float) -> np.ndarray:
    """Mask (N,) of what an iterated clip of the logarithms leaves."""
    x, keep = np.log(values), np.ones(len(values), dtype=bool)
    while True:
        now = x <= x[keep].mean() + sigma * x[keep].std()
        if (now == keep).all():
            return keep
        keep = now


def next_round(before: Training, whole: Path, number: int, sigma: float) -> Training:
    """Write what the model of a round keeps of the whole data set; return the training on it."""
    name = f"{whole.name}-round-{number}-{sigma:g}-sigma"
    folder = whole.parent / name
    if finished_result(before) is None:
        raise SystemExit(f"{before.folder} is not finished: run benchmarks/ablation/run.py --studies stock first")
    if not (folder / "test.xyz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for split in ("train", "valid"):
            frames = read(whole / f"{split}.xyz", ":")
            keep = kept(losses(before.folder / "demo.model", frames, before.energy_weight), sigma)
            write_atomically(folder / f"{split}.xyz", [atoms for atoms, good in zip(frames, keep, strict=True) if good])
        shutil.copy(whole / "test.xyz", folder)
    return replace(before, data=folder, folder=before.folder.parent.parent / name / "weighted")


def collect_round(number: int, sigma: float, whole: Path, collect=collect):
    """Return a function that measures the training of a round, and what was dropped before it."""

    def measure(training: Training, seconds: float) -> dict:
        frames = read(training.data / "train.xyz", ":")
        everything = read(whole / "train.xyz", ":")
        bad, all_bad = (sum(atoms.info["unconverged"] for atoms in own) for own in (frames, everything))
        good, all_good = len(frames) - bad, len(everything) - all_bad
        more = {"arm": f"refinement {sigma:g} sigma", "round": number, "trainings": number + 1}
        return collect(training, seconds, more | {"kept_good": good / all_good, "kept_bad": bad / max(all_bad, 1)})

    return measure


def refine(stock: dict[Path, Training], rounds: int, sigma: float, processes: int, collect=collect) -> None:
    """Run the rounds that are not finished, of stock trainings by the folder of the whole data set."""
    before = stock
    for number in range(1, rounds + 1):
        before = {whole: next_round(one, whole, number, sigma) for whole, one in before.items()}
        of = {one: whole for whole, one in before.items()}

        def measure(one: Training, seconds: float, number=number, of=of) -> dict:
            return collect_round(number, sigma, of[one], collect)(one, seconds)

        run_all([one for one in of if finished_result(one) is None], processes, measure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sigma", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--sets", nargs="+", default=[f"{kind}-{share:g}" for kind, share in SETS])
    options = parser.parse_args()
    for seed in options.seeds:
        stock = {}
        for kind, share in (name.split("-") for name in options.sets):
            cell = Cell(kind, float(share), "weighted")
            settings = write_data(cell.data(seed), cell.kind, cell.share, seed)
            stock[cell.data(seed)] = cell.training(seed, settings)
        refine(stock, options.rounds, options.sigma, 1)


if __name__ == "__main__":
    main()
