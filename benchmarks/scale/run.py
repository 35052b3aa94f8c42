"""What breaks first in a training of 10^8 configurations on 1,024 processes? Measured to 2 x 10^7, counted beyond.

    python benchmarks/scale/shared.py    # some minutes: the end of an epoch, by 1 to 8 processes
    python benchmarks/scale/one_of.py    # a quarter of an hour: the same in one process of up to 1,024, alone
    python benchmarks/scale/hidden.py    # some minutes: what a training waits for
    python benchmarks/scale/run.py       # a minute; from these and ../records: results.json, tables

Measured here, on one CPU thread: the robust loss of a batch against the number of configurations that the records
hold, and what is held for each configuration. Measured by benchmarks/records: saving and the report. The table has what
was measured, straight lines between, and beyond 2 x 10^7 the slope of the last two: costs are linear in N or constant
there. The end of an epoch is a constant, what N / W configurations cost, and N, and what it costs to save them, all of
them by one process or, from 10^7 on, by each its own, fitted to one_of.json; so is its memory. What the GPUs, their
network and their file system do is assumed (ASSUMED), not measured: none is here.
"""

import json
import math
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mace.modules import loss as mace_losses
from scipy.optimize import nnls

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "overhead"), str(HERE.parent), str(HERE.parents[1] / "scripts")]

from launches import robust, training_batch
from readme_tables import write_tables
from source_commit import PACKAGE, commit_of

from mace_outlier.data.dataset import NumberedDataset
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.run.distributed import LARGE
from mace_outlier.weights.features import EXTRA, WIDEST, Features
from mace_outlier.weights.records import Records

SIZES = [10_000, 100_000, 1_000_000, 2_000_000]
GROWN = [10**4, 10**5, 10**6, 2 * 10**6, 10**7, 10**8]
RANKS = [1, 8, 64, 1024]
GATHERED, SAVED = 4, 82  # bytes a configuration: its weight, to all; its records and evidence, to the first one
SENT = 32  # bytes of a visit, to the process whose share it is in
VALIDATION = 0.05  # configurations of the validation set, of those of the training set
TERMS = "constant", "own", "all", "written", "kept"  # what the end of an epoch costs: at all, for each
# configuration of a process, for each of all of them, for each that a process writes, and that the first one keeps
ASSUMED = {
    "configurations_a_second_of_a_gpu": 640,  # a step of 50 ms, 32 configurations
    "bytes_a_second_between_hosts": 1e9,  # what Gloo gets out of the network, without the GPUs
    "bytes_a_second_of_the_file_system": 1e10,  # of all processes together
    "seconds_a_hop_of_a_collective": 5e-6,
    "processes_on_a_node": 8,
    "bytes_of_a_node": 5e11,
    "bytes_of_a_gpu": 8e10,
    "validation_over_training": VALIDATION / 3,  # in time: of each configuration, a third
    "share_of_an_epoch": 0.02,  # what all of this may cost
}


def step_microseconds(size: int, repeats: int = 300) -> float:
    """One evaluation of the robust loss of three configurations, with its gradient; median."""
    loss = robust(mace_losses.WeightedEnergyForcesLoss(), "settled")
    loss.weigher.records, loss.weigher.features = Records(size), Features(size)
    batch, output = training_batch()
    generator, times = torch.Generator().manual_seed(0), []
    for _ in range(repeats):
        batch["configuration_id"] = torch.randint(size, (3,), generator=generator)
        started = time.perf_counter()
        loss(ref=batch, pred=output).backward()
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


def held(size: int) -> dict[str, float]:
    """Bytes for each configuration, by where they are: on the device of a process, `own` for those that it sees or that
    are in its share, `all` for each; and on its host."""
    records, rows = Records(size), Provenance(["Default"], [[Part("shard.h5", np.arange(size))]])
    metadata, numbers, loss = Metadata(size), torch.arange(size), torch.ones(size)
    records.note(numbers, loss)
    noted = records.visits.columns.nbytes + numbers.nbytes  # what it sees in an epoch
    noted += 4 * size * (EXTRA + WIDEST) + numbers.nbytes  # with features
    known = sum(own.nbytes for own in records.state_dict().values() if isinstance(own, torch.Tensor))
    arrays = [rows.head, rows.source, rows.frame, rows.row_of_position, rows.position_of_row]
    host = sum(array.nbytes for array in (*arrays, metadata.n_atoms, metadata.force))
    host += sum(codes.nbytes for codes in metadata.texts.values())
    host += len(NumberedDataset([None] * size)._state)
    return {"own": (known + noted) / size, "all": records.given.nbytes / size, "host": host / size}


def slope(sizes: list[int], values: list[float]) -> float:
    """Growth for each configuration, from the two largest sizes."""
    return (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])


def costs() -> dict[str, Any]:
    """What is measured, for each configuration or each step."""
    files = [HERE.parent / "records" / name for name in ("results.json", "very_large.json")]
    earlier = [row for file in files for row in json.loads(file.read_text())["results"]]
    sizes = [row["configurations"] for row in earlier]
    names = ("save", "report")
    seconds = {name: {row["configurations"]: row[f"seconds_to_{name}"] for row in earlier} for name in names}
    alone = measured_alone()
    saving = [row["peak_megabytes_saving"] - row["peak_megabytes_before"] for row in earlier]
    return {
        "step_microseconds": {size: round(step_microseconds(size), 1) for size in SIZES},
        "bytes_for_each_configuration": held(SIZES[0]),
        "bytes_of_the_first_process_when_saving": 1e6 * slope(sizes, saving),
        "seconds": seconds,
        "bytes_written": max(row["bytes_written"] / row["configurations"] * row["processes"] for row in alone),
        "end_of_epoch": {name: parts_of(name) for name in ("cpu_seconds", "cpu_seconds_aside", "megabytes")},
    }


def parts_of(name: str) -> dict[str, float]:
    """What the end of an epoch costs, see TERMS.

    Least squares of the relative differences to what was measured; no part is negative.
    """
    rows = measured_alone()
    terms = [terms_of(row["configurations"], row["processes"]) for row in rows]
    wanted = np.array([row[name] for row in rows])
    parts, _ = nnls(np.array(terms) / wanted[:, None], np.ones(len(rows)))
    return dict(zip(TERMS, parts.tolist(), strict=True))


def terms_of(size: int, ranks: int) -> list[float]:
    """What each of TERMS is to be multiplied by."""
    own, written = size / ranks, in_parts(size, ranks)
    return [1.0, own, float(size), own * written, float(size * (ranks > 1 and not written))]


def in_parts(size: int, ranks: int) -> bool:
    """Whether each process saves its share of the configurations."""
    return ranks > 1 and size >= LARGE


def measured_alone() -> list[dict[str, Any]]:
    """What one_of.py measured."""
    return json.loads((HERE / "one_of.json").read_text())["results"]


def of_parts(parts: dict[str, float], size: int, ranks: int) -> float:
    """The cost of `size` configurations on `ranks` processes."""
    return sum(part * term for part, term in zip(parts.values(), terms_of(size, ranks), strict=True))


def at_size(measured: dict[int, float], size: int) -> float:
    """A cost at a size: as measured, on a straight line between two measurements, or on that of the last two beyond."""
    sizes, values = list(measured), list(measured.values())
    if size <= sizes[-1]:
        return float(np.interp(size, sizes, values))
    return values[-1] + slope(sizes, values) * (size - sizes[-1])


def grown(measured: dict[str, Any], size: int, ranks: int) -> dict[str, float]:
    """Costs of a training of `size` configurations on `ranks` processes."""
    held_ = measured["bytes_for_each_configuration"]
    save = at_size(measured["seconds"]["save"], round(VALIDATION * size) if in_parts(size, ranks) else size)
    epoch = size / (ranks * ASSUMED["configurations_a_second_of_a_gpu"])
    hops = 2 * math.ceil(math.log2(ranks)) if ranks > 1 else 0
    steps = size / (32 * ranks)
    fused = steps * hops * ASSUMED["seconds_a_hop_of_a_collective"]
    on_a_node = min(ranks, ASSUMED["processes_on_a_node"])
    end = measured["end_of_epoch"]
    saved, written = (0.0, measured["bytes_written"]) if in_parts(size, ranks) else (SAVED, 0.0)
    sent = size * (GATHERED + saved + SENT / ranks)
    moved = sent / ASSUMED["bytes_a_second_between_hosts"] if ranks > 1 else 0.0
    moved += size * written / ASSUMED["bytes_a_second_of_the_file_system"]
    fit, aside = (of_parts(end[name], size, ranks) for name in ("cpu_seconds", "cpu_seconds_aside"))
    hidden = min(aside + moved, ASSUMED["validation_over_training"] * epoch)
    held_at_the_end = 1e6 * of_parts(end["megabytes"], size, ranks)
    return {
        "epoch": epoch,
        "device": size * (held_["own"] / ranks + held_["all"]) / ASSUMED["bytes_of_a_gpu"],
        "node": size
        * (on_a_node * held_["host"] + measured["bytes_of_the_first_process_when_saving"])
        / ASSUMED["bytes_of_a_node"]
        + on_a_node * held_at_the_end / ASSUMED["bytes_of_a_node"],
        "collectives": fused / epoch,
        "fit": (fit + moved) / epoch,
        "waits": (fit - hidden + moved) / epoch,
        "save": save / epoch,
    }


WORDS = {
    "device": "memory of a GPU", "node": "memory of a node", "collectives": "collectives of the steps",
    "waits": "the end of an epoch", "save": "saving",
}  # fmt: skip


def breaks_first(cost: dict[str, float]) -> str:
    """The bound that is exceeded most, or the one that is nearest."""
    allowed = {name: 1.0 if name in ("device", "node") else ASSUMED["share_of_an_epoch"] for name in WORDS}
    name = max(WORDS, key=lambda name: cost[name] / allowed[name])
    times = cost[name] / allowed[name]
    return f"**{WORDS[name]}**, {times:.1f} x too much" if times > 1 else f"none ({WORDS[name]}: {100 * times:.0f} %)"


def table(measured: dict[str, Any]) -> str:
    """Markdown: configurations down, costs across."""
    names = "GPU memory | node memory | collectives | end of an epoch | save"
    lines = [f"| configurations | processes | epoch | {names} | what breaks first |", "|---" * 9 + "|"]
    for size in GROWN:
        for ranks in RANKS:
            cost = grown(measured, size, ranks)
            parts = [f"{100 * cost[name]:.2g} %" for name in WORDS]
            epoch = f"{cost['epoch']:.3g} s"
            lines.append(f"| {size:,} | {ranks} | {epoch} | {' | '.join(parts)} | {breaks_first(cost)} |")
    return "\n".join(lines) + "\n"


def table_of_one() -> str:
    """Markdown: what one_of.py measured."""
    lines = ["| configurations | processes | CPU time | of it beside the validation | memory |", "|---" * 5 + "|"]
    for row in measured_alone():
        of_run = f"{row['configurations']:,} | {row['processes']:,}"
        times = f"{row['cpu_seconds']:.2f} s | {row['cpu_seconds_aside']:.2f} s"
        lines.append(f"| {of_run} | {times} | {row['megabytes'] / 1e3:.2f} GB |")
    return "\n".join(lines) + "\n"


def table_of_waits() -> str:
    """Markdown: what hidden.py measured."""
    lines = ["| configurations | processes | validation | waits, not hidden | waits, hidden |", "|---" * 5 + "|"]
    for row in json.loads((HERE / "hidden.json").read_text())["results"]:
        of_run = f"{row['configurations']:,} | {row['processes']} | {row['validation']:.1f} s"
        lines.append(f"| {of_run} | {row['seconds_not_hidden']:.2f} s | {row['seconds']:.2f} s |")
    return "\n".join(lines) + "\n"


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    measured = costs()
    rows = [{"size": n, "ranks": w} | grown(measured, n, w) for n in GROWN for w in RANKS]
    packages = {name: version(name) for name in ("torch", "mace-torch", "mace-outlier")}
    about = {
        "command": "python benchmarks/scale/run.py",
        "commit": commit_of(PACKAGE),
        "versions": packages | {"python": platform.python_version()},
    }
    content = about | {"assumed": ASSUMED, "measured": measured, "grown": rows}
    (HERE / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    write_tables(
        HERE / "README.md", "scale", {"grown": table(measured), "waits": table_of_waits(), "one": table_of_one()}
    )
    print(json.dumps(measured, indent=1))
    print(table(measured))


if __name__ == "__main__":
    main()
