"""Does it help another code? graph-pes (PaiNN), by its own trainer, on acetylacetone with 15 % of the energies off.

    pip install ".[graph-pes]"
    python benchmarks/graph_pes/run.py [--seeds 1 2 3]     # some 5 minutes a training; results.csv, README's table

The data are those of benchmarks/real (`acac`, `pm60`: +60 or -60 meV/atom), the training that of
docs/examples/graph_pes_training.py. Arms: all labels as they are, with RobustWeights, and the frames that were not
touched.
"""

import argparse
import csv
import sys
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "real"), str(HERE.parent), str(ROOT / "docs" / "examples")]

import _real_paths  # noqa: F401 (first)
import numpy as np
from ase.io import read
from graph_pes.utils.calculator import GraphPESCalculator
from graph_pes_training import train, typical_energy
from readme_tables import markdown, write_tables
from real_sets import write_data
from source_commit import commit_of

from mace_outlier import RobustWeights

WORK, RESULTS = ROOT / "build" / "graph_pes", HERE / "results.csv"
ARMS = {  # name in the table, training file
    "all labels": "train.xyz",
    "all labels, `RobustWeights`": "train.xyz",
    "frames not touched (oracle)": "train_good.xyz",
}
PACKAGES = ("graph-pes", "torch")


def measure(arm: str, seed: int, epochs: int) -> dict:
    """Train one arm; errors on right labels, and what was found."""
    data = WORK / "data" / f"seed-{seed}"
    write_data(data, "acac", "pm60", seed, "forces")
    frames, test = read(data / ARMS[arm], ":"), read(data / "test.xyz", ":")
    weights = RobustWeights(len(frames), formulas=[str(atoms.symbols) for atoms in frames]) if "Robust" in arm else None
    started = time.monotonic()
    model = train(frames, read(data / "valid.xyz", ":"), weights, epochs, seed)
    row = {"arm": arm, "seed": seed, "epochs": epochs, "seconds": round(time.monotonic() - started)}
    return row | errors(model, test, typical_energy(frames)) | (found(weights, frames) if weights is not None else {})


def errors(model: object, test: list, shift: float) -> dict[str, float]:
    """Root mean square errors, meV/atom and meV/A."""
    calculator, energies, forces = GraphPESCalculator(model), [], []
    for atoms in test:
        energies.append((calculator.get_potential_energy(atoms) - atoms.info["REF_energy"]) / len(atoms) + shift)
        forces.append(calculator.get_forces(atoms) - atoms.arrays["REF_forces"])
    return {
        "energy": 1000 * float(np.sqrt(np.mean(np.square(energies)))),
        "forces": 1000 * float(np.sqrt(np.mean(np.square(np.concatenate(forces))))),
    }


def found(weights: RobustWeights, frames: list) -> dict[str, int]:
    """Wrong labels, those of them with a weight below 1/2, and right labels with one."""
    wrong = np.array([atoms.info["planted"] == 1 for atoms in frames])
    below = weights.table().sort_index().weight.to_numpy() < 0.5
    return {"wrong": int(wrong.sum()), "found": int((below & wrong).sum()), "lost": int((below & ~wrong).sum())}


def table(rows: list[dict]) -> str:
    """Means over the seeds, and ratios to the oracle's."""
    lines = []
    best = [row for row in rows if "oracle" in row["arm"]]
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        energy, forces = (np.mean([float(row[name]) for row in own]) for name in ("energy", "forces"))
        ratios = [energy / np.mean([float(row["energy"]) for row in best])]
        ratios += [forces / np.mean([float(row["forces"]) for row in best])]
        told = (
            [f"{sum(int(row[name]) for row in own)}" for name in ("found", "wrong", "lost")] if own[0]["wrong"] else []
        )
        what = f"{told[0]} of {told[1]}, {told[2]}" if told else "-"
        lines.append([arm, str(len(own)), f"{energy:.1f} / {forces:.0f}", f"{ratios[0]:.2f} / {ratios[1]:.2f}", what])
    return markdown(["trained on", "seeds", "meV/atom / meV/A", "over the oracle's", "found, right ones lost"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = list(csv.DictReader(options.out.open())) if options.out.exists() else []
    for seed in options.seeds:
        for arm in ARMS:
            if not any(row["arm"] == arm and row["seed"] == str(seed) for row in rows):
                versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
                row = dict.fromkeys(("wrong", "found", "lost"), "") | measure(arm, seed, options.epochs)
                rows.append(row | {"versions": versions, "commit": commit_of(ROOT / "mace_outlier")})
                print(rows[-1], flush=True)
                with options.out.open("w", newline="") as file:
                    writer = csv.DictWriter(file, sorted(rows[-1]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
    if options.out == RESULTS:
        write_tables(HERE / "README.md", "graph_pes", {"errors": table(rows)})


if __name__ == "__main__":
    main()
