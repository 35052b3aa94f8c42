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

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from source_commit import PACKAGE, commit_of

from mace_outlier.data.batches import TaggingCollater
from mace_outlier.data.dataset import NumberedDataset
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.tagging import Tag
from mace_outlier.losses.reduction import PerConfigurationLoss
from mace_outlier.losses.robust import RobustLoss
from mace_outlier.mace.invariants import scalar_columns
from mace_outlier.run.steps import GuardedOptimizer, Kept
from mace_outlier.weights.features import Features
from mace_outlier.weights.mixture import MixtureDistribution
from mace_outlier.weights.records import Records
from mace_outlier.weights.weigher import Weigher

HERE = Path(__file__).parent
BASES = {"weighted": modules.WeightedEnergyForcesLoss, "universal": modules.UniversalLoss}
BATCH = 10
WIDE = {"irreps": "128x0e + 128x1o", "correlation": 3, "max_ell": 3, "r_max": 5.0}
FEW_STEPS = 24  # of the wide model, three epochs


def water_cluster(rng: np.random.Generator, cutoff: float = 4.0) -> data.AtomicData:
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
    return data.AtomicData.from_config(data.config_from_atoms(atoms, keys), z_table=table, cutoff=cutoff)


def make_model(irreps: str = "16x0e", correlation: int = 2, max_ell: int = 2, r_max: float = 4.0) -> torch.nn.Module:
    """A MACE for water; by default the demo's."""
    from e3nn import o3

    return modules.ScaleShiftMACE(
        r_max=r_max, num_bessel=8, num_polynomial_cutoff=5, max_ell=max_ell, num_interactions=2, num_elements=2,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        hidden_irreps=o3.Irreps(irreps), MLP_irreps=o3.Irreps("16x0e"), gate=torch.nn.functional.silu,
        atomic_energies=np.zeros((1, 2)), avg_num_neighbors=8.0, atomic_numbers=[1, 8], correlation=correlation,
        atomic_inter_scale=1.0, atomic_inter_shift=0.0,
    )  # fmt: skip


def described(samples: list[Any]) -> Metadata:
    """What a training learns of its samples, which are all of the same molecules."""
    metadata = Metadata(len(samples))
    for row, sample in enumerate(samples):
        force = float(sample.forces.square().mean().sqrt())
        metadata.note(row, Tag("Default", "H10O5", "H10O5", len(sample.forces), force))
    return metadata


class SideBySide:
    """Trainings of one model on the same batches, with the stock loss and with the robust one, step by step in turn."""

    def __init__(self, base: torch.nn.Module, samples: list[Any], model: torch.nn.Module, device: str = "cpu") -> None:
        self.device, self.model, self.size = torch.device(device), model.to(device), len(samples)
        split = PerConfigurationLoss(base, sys.modules["mace.modules.loss"])
        self.distribution = MixtureDistribution(warmup=100).to(self.device)
        self.records = Records(len(samples), self.device, labels=split.labels)
        self.weigher = Weigher(
            self.distribution, self.records, described(samples), Features(self.size, scalar_columns(model))
        )
        self.losses = {"stock": base, "robust": RobustLoss(split, self.weigher)}
        self.loaders = self._loaders(samples)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, amsgrad=True)
        self.optimizers = {"stock": optimizer, "robust": GuardedOptimizer(Kept(optimizer))}
        self.output = {"forces": True, "virials": False, "stress": isinstance(base, modules.UniversalLoss)}

    def _loaders(self, samples: list[Any]) -> dict[str, Any]:
        """The loader of a plain run and of a robust run, in the same order; pinned as by default in MACE."""
        datasets = {"stock": samples, "robust": NumberedDataset(samples, ["energy", "forces"])}
        make, pin = tools.torch_geometric.dataloader.DataLoader, self.device.type != "cpu"
        made = {name: make(dataset, batch_size=BATCH, pin_memory=pin) for name, dataset in datasets.items()}
        made["robust"].collate_fn = TaggingCollater(made["robust"].collate_fn)
        return made

    @property
    def steps_per_epoch(self) -> int:
        return self.size // BATCH

    def step(self, name: str, batch: Any) -> None:
        """One training step, as in MACE's training loop."""
        sys.modules["mace.tools.train"].take_step(
            model=self.model, loss_fn=self.losses[name], batch=batch, optimizer=self.optimizers[name], ema=None,
            output_args=self.output, max_grad_norm=10.0, device=self.device,
        )  # fmt: skip

    def timed_step(self, name: str, batches: Any) -> float:
        """Seconds for one training step, fetching its batch included."""
        self.wait()
        start = time.perf_counter()
        self.step(name, next(batches))
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        """Until all work of the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def epoch(self) -> tuple[dict[str, list[float]], float]:
        """Seconds for each step of an epoch, and for its end."""
        times: dict[str, list[float]] = {name: [] for name in self.losses}
        batches = {name: iter(loader) for name, loader in self.loaders.items()}
        for step in range(self.steps_per_epoch):
            for name in sorted(times, reverse=bool(step % 2)):
                times[name].append(self.timed_step(name, batches[name]))
        return times, self.end_epoch()

    def end_epoch(self) -> float:
        """Seconds for what happens once an epoch: the fit, and the weights of all configurations."""
        self.wait()
        start, records = time.perf_counter(), self.records
        self.weigher.end_epoch()
        self.weigher.safety.refit(self.weigher.remembered)
        self.wait()
        seconds = time.perf_counter() - start
        self.weigher.begin_epoch(records.epoch + 1, self.steps_per_epoch)
        return seconds


def compare(trainings: SideBySide, steps: int) -> dict[str, Any]:
    """Median seconds a step of both losses, and the median ratio of neighbouring steps; the first epoch warms up."""
    times: dict[str, list[float]] = {"stock": [], "robust": []}
    epoch_ends: list[float] = []
    while len(times["stock"]) < steps:
        of_steps, of_end = trainings.epoch()
        epoch_ends.append(of_end)
        for name, seconds in of_steps.items():
            times[name] += seconds
    warm = trainings.steps_per_epoch
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


def wide(arguments: argparse.Namespace) -> dict[str, Any]:
    """A model whose pooled features are projected, with fewer steps: one takes a second."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    rng, number = np.random.default_rng(0), min(arguments.configurations, BATCH * FEW_STEPS // 3)
    samples = [water_cluster(rng, cutoff=WIDE["r_max"]) for _ in range(number)]
    trainings = SideBySide(BASES["weighted"](1.0, 100.0), samples, make_model(**WIDE))
    return compare(trainings, min(arguments.steps, FEW_STEPS))


def parse_sizes(parser: argparse.ArgumentParser, steps: int) -> argparse.Namespace:
    """The command line, with the sizes of a comparison; there has to be more than the epoch that warms up."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--configurations", type=int, default=200)
    arguments = parser.parse_args()
    if not 1 <= arguments.configurations // BATCH < arguments.steps:
        parser.error(f"--configurations: at least {BATCH}, a batch; --steps: more than one epoch, which warms up")
    return arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    arguments = parse_sizes(parser, steps=400)
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
            results[key] = compare(SideBySide(base(1.0, 100.0), samples, make_model()), arguments.steps)
            print(key, {name: round(value, 4) for name, value in results[key].items()}, flush=True)
    results["weighted, float32, 128x0e+128x1o"] = wide(arguments)
    versions = {name: version(name) for name in ("mace-torch", "torch", "mace-outlier")}
    report = {
        "command": " ".join(["python benchmarks/overhead/run.py", *sys.argv[1:]]),
        "commit": commit_of(PACKAGE),
        "versions": versions | {"python": platform.python_version()},
        "threads": arguments.threads,
        "batch_size": BATCH,
        "atoms_per_configuration": 15,
        "results": results,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
