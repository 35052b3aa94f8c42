"""Cost of the records for large training sets: memory, an epoch, the fit, saving, the report. Nothing is trained.

    python benchmarks/records/run.py            # about three minutes; writes results.json and records.png beside it

For each number of configurations a process of its own makes up losses as a training leaves them (log-normal, 5 % of the
labels wrong, 20,000 molecules, HDF5 shards of 100,000), notes them in the records batch by batch, ends an epoch, fits
two populations, and saves; another one runs `mace_outlier report` on what was saved. Peak memory is the resident set of
the whole process.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from source_commit import PACKAGE, commit_of

HERE = Path(__file__).parent
SIZES = [10_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000]
SHARD, FORMULAS, BATCH, BAD = 100_000, 20_000, 1_000, 0.05
FEATURES = 32  # of the model, pooled: those of 16x0e and two layers, without their spread


def simulate(size: int, prefix: Path, fitting: bool = True) -> dict[str, Any]:
    """Fill the records of a training set, end an epoch, save, and fit; the cost of each."""
    import torch

    from mace_outlier.data.metadata import Metadata
    from mace_outlier.data.provenance import Part, Provenance
    from mace_outlier.results.files import TRAIN
    from mace_outlier.run.logbook import Logbook
    from mace_outlier.run.options import Options
    from mace_outlier.run.tables import Split
    from mace_outlier.weights.by_head import tallied
    from mace_outlier.weights.records import Records
    from mace_outlier.weights.running import GaussianDistribution

    torch.set_num_threads(1)
    before = peak_megabytes()
    started = time.perf_counter()
    shards = [
        Part(f"train/shard_{i:04d}.h5", np.arange(min(SHARD, size - i * SHARD))) for i in range(-(-size // SHARD))
    ]
    rows, metadata, records = Provenance(["Default"], [shards]), Metadata(size), Records(size)
    describe(metadata, size)
    made = time.perf_counter()
    distribution = GaussianDistribution()
    generator = torch.Generator().manual_seed(0)
    for ids in torch.randperm(size, generator=generator).split(BATCH):
        losses = torch.exp(torch.randn(len(ids), generator=generator))
        losses += 30 * (torch.rand(len(ids), generator=generator) < BAD)
        heads = torch.zeros(len(ids), dtype=torch.long)
        distribution.update(losses, heads, losses > 0)
        errors = torch.stack((0.01 * losses.sqrt(), 0.1 * losses.sqrt()))
        records.note(ids, losses, *distribution.weigh(losses, heads)[:2], errors)
    logbook = Logbook(Options(), [Split(TRAIN, rows, metadata, records)], prefix)
    seen = time.perf_counter()
    records.end_epoch()
    logbook.end_epoch("stage_one", distribution.describe(), tallied(records, 1))
    ended = time.perf_counter()
    logbook.save(finished=True)
    saved, peak = time.perf_counter(), peak_megabytes()
    fitted, found = fit(records, metadata) if fitting else (float("nan"), float("nan"))
    tensors = records.state_dict().values()
    return {
        "configurations": size,
        "records_megabytes": sum(own.nbytes for own in tensors if isinstance(own, torch.Tensor)) / 1e6,
        "seconds_to_start": made - started,
        "seconds_to_end_an_epoch": ended - seen,
        "seconds_to_save": saved - ended,
        "seconds_to_fit": fitted,
        "share_found": found,
        "peak_megabytes_before": before,
        "peak_megabytes_saving": peak,
        "peak_megabytes_fitting": peak_megabytes(),
        "table_megabytes": sum(path.stat().st_size for path in prefix.parent.glob("*_outliers.[cp]*")) / 1e6,
    }


def fit(records: Any, metadata: Any) -> tuple[float, float]:
    """Seconds of the fit of an epoch, when wrong labels are known from the one before, and the share that it finds."""
    import torch

    from mace_outlier.weights.distribution import Remembered
    from mace_outlier.weights.features import EXTRA
    from mace_outlier.weights.mixture import MixtureDistribution
    from mace_outlier.weights.remembered import seen_of

    distribution, size, rows = MixtureDistribution(), len(records), np.arange(len(records))
    generator = torch.Generator().manual_seed(1)
    residuals = {name: records.column(name).clone() for name in records.residual_names}
    residuals["energy_error_per_atom"] *= torch.where(torch.rand(size, generator=generator) < 0.5, -1.0, 1.0)
    usable = records.loss > 0
    features = torch.randn(size, EXTRA + FEATURES, generator=generator)
    seconds = 0.0
    for _ in range(3):
        started = time.perf_counter()
        seen = seen_of(residuals, records.time, features, None, metadata, rows)
        of_head = np.where(usable.numpy(), 0, -1)
        distribution.refit(Remembered(records.loss, records.head.long(), usable, usable, seen, rows, of_head, size))
        seconds = time.perf_counter() - started
    return seconds, distribution.describe()[0]["share"]


def describe(metadata: Any, size: int) -> None:
    """config_types, formulas and sizes for all rows, without making two million samples first."""
    import torch

    from mace_outlier.data.tagging import Tag

    def note(row: int, kind: int) -> None:
        carbon, hydrogen = 1 + kind % 40, 1 + kind // 40
        formula = f"C{carbon}H{hydrogen}"
        tag = Tag(f"subset {kind % 7}", formula, f"{formula} {kind:016x}", carbon + hydrogen, 0.5 + (row % 100) / 100)
        metadata.note(row, tag)

    kinds = min(size, FORMULAS)
    for kind in range(kinds):
        note(kind, kind)
    source = torch.arange(size) % kinds
    metadata.n_atoms = metadata.n_atoms[source]
    metadata.texts = {name: codes[source] for name, codes in metadata.texts.items()}


def peak_megabytes() -> float:
    """Largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def report(prefix: Path) -> dict[str, Any]:
    """The report of a saved run in a process of its own: seconds, peak memory, size of the page."""
    code = (
        "import resource, sys; from mace_outlier.__main__ import main; main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "report", str(prefix)], check=True, capture_output=True, text=True
    )
    return {
        "seconds_to_report": time.perf_counter() - started,
        "peak_megabytes_reporting": int(done.stdout.split()[-1]) / 1e3,
        "page_megabytes": prefix.with_name(prefix.name + "_outliers.html").stat().st_size / 1e6,
    }


def measure(size: int, *more: str) -> dict[str, Any]:
    """All costs for one number of configurations."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "simulated_run-1"
        command = [sys.executable, __file__, "--simulate", str(size), str(prefix), *more]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1]) | report(prefix)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Time and memory against the number of configurations."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    sizes = [result["configurations"] for result in results]
    times = {"report": "#D55E00", "fit": "#CC79A7", "save": "#0072B2", "start": "#999999", "end_an_epoch": "#009E73"}
    for name, colour in times.items():
        seconds = [result[f"seconds_to_{name}"] for result in results]
        left.loglog(sizes, seconds, "o-", color=colour, label=name.replace("_", " "))
    left.set_ylabel("seconds")
    memories = {
        "peak_megabytes_reporting": ("report, whole process", "#D55E00"),
        "peak_megabytes_fitting": ("training process, end of an epoch", "#CC79A7"),
        "peak_megabytes_saving": ("training process when saving", "#0072B2"),
        "table_megabytes": ("table on disk", "#E69F00"),
        "records_megabytes": ("records on the device", "#009E73"),
        "page_megabytes": ("page", "#999999"),
    }
    for name, (label, colour) in memories.items():
        right.loglog(sizes, [result[name] for result in results], "o-", color=colour, label=label)
    right.set_ylabel("MB")
    for axes in (left, right):
        axes.set_xlabel("training configurations")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--without_fit", action="store_true", help="which takes 1 kB of memory for each configuration")
    parser.add_argument("--simulate", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.simulate:
        size, prefix = arguments.simulate
        print(json.dumps(simulate(int(size), Path(prefix), not arguments.without_fit)))
        return
    results = []
    for size in arguments.sizes:
        results.append(measure(size, *(["--without_fit"] if arguments.without_fit else [])))
        print({name: round(value, 2) for name, value in results[-1].items()}, flush=True)
    content = {
        "command": " ".join(["python", "benchmarks/records/run.py", *sys.argv[1:]]),
        "commit": commit_of(PACKAGE),
        "versions": {name: version(name) for name in ("torch", "mace-outlier", "pandas", "pyarrow", "matplotlib")}
        | {"python": platform.python_version()},
        "results": results,
    }
    (arguments.out / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    draw(results, arguments.out / "records.png")


if __name__ == "__main__":
    main()
