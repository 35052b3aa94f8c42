"""Liquid water from DFT (PBE0-TS, 64 H2O, 320 frames) with and without corrupted labels: stock against ema_robust.

    python benchmarks/dft_water/run.py --data PATH/water_pbe0ts.xyz    # some 40 minutes a seed on 2 cores, resumable

Corruption: 15 % of the training and of the validation frames get an energy that is 60 +- 20 meV/atom too high, and
forces with 165 meV/Angstrom (rms) of random noise of zero sum: the size of what a self-consistent field that was
stopped early did to water clusters (scripts/make_water.py). It is made-up noise on real DFT labels. The labels of the
test set are kept.

Every arm is `mace_run_train` with the same flags but for `--loss`; the oracle sees the good frames only. A seed decides
which frames are which, which labels are wrong, and the training.
"""

import argparse
import json
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from source_commit import PACKAGE, commit_of

HERE = Path(__file__).parent
SHARE, SEEDS = 0.15, (1, 2, 3)
ENERGY_SHIFT, ENERGY_SPREAD, FORCE_NOISE = 0.060, 0.020, 0.165  # eV/atom, eV/atom, eV/Angstrom
FLAGS = [
    "--E0s=average", "--model=MACE", "--hidden_irreps=16x0e", "--num_interactions=2", "--r_max=4.5", "--correlation=2",
    "--max_ell=2", "--batch_size=4", "--valid_batch_size=8", "--lr=0.01", "--default_dtype=float32", "--device=cpu",
    "--energy_weight=10", "--forces_weight=100", "--swa", "--start_swa=12", "--swa_energy_weight=1000", "--ema",
    "--max_num_epochs=16", "--energy_key=REF_energy", "--forces_key=REF_forces", "--plot=False",
]  # fmt: skip
GAUSSIAN = ["--loss=ema_robust", "--ema_robust_distribution=gaussian", "--ema_robust_selection=stock"]
ARMS = {  # name: (data, flags)
    "clean_weighted": ("clean", ["--loss=weighted"]),
    "clean_gaussian": ("clean", GAUSSIAN),
    "clean_mixture": ("clean", ["--loss=ema_robust"]),
    "corrupted_weighted": ("corrupted", ["--loss=weighted"]),
    "corrupted_gaussian": ("corrupted", GAUSSIAN),
    "corrupted_mixture": ("corrupted", ["--loss=ema_robust"]),
    "oracle": ("oracle", ["--loss=weighted"]),
}


def corrupt(frames: list[Atoms], rng: np.random.Generator) -> None:
    """Replace the labels of a share of the frames by wrong ones; `corrupted` in their info tells which."""
    bad = set(rng.choice(len(frames), round(SHARE * len(frames)), replace=False))
    for i, frame in enumerate(frames):
        frame.info["corrupted"] = int(i in bad)
        if i in bad:
            noise = rng.normal(0, FORCE_NOISE, (len(frame), 3))
            frame.arrays["REF_forces"] = frame.arrays["REF_forces"] + noise - noise.mean(0)
            frame.info["REF_energy"] += len(frame) * rng.normal(ENERGY_SHIFT, ENERGY_SPREAD)


def prepare(source: Path, work: Path, seed: int) -> None:
    """Split into 240 training, 40 validation and 40 test frames and write the clean, corrupted and oracle sets."""
    frames = read(source, ":")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(frames))
    splits = {"train": order[:240], "valid": order[240:280], "test": order[280:]}
    for name, indices in splits.items():
        clean = [frames[i] for i in indices]
        write(work / f"clean_{name}.xyz", clean)
        if name == "test":
            continue
        spoiled = [frame.copy() for frame in clean]
        corrupt(spoiled, rng)
        write(work / f"corrupted_{name}.xyz", spoiled)
        write(work / f"oracle_{name}.xyz", [frame for frame in spoiled if not frame.info["corrupted"]])


def train(arm: str, work: Path, flags: list[str]) -> None:
    """Train one arm through MACE's command line; a finished one is kept."""
    data, own = ARMS[arm]
    if (work / arm / f"{arm}_stagetwo.model").exists():
        return
    command = [
        str(Path(sys.executable).with_name("mace_run_train")), f"--name={arm}", f"--work_dir={work / arm}",
        f"--train_file={work / data}_train.xyz", f"--valid_file={work / data}_valid.xyz", *own, *flags,
    ]  # fmt: skip
    print(f"{arm}: training", flush=True)
    (work / arm).mkdir(exist_ok=True)
    with open(work / arm / "output.log", "w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=True)
    print(f"{arm}: done", flush=True)


def test_errors(arm: str, work: Path) -> dict[str, float]:
    """RMSE on the test set: energy in meV/atom, with and without the mean error, and forces in meV/Angstrom."""
    from mace.calculators import MACECalculator

    model = work / arm / f"{arm}_stagetwo.model"
    calculator = MACECalculator(model_paths=str(model), device="cpu", default_dtype="float64")
    energies, forces = [], []
    for frame in read(work / "clean_test.xyz", ":"):
        atoms = frame.copy()
        atoms.calc = calculator
        energies.append((atoms.get_potential_energy() - frame.info["REF_energy"]) / len(frame))
        forces.append(atoms.get_forces() - frame.arrays["REF_forces"])
    energy = np.array(energies)
    rms = lambda values: float(1e3 * np.sqrt(np.mean(np.square(values))))  # noqa: E731
    return {"rmse_e": rms(energy), "rmse_e_shifted": rms(energy - energy.mean()), "rmse_f": rms(np.array(forces))}


def weights(arm: str, work: Path) -> dict[str, float]:
    """Mean weight of good and of corrupted training frames at the newest checkpoint, and how well they separate."""
    import torch
    from sklearn.metrics import roc_auc_score

    data, flags = ARMS[arm]
    if "--loss=ema_robust" not in flags:
        return {}
    checkpoint = max((work / arm / "checkpoints").glob("*_swa.pt"), key=lambda path: path.stat().st_mtime)
    weight = torch.load(checkpoint, weights_only=True)["mace_outlier"]["records"]["weight"].numpy()
    bad = np.array([frame.info.get("corrupted", 0) for frame in read(work / f"{data}_train.xyz", ":")], dtype=bool)
    result = {"mean_weight_good": float(weight[~bad].mean())}
    if bad.any():
        result |= {"mean_weight_bad": float(weight[bad].mean()), "auroc": float(roc_auc_score(bad, -weight))}
    return result


def of_seed(seed: int, source: Path, work: Path, arms: list[str], jobs: int) -> dict[str, dict[str, float]]:
    """Train what is not finished with a seed, and measure all arms."""
    work.mkdir(parents=True, exist_ok=True)
    prepare(source, work, seed)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda arm: train(arm, work, [*FLAGS, f"--seed={seed}"]), arms))
    return {arm: test_errors(arm, work) | weights(arm, work) for arm in arms}


def mean(measured: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each number over the seeds."""
    return {name: float(np.mean([own[name] for own in measured])) for name in measured[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data" / "water_pbe0ts.xyz")
    parser.add_argument("--work", type=Path, default=HERE.parents[1] / "build" / "dft_water")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side, one thread each")
    arguments = parser.parse_args()
    by_seed = {}
    for seed in arguments.seeds:
        by_seed[seed] = of_seed(seed, arguments.data, arguments.work / f"seed-{seed}", arguments.arms, arguments.jobs)
    results = {arm: mean([own[arm] for own in by_seed.values()]) for arm in arguments.arms}
    report = {
        "command": "python benchmarks/dft_water/run.py",
        "commit": commit_of(PACKAGE),
        "versions": {name: version(name) for name in ("mace-torch", "torch", "ase", "mace-outlier")}
        | {"python": platform.python_version()},
        "seeds": arguments.seeds,
        "share": SHARE,
        "flags": FLAGS,
        "arms": results,
        "by_seed": by_seed,
    }
    (HERE / "results.json").write_text(json.dumps(report, indent=1) + "\n")
    for arm, numbers in results.items():
        print(f"{arm:22s}", "  ".join(f"{name} {value:8.3f}" for name, value in numbers.items()))


if __name__ == "__main__":
    main()
