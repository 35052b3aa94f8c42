"""The end of an epoch, shared by processes (gloo): CPU time, memory, and whether all think the same. No training.

    python benchmarks/scale/shared.py                         # some minutes on two cores; writes shared.json
    python benchmarks/scale/shared.py --sizes 2000000 --processes 1 8

Made-up errors of `--sizes` configurations, 5 % of which are wrong, of 20,000 molecules, with 96 features, seen in any
order by so many processes. Three epochs; the numbers are those of the last. CPU time is that of a process: of its own
work, the part of that which a training does beside its validation (`aside`), and in collectives (`exchanging`), where
Gloo waits actively for the others; all of them share two cores here. Memory is the largest resident set, above that
before.
"""

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
import torch.multiprocessing as multiprocessing

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

from source_commit import commit_of

from mace_outlier.data.metadata import Metadata
from mace_outlier.method.processes import Processes
from mace_outlier.method.settings import Settings
from mace_outlier.run import distributed
from mace_outlier.weights.features import EXTRA, WIDEST, Features
from mace_outlier.weights.mixture import MixtureDistribution
from mace_outlier.weights.records import Records
from mace_outlier.weights.safety import Safety
from mace_outlier.weights.weigher import Weigher

SIZES, PROCESSES, EPOCHS, MOLECULES, BATCH, WRONG = [20_000, 200_000, 2_000_000], [1, 2, 4, 8], 3, 20_000, 20_000, 0.05

COLLECTIVES = ("all_reduce", "all_gather", "all_to_all_single")

Row = dict[str, Any]


def metadata_of(size: int) -> Metadata:
    """What is known of made-up molecules of 50 atoms."""
    metadata, molecule = Metadata(size), np.arange(size) % MOLECULES
    metadata.n_atoms.fill_(50)
    metadata.force.fill_(1.0)
    for name, text in (("config_type", "Default"), ("formula", "C20H30"), ("molecule", "C20H30")):
        code = metadata._code(text)
        metadata.texts[name].fill_(code)
    metadata.texts["molecule"].copy_(torch.from_numpy(molecule + 1))
    return metadata


def measure(rank: int, processes: int, size: int, folder: str) -> None:
    """One process: three epochs; leaves what it measured in the folder."""
    weigher = begun(rank, processes, size, folder)
    before, found = reset_peak(), {}
    for epoch in range(EPOCHS):
        see(weigher, epoch, rank, processes)
        started, aside, exchanging = time.perf_counter(), [0.0], [0.0]
        work = lambda spent=exchanging: time.process_time() - spent[0]  # noqa: E731
        used = work()
        with timed(Safety, "_weigh", aside, work), ExitStack() as stack:
            for collective in COLLECTIVES:
                stack.enter_context(timed(torch.distributed, collective, exchanging, time.process_time))
            weigher.end_epoch()
            weigher.safety.refit(weigher.remembered)
        found = {"seconds": time.perf_counter() - started, "cpu_seconds": work() - used}
        found |= {"cpu_seconds_aside": aside[0], "cpu_seconds_exchanging": exchanging[0]}
    leave(found | {"megabytes": peak() - before}, weigher, rank, folder)


@contextmanager
def timed(of: Any, name: str, seconds: list[float], clock: Callable[[], float]) -> Iterator[None]:
    """Add the time that a function of a class or module takes, within the context, to `seconds`."""
    original = getattr(of, name)

    def measured(*arguments: Any, **named: Any) -> Any:
        started = clock()
        result = original(*arguments, **named)
        seconds[0] += clock() - started
        return result

    setattr(of, name, measured)
    try:
        yield
    finally:
        setattr(of, name, original)


def begun(rank: int, processes: int, size: int, folder: str, of: Processes | None = None) -> Weigher:
    """A weigher of made-up configurations in one of so many processes; `of`: these are they."""
    torch.set_num_threads(1)
    if processes > 1:
        store = f"file://{folder}/store"
        torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=processes)
    records = Records(size, processes=of or distributed.processes(torch.device("cpu")))
    known = records, metadata_of(size), Features(size), ["Default"], distributed.shared_sum()
    return Weigher(MixtureDistribution(settings=Settings()), *known)


def see(weigher: Weigher, epoch: int, rank: int, processes: int) -> None:
    """Let a process see its part of an epoch, and wait for the others."""
    size = weigher.records.size
    order = torch.from_numpy(np.random.default_rng(epoch).permutation(size))[rank::processes]
    weigher.begin_epoch(epoch, -(-size // BATCH))  # whoever sees a configuration sees it in the same step
    energy, force = errors_of(size, epoch)
    for rows in order.split(max(BATCH // processes, 1)):
        note(weigher, rows, energy, force)
        weigher.features.noted.add(rows, noted_of(rows, force[rows]))
    if processes > 1:
        torch.distributed.barrier()


def note(weigher: Weigher, rows: torch.Tensor, energy: torch.Tensor, force: torch.Tensor) -> None:
    """Note losses and errors of a batch, of the errors (N,) of all."""
    weigher.records.note(rows, 100 * force[rows].square(), residuals=(energy[rows], force[rows]))


def leave(found: dict[str, Any], weigher: Weigher, rank: int, folder: str) -> None:
    """Leave what was measured, and the weights, in a folder."""
    weights = weigher.records.given.numpy()
    found["suspects"] = int((weights < 0.5).sum())
    found["weights"] = hashlib.sha256(weights.tobytes()).hexdigest()
    if not rank:
        np.save(Path(folder, "weights.npy"), weights)
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # left to the end of Python, its threads abort now and then


def errors_of(size: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of energies and forces of all configurations (N,), the same in every process."""
    lasting, of_epoch = np.random.default_rng(1234), np.random.default_rng(epoch)
    wrong, hard = lasting.random(size) < WRONG, lasting.normal(size=size)
    energy = 0.01 * np.exp(0.3 * hard) * of_epoch.normal(size=size) + 0.1 * wrong
    force = 0.1 * np.exp(0.3 * hard + 0.1 * of_epoch.normal(size=size))
    return torch.from_numpy(energy).float(), torch.from_numpy(force).float()


def noted_of(rows: torch.Tensor, force: torch.Tensor) -> torch.Tensor:
    """What is noted of configurations: predicted force, nothing of conditions, features."""
    features = torch.sin(rows[:, None].float() * torch.arange(1, WIDEST + 1) * 0.37)
    return torch.cat((force[:, None], torch.full((len(rows), EXTRA - 1), torch.nan), features), dim=1)


def reset_peak() -> float:
    """The resident set of this process, MB, from which on `peak` counts."""
    Path("/proc/self/clear_refs").write_text("5")
    return _megabytes("VmRSS")


def peak() -> float:
    """Largest resident set of this process since `reset_peak`, MB; Linux."""
    return _megabytes("VmHWM")


def _megabytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{name}:"))


def shared(size: int, processes: int, measure: Callable[..., None] = measure, *more: Any) -> tuple[Row, np.ndarray]:
    """What so many processes need, the most of any of them, and the weights (N,) that all come to."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(measure, args=(processes, size, folder, *more), nprocs=processes)
        found = [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(processes)]
        weights = np.load(Path(folder, "weights.npy"))
    assert len({one["weights"] for one in found}) == 1, "the processes don't agree"
    most = {name: round(max(one[name] for one in found), 3) for name in found[0] if name not in ("suspects", "weights")}
    return {"configurations": size, "processes": processes} | most | {"suspects": found[0]["suspects"]}, weights


def arguments(about: str | None, sizes: list[int], processes: list[int], out: Path) -> argparse.Namespace:
    """What such a program is asked for, with its defaults; each of its processes has one thread."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    parser.add_argument("--processes", type=int, nargs="+", default=processes)
    parser.add_argument("--out", type=Path, default=out)
    os.environ["OMP_NUM_THREADS"] = "1"
    return parser.parse_args()


def main() -> None:
    options = arguments(__doc__, SIZES, PROCESSES, HERE / "shared.json")
    rows = []
    for size in options.sizes:
        first: np.ndarray | None = None
        for processes in options.processes:
            row, weights = shared(size, processes)
            first = weights if first is None else first
            rows.append(row | {"largest_difference_of_weights": float(np.abs(weights - first).max())})
            print(rows[-1], flush=True)
    write(options.out, "shared", rows)


def write(path: Path, program: str, rows: list[Row]) -> None:
    """Write what was measured, with command, commit and versions."""
    packages = {name: version(name) for name in ("torch", "numpy", "mace-outlier")}
    about = {"command": f"python benchmarks/scale/{program}.py", "commit": commit_of(HERE.parents[1] / "mace_outlier")}
    content = about | {"versions": packages | {"python": platform.python_version()}, "results": rows}
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
