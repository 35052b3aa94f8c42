"""SPICE's HDF5 to what MACE trains on: shards of MACE's HDF5 or of an ASE LMDB, split by molecule, with statistics.

    python scripts/prepare_spice.py SPICE-2.0.1.hdf5 --out data/spice --workers 8

converts hartree and bohr to eV and Angstrom, gradients to forces, keeps wrong, NaN and missing labels (to find them is
the plugin's job) and prints the mace_run_train line to use. `index.parquet` says which conformation of SPICE each
configuration is: `spice_folder.origin(index, source, frame)` for a row of `mace_outlier report`.

Killed at any moment and called again with the same settings, it goes on; a finished folder is never written to.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded: a worker is one thread

from ase.data import chemical_symbols
from spice_folder import SUFFIXES, Folder, write_json
from spice_plan import SPLITS, Shard, assign, choose, digest, limit, shards_of
from spice_reading import Labels, open_spice, scan
from spice_statistics import Statistics, compute, read_e0s, summarise
from spice_writing import Task, write_shard
from tqdm import tqdm

NOT_SETTINGS = ("source", "out", "workers", "E0s_unit")  # what the data don't depend on, or that is noted otherwise
OLDEST_MACE = (0, 3, 14)  # that reads what we write in HDF5 and LMDB
SHARD_SIZE = 5000  # MACE keeps all files open, and systems allow 1024
FAR = 20.0  # eV/atom: no molecule is bound by so much


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("source", type=Path, help="SPICE's HDF5 file, version 1 or 2")
    add("--out", type=Path, required=True, help="new folder")
    add("--format", choices=list(SUFFIXES), default="hdf5", help="default hdf5; xyz: a file for each split, small sets")
    add("--energy", default="dft_total_energy", help="dataset of the energies (default dft_total_energy)")
    add("--gradient", default="dft_total_gradient", help="dataset of the gradients (default dft_total_gradient)")
    add("--subsets", nargs="+", default=[], help="only subsets with one of these texts in their names")
    add("--elements", nargs="+", default=[], help="only molecules that have none but these elements: H C N O")
    add("--limit", type=int, help="only so many conformations, of molecules at random")
    add("--max_force", type=float, help="leave out conformations with a larger force on an atom, eV/A (default: none)")
    add("--valid", type=float, default=0.05, help="share of the molecules for validation (default 0.05)")
    add("--test", type=float, default=0.05, help="share of the molecules for the test (default 0.05)")
    add("--seed", type=int, default=1, help="of split and order (default 1)")
    add("--E0s", default="average", help="average (default), isolated (from the file's attribute), or a JSON file")
    add("--E0s_unit", choices=("hartree", "eV"), help="unit of that JSON file")
    add("--r_max", type=float, default=5.0, help="cutoff in Angstrom, for the number of neighbours (default 5.0)")
    add("--shard_size", type=int, help=f"configurations in a file (default {SHARD_SIZE})")
    add("--workers", type=int, default=1, help="processes (default 1), of some 0.35 GB each")
    options = parser.parse_args(arguments)
    for name in ("limit", "max_force", "r_max", "shard_size", "workers"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            parser.error(f"--{name} {value}: it must be greater than 0")
    if min(options.valid, options.test) < 0 or options.valid + options.test >= 1:
        parser.error(f"--valid {options.valid} --test {options.test}: shares of 0 or more, and less than 1 together")
    if options.format == "xyz" and options.shard_size:
        parser.error(f"--shard_size {options.shard_size}: with --format xyz, each split is one file")
    options.shard_size = options.shard_size or (sys.maxsize if options.format == "xyz" else SHARD_SIZE)
    mace = version("mace-torch")
    if options.format != "xyz" and tuple(map(int, re.findall(r"\d+", mace)[:3])) < OLDEST_MACE:
        oldest = ".".join(map(str, OLDEST_MACE))
        parser.error(f"--format {options.format}: mace-torch {mace} can't read it; needs {oldest}, or --format xyz")
    if options.format == "lmdb" and ":" in str(options.out):
        parser.error(f"--out {options.out}: MACE separates the paths of LMDBs by ':', so it must not be in one")
    return options


# --- plan -------------------------------------------------------------------------------------------------------------


def plan(options: argparse.Namespace) -> list[Shard]:
    """Look at all molecules; return what goes where."""
    labels = Labels(options.energy, options.gradient)
    with open_spice(options.source) as file:
        found = tqdm(scan(file, labels), total=len(file), desc="molecules", unit="")
        molecules = choose(found, options.subsets, options.elements)
    splits = assign(limit(molecules, options.limit, options.seed), options.valid, options.test, options.seed)
    return [shard for split in SPLITS for shard in shards_of(split, splits[split], options.shard_size)]


def elements_of(shards: Sequence[Shard]) -> list[int]:
    """Atomic numbers that occur in any split; some only outside of the training set are a warning."""
    found: dict[str, set[int]] = {split: set() for split in SPLITS}
    for shard in shards:
        found[shard.split].update(*(piece.molecule.elements for piece in shard.pieces))
    unseen = (found["valid"] | found["test"]) - found["train"]
    if unseen:
        symbols = ", ".join(chemical_symbols[z] for z in sorted(unseen))
        logging.warning(f"no training molecule has {symbols}, but one of validation or test has: mind their errors")
    return sorted(set().union(*found.values()))


def manifest_of(options: argparse.Namespace, shards: Sequence[Shard], e0s: dict[int, float] | None) -> dict[str, Any]:
    """What the data depend on, and what they were made with."""
    settings = {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS}
    settings["E0s"] = e0s or "average"
    source = {
        "path": str(options.source.resolve()),
        "bytes": options.source.stat().st_size,
        "molecules": digest(shards),
    }
    packages = {name: version(name) for name in ("mace-torch", "mace-outlier", "ase", "h5py", "numpy")}
    return {"source": source, "settings": settings, "versions": packages}


# --- conversion -------------------------------------------------------------------------------------------------------


def convert(task: Task, shards: Sequence[Shard], workers: int) -> None:
    """Write the shards that are not yet finished."""
    folder = Folder(task.out, task.format)
    missing = [shard for shard in shards if not folder.has(shard)]
    total = sum(shard.size for shard in shards)
    done = total - sum(shard.size for shard in missing)
    with tqdm(total=total, initial=done, desc="configurations", unit="") as bar:
        for count in _write_all(task, missing, workers):
            bar.update(count)


def _write_all(task: Task, shards: Sequence[Shard], workers: int) -> Iterator[int]:
    if workers == 1:
        yield from (write_shard(task, shard) for shard in shards)
        return
    with ProcessPoolExecutor(workers, initializer=_begin_worker) as pool:
        try:
            for finished in as_completed([pool.submit(write_shard, task, shard) for shard in shards]):
                yield finished.result()
        except BrokenProcessPool:
            raise ValueError(
                "a worker was killed (by lack of memory?): finished shards are kept; call this again with fewer workers"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, which lets a shard be finished; end with a parent that is killed, which can't."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # what it was writing is unfinished, and known to be


# --- what was made ----------------------------------------------------------------------------------------------------


def training_command(folder: Folder, options: argparse.Namespace, summary: dict[str, Any]) -> str:
    """The mace_run_train line for the data set."""
    flags = ["--name=spice", "--loss=ema_robust"]
    for split in ("train", "valid", "test"):
        path = folder.root.resolve() / split
        if not summary["configurations"][split]:
            continue
        if options.format == "xyz":
            flags.append(f"--{split}_file={path}/00000_{split}.xyz")
        elif split != "test":
            flags.append(f"--{split}_file={path}")
        elif options.format == "hdf5":  # MACE's --test_dir knows no LMDB
            flags.append(f"--test_dir={path}")
    flags += [f"--statistics_file={folder.statistics.resolve()}", f"--r_max={options.r_max}"]
    return shlex.join(["mace_run_train", *flags, "--num_workers=4"])


def text_of(summary: dict[str, Any], statistics: Statistics) -> str:
    """The summary for the terminal."""
    lines = []
    for split, count in summary["configurations"].items():
        lines.append(f"{split:6}{count:>10} configurations")
        lines += [f"      {number:>10} {subset}" for subset, number in summary["subsets"][split].items()]
    lines.append("elements: " + " ".join(summary["elements"]))
    lines.append("labels (kept): " + ", ".join(f"{name}: {count}" for name, count in summary["labels"].items()))
    left_out = {"max_force": "over --max_force", "positions": "positions not finite"}
    lines.append("left out: " + ", ".join(f"{left_out[name]}: {count}" for name, count in summary["left_out"].items()))
    force = summary["largest_force"]
    where = f" (molecule {force['group']}, conformation {force['conformation']})" if "group" in force else ""
    lines.append(f"largest force: {force['eV/A']:.2f} eV/A{where}")
    lines += [f"{name}: {value}" for name, value in statistics.content.items()]
    lines.append(
        f"gross errors and labels that are not finite, not in these: {statistics.left_out['energies']} energies and "
        f"forces of {statistics.left_out['forces']} training configurations"
    )
    return "\n".join(lines)


def prepare(options: argparse.Namespace) -> str:
    """Make the data set; return what is to be said of it."""
    folder = Folder(options.out, options.format)
    folder.check()
    e0s = read_e0s(options.E0s, options.E0s_unit, options.source)
    shards = plan(options)
    elements = elements_of(shards)
    if e0s is not None and set(elements) - set(e0s):
        lacking = ", ".join(chemical_symbols[z] for z in elements if z not in e0s)
        raise ValueError(f"--E0s {options.E0s}: it has no energy of {lacking}: add it, or leave them out by --elements")
    manifest = manifest_of(options, shards, e0s)
    labels = Labels(options.energy, options.gradient)
    task = Task(options.source, labels, options.out, options.format, options.r_max, options.max_force)
    with folder.opened(manifest):
        convert(task, shards, options.workers)
        summary = summarise(folder, shards, elements)
        statistics = compute(folder, shards, elements, e0s, options.r_max)
        if abs(statistics.content["mean"]) > FAR:
            logging.warning(
                "the E0s don't explain the energies (see mean, eV/atom): are they of the same method and unit?"
            )
        folder.write_index(shards)
        write_json(folder.statistics, statistics.content)
        folder.finish(manifest | {"summary": summary})
    return f"{text_of(summary, statistics)}\n\n{training_command(folder, options, summary)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; what the user can mend is one line."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    options = parse_arguments(arguments)
    try:
        print(prepare(options))
    except (ValueError, OSError) as error:
        sys.exit(f"prepare_spice.py: {error}")
    except KeyboardInterrupt:
        sys.exit("prepare_spice.py: interrupted; finished shards are kept, and the same command goes on")


if __name__ == "__main__":
    main()
