"""What ema_robust adds to a training step on a GPU: time, kernels, and waits of the host, as the CUDA runtime saw them.

    python benchmarks/overhead/gpu.py            # some five minutes; writes gpu.json beside this file

Times are those of run.py, on the GPU. Kernels, copies and waits are counted by torch's profiler in full training steps:
what launches.py predicts for a loss alone, this measures. Lines of code that wait are those that torch warns of. The
small model is the demo's, where all of a step is launches; the large one has the size of MACE-OFF23 (medium).
"""

import argparse
import json
import platform
import sys
from collections import Counter
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from launches import lines_that_wait
from run import BASES, BATCH, WIDE, SideBySide, compare, make_model, parse_sizes, water_cluster
from torch.profiler import ProfilerActivity, profile

HERE = Path(__file__).parent
MODELS: dict[str, dict[str, Any]] = {
    "small": {"irreps": "16x0e", "r_max": 4.0},
    "large": WIDE,
}
PROFILED = 5  # steps
CALLS = {  # of the CUDA runtime
    "kernels": ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernelEx"),
    "copies": ("cudaMemcpyAsync", "cudaMemcpy"),
    "waits": ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"),
}


def first_batches(trainings: SideBySide, name: str) -> list[Any]:
    """Of an epoch of a loss; a profile of more steps takes minutes to read."""
    return list(islice(trainings.loaders[name], PROFILED))


def calls_per_step(trainings: SideBySide, name: str) -> dict[str, float]:
    """Kernels, copies and waits of a training step with a loss, averaged over a few."""
    batches = first_batches(trainings, name)
    trainings.wait()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for batch in batches:
            trainings.step(name, batch)
    seen = Counter(event.name for event in profiler.events())
    return {kind: sum(seen[call] for call in calls) / len(batches) for kind, calls in CALLS.items()}


def waits_by_line(trainings: SideBySide, name: str) -> Counter[str]:
    """Where the host waits for the GPU in a training step, by torch's own count of operations that synchronise."""
    batches = first_batches(trainings, name)
    with lines_that_wait() as lines:
        for batch in batches:
            trainings.step(name, batch)
    return Counter({line: round(times / len(batches), 2) for line, times in lines.items()})


def measure(base: torch.nn.Module, samples: list[Any], model: torch.nn.Module, steps: int, device: str) -> dict:
    """Times of both losses, and then their calls of the CUDA runtime."""
    trainings = SideBySide(base, samples, model, device)
    found = compare(trainings, steps) | {"weights_come_from_a_fit": trainings.distribution.settled}
    calls = {f"calls_{name}": calls_per_step(trainings, name) for name in trainings.losses}
    if trainings.device.type != "cuda":
        return found | calls
    stock, ours = (waits_by_line(trainings, name) for name in trainings.losses)
    return found | calls | {"waits_of_stock": stock.total(), "waits_added": dict(ours - stock)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.json")
    arguments = parse_sizes(parser, steps=160)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device: there is no CUDA device")
    torch.set_default_dtype(torch.float32)
    results: dict[str, Any] = {}
    for size in arguments.models:
        made = MODELS[size]
        rng = np.random.default_rng(0)
        samples = [water_cluster(rng, made["r_max"]) for _ in range(arguments.configurations)]
        for name, base in BASES.items():
            torch.manual_seed(0)
            own = measure(base(1.0, 100.0), samples, make_model(**made), arguments.steps, arguments.device)
            print(f"{name}, {size}", own, flush=True)
            results[f"{name}, {size}"] = own
            save(arguments.out, arguments.device, results)


def save(path: Path, device: str, results: dict[str, Any]) -> None:
    """What there is by now, with the device and the versions."""
    packages = ("mace-torch", "torch", "e3nn", "numpy", "mace-outlier")
    report = {
        "command": " ".join(["python", *sys.argv]),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version(), "cuda": torch.version.cuda},
        "models": MODELS,
        "batch_size": BATCH,
        "atoms_per_configuration": 15,
        "dtype": "float32",
        "results": results,
    }
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
