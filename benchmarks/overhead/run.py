"""Time of a training step with ema_robust against the stock loss, interleaved in one process.

    python benchmarks/overhead/run.py            # about a minute; writes results.json beside this file

A step is what MACE's training loop does for a batch: fetch and collate 10 configurations, forward, loss, backward,
optimiser. Both losses train the same model on the same batches in turn (A B B A ...); the median of the ratios of
neighbouring steps is robust to a machine whose speed drifts. Data: water clusters of 5 molecules, made here.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mace.cli.run_train as run_train
import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from mace import data, modules, tools

from mace_outlier.dataset import NumberedDataset, TaggingCollater
from mace_outlier.loss import RobustLoss
from mace_outlier.mixture import MixtureDistribution
from mace_outlier.records import Records
from mace_outlier.reduction import PerConfigurationLoss
from mace_outlier.weighting import Remembered

HERE = Path(__file__).parent
BASES = {"weighted": modules.WeightedEnergyForcesLoss, "universal": modules.UniversalLoss}
BATCH = 10


def water_cluster(rng: np.random.Generator) -> data.AtomicData:
    """Five water molecules in random orientation around the corners of a square pyramid, with made-up labels."""
    corners = 2.9 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.5, 0.5, 0.8]])
    atoms = Atoms()
    for corner in corners:
        water = molecule("H2O")
        water.rotate(rng.uniform(0, 360), rng.normal(size=3))
        water.translate(corner - water.get_center_of_mass() + rng.normal(0, 0.1, 3))
        atoms += water
    atoms.info["REF_energy"] = rng.normal()
    atoms.arrays["REF_forces"] = rng.normal(size=(len(atoms), 3))
    keys = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})
    table = tools.AtomicNumberTable([1, 8])
    return data.AtomicData.from_config(data.config_from_atoms(atoms, keys), z_table=table, cutoff=4.0)


def make_model() -> torch.nn.Module:
    """The demo's model."""
    from e3nn import o3

    return modules.ScaleShiftMACE(
        r_max=4.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=2, num_interactions=2, num_elements=2,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        hidden_irreps=o3.Irreps("16x0e"), MLP_irreps=o3.Irreps("16x0e"), gate=torch.nn.functional.silu,
        atomic_energies=np.zeros((1, 2)), avg_num_neighbors=8.0, atomic_numbers=[1, 8], correlation=2,
        atomic_inter_scale=1.0, atomic_inter_shift=0.0,
    )  # fmt: skip


def loaders(samples: list[Any]) -> tuple[Any, Any]:
    """The loader of a plain run and of a robust run, with the same order of samples."""
    make = tools.torch_geometric.dataloader.DataLoader
    plain, ours = (
        make(samples, batch_size=BATCH),
        make(NumberedDataset(samples, ["energy", "forces"]), batch_size=BATCH),
    )
    ours.collate_fn = TaggingCollater(ours.collate_fn)
    return plain, ours


def time_step(iterator: Any, loss: torch.nn.Module, model: torch.nn.Module, optimizer: Any, output: Any) -> float:
    """Seconds for one training step, fetching its batch included."""
    start = time.perf_counter()
    sys.modules["mace.tools.train"].take_step(
        model=model, loss_fn=loss, batch=next(iterator), optimizer=optimizer, ema=None, output_args=output,
        max_grad_norm=10.0, device=torch.device("cpu"),
    )  # fmt: skip
    return time.perf_counter() - start


def compare(base: torch.nn.Module, samples: list[Any], steps: int) -> dict[str, Any]:
    """Median seconds a step of both losses, and the median ratio of neighbouring steps."""
    split, distribution = PerConfigurationLoss(base, sys.modules["mace.modules.loss"]), MixtureDistribution(warmup=100)
    records = Records(len(samples), stress="stress" in split.labels)
    robust = RobustLoss(split, distribution, records)
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    output = {"forces": True, "virials": False, "stress": isinstance(base, modules.UniversalLoss)}
    times: dict[str, list[float]] = {"stock": [], "robust": []}
    epoch_ends: list[float] = []
    arms = dict(zip(times, zip(loaders(samples), (base, robust), strict=True), strict=True))
    while len(times["stock"]) < steps:
        iterators = {name: iter(loader) for name, (loader, _) in arms.items()}
        for step in range(len(samples) // BATCH):
            for name in sorted(arms, reverse=bool(step % 2)):
                times[name].append(time_step(iterators[name], arms[name][1], model, optimizer, output))
        epoch_ends.append(end_epoch(distribution, records))
        records.begin_epoch(records.epoch + 1, len(samples) // BATCH)
    warm = len(samples) // BATCH
    stock, ours = np.array(times["stock"][warm:]), np.array(times["robust"][warm:])
    return {
        "steps": len(stock),
        "median_stock_ms": 1e3 * statistics.median(stock),
        "median_robust_ms": 1e3 * statistics.median(ours),
        "ratio_of_medians": float(np.median(ours) / np.median(stock)),
        "median_of_ratios": float(np.median(ours / stock)),
        "steps_per_epoch": warm,
        "median_end_of_epoch_ms": 1e3 * statistics.median(epoch_ends),
        "ratio_with_end_of_epoch": float(np.median(ours / stock) + np.median(epoch_ends) / (warm * np.median(stock))),
    }


def end_epoch(distribution: MixtureDistribution, records: Records) -> float:
    """Seconds for what happens once an epoch: the fit, and the weights of all configurations."""
    start = time.perf_counter()
    records.end_epoch()
    usable, kinds = records.loss > 0, np.ones((len(records), 2), dtype=np.int64)
    errors, heads = records.column("energy_error"), records.head.long()
    judged = distribution.refit(Remembered(records.loss, errors, heads, usable, records.time, kinds))
    if judged is not None:
        records.judge(usable, *judged)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    if not 1 <= arguments.configurations // BATCH < arguments.steps:
        parser.error(f"--configurations: at least {BATCH}, a batch; --steps: more than one epoch, which warms up")
    torch.set_num_threads(arguments.threads)
    assert run_train  # loads all of MACE's training, as a run does
    results: dict[str, Any] = {}
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        samples = [water_cluster(rng) for _ in range(arguments.configurations)]
        for name, base in BASES.items():
            key = f"{name}, {str(dtype).removeprefix('torch.')}"
            results[key] = compare(base(1.0, 100.0), samples, arguments.steps)
            print(key, {name: round(value, 4) for name, value in results[key].items()}, flush=True)
    versions = {name: version(name) for name in ("mace-torch", "torch", "mace-outlier")}
    report = {
        "command": "python benchmarks/overhead/run.py",
        "versions": versions | {"python": platform.python_version()},
        "threads": arguments.threads,
        "batch_size": BATCH,
        "atoms_per_configuration": 15,
        "results": results,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
