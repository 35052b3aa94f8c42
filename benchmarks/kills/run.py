"""Kill trainings (kill -9) at random moments, and read what they leave: table, checkpoint, page, exports.

    python benchmarks/kills/run.py                  # 20 kills each of one process and of two (gloo); writes kills.json
    python benchmarks/kills/run.py --kills 2 --work /tmp/kills --out /tmp/kills

All processes of a training are killed at once, as by a queue or for want of memory; the moments are uniform over the
time that the first, undisturbed training takes after its first checkpoint was begun. Each training is forked from this
process, which has imported MACE, so that none of that time goes into imports.
"""

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read, write
from mace.cli import run_train

from mace_outlier.__main__ import main as mace_outlier
from mace_outlier.results.reading import ResultsError, read_results

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))
import rehearse_on_cpu
from source_commit import PACKAGE, commit_of

FRAMES, EPOCHS = 60, 8
FLAGS = [
    "--name=killed", "--train_file=train.xyz", "--valid_fraction=0.1", "--energy_key=REF_energy",
    "--forces_key=REF_forces", "--E0s=average", "--model=MACE", "--hidden_irreps=4x0e", "--num_interactions=2",
    "--r_max=3.0", "--num_radial_basis=4", "--MLP_irreps=4x0e", "--radial_MLP=[8]", "--correlation=2", "--max_ell=1",
    "--batch_size=10", f"--max_num_epochs={EPOCHS}", "--device=cpu", "--default_dtype=float64", "--plot=False",
    "--loss=ema_robust",
]  # fmt: skip


def write_data(folder: Path) -> None:
    """Clusters of hydrogen and oxygen with Lennard-Jones labels; a tenth of the energies are wrong."""
    rng, frames = np.random.default_rng(0), []
    for i in range(FRAMES):
        atoms = Atoms("OH3", 1.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) + rng.normal(0, 0.05, (4, 3)))
        atoms.calc = LennardJones(sigma=1.1, epsilon=0.3, rc=4.0)
        energy, forces = atoms.get_potential_energy() + 4.0 * (i % 10 == 0), atoms.get_forces()
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = energy, forces
        frames.append(atoms)
    write(folder / "train.xyz", frames)


def fork(folder: Path, processes: int) -> list[int]:
    """Start a training of so many processes in a folder; return their ids."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = []
    for rank in range(processes):
        pid = os.fork()
        if pid == 0:
            _train(folder, rank, processes, port)
        own.append(pid)
    return own


def _train(folder: Path, rank: int, processes: int, port: int) -> None:
    """Be one process of a training; never returns."""
    code = 1
    try:
        os.chdir(folder)
        with Path(f"{rank}.log").open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.argv = ["mace_run_train", *FLAGS]
        if processes > 1:
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
            os.environ.update({name: str(value) for name, value in place.items()})
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            sys.argv += ["--distributed", "--launcher=torchrun"]
            rehearse_on_cpu.main()
        else:
            run_train.main()
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def begun(folder: Path) -> bool:
    """Whether a training has begun to write."""
    return (folder / "results").is_dir() and any(folder.glob("results/*_outliers.*"))


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> float:
    """Return how long it took until a condition held."""
    start = time.perf_counter()
    while not condition():
        if time.perf_counter() - start > seconds:
            raise TimeoutError(f"nothing after {seconds} s")
        time.sleep(0.002)
    return time.perf_counter() - start


def ended(pids: list[int]) -> bool:
    """Whether all processes have ended."""
    for pid in list(pids):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            pids.remove(pid)
            if status:
                raise RuntimeError(f"a training that was not killed ended with {status}")
    return not pids


def look(folder: Path) -> dict[str, Any]:
    """Read all that a training left: the epochs of table and checkpoint, and what doesn't read well."""
    wrong: list[str] = []
    checkpoints, states = sorted(folder.glob("checkpoints/*.pt")), []
    for path in checkpoints:
        try:
            states.append(torch.load(path, weights_only=False))
        except (RuntimeError, EOFError, pickle.UnpicklingError, OSError):
            wrong.append("checkpoint: cut (MACE writes it in place)")
    left = [str(path.relative_to(folder)) for path in folder.rglob(".*.tmp*")]
    found: dict[str, Any] = {"checkpoints": len(checkpoints), "temporary": len(left)}
    try:
        results = read_results(folder)
    except ResultsError as error:
        return found | {"wrong": [*wrong, f"table: {error}"]}
    found |= {"table_epoch": results.about["epoch"], "finished": results.about["finished"]}
    kept = [state["mace_outlier"]["history"][-1]["epoch"] for state in states]
    if kept:
        found["checkpoint_epoch"] = max(kept)
    if kept and max(kept) > results.about["epoch"]:
        wrong.append("table: older than the checkpoint")
    if len(results.table) != FRAMES or results.table.weight.isna().any():
        wrong.append("table: rows or weights are missing")
    with within(folder), quiet():
        mace_outlier(["report", "results"])
        mace_outlier(["export", "results", "--suspects=s.xyz", "--trusted=t.xyz", "--force"])
    page = next(folder.glob("results/*.html")).read_text()
    if "</html>" not in page:
        wrong.append("page: cut")
    exported = [len(read(folder / name, ":")) for name in ("s.xyz", "t.xyz") if (folder / name).stat().st_size]
    if sum(exported) != FRAMES:
        wrong.append("export: frames are missing")
    return found | {"wrong": wrong}


@contextlib.contextmanager
def within(folder: Path) -> Any:
    """In a folder; for Python 3.10."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def quiet() -> Any:
    """Without output."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def kill_one(folder: Path, processes: int, lasts: float, rng: random.Random) -> dict[str, Any]:
    """Start a training, kill it at a random moment, and look at what it left."""
    folder.mkdir(parents=True)
    write_data(folder)
    pids = fork(folder, processes)
    wait_for(lambda: begun(folder))
    after = rng.uniform(0.0, lasts)
    time.sleep(after)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)
    return {"processes": processes, "after_s": round(after, 3)} | look(folder)


def main() -> None:
    """Kill, look, and write kills.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each kind (default: %(default)s)")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="kinds of trainings")
    parser.add_argument("--work", type=Path, default=Path("build/kills"), help="folder of the trainings")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of kills.json")
    given = parser.parse_args()
    rng, rows = random.Random(0), []
    for processes in given.processes:
        whole = given.work.absolute() / f"{processes}_whole"
        whole.mkdir(parents=True)
        write_data(whole)
        pids = fork(whole, processes)
        wait_for(lambda folder=whole: begun(folder))  # type: ignore[misc]
        lasts = wait_for(lambda own=pids: ended(own))  # type: ignore[misc]
        rows.append({"processes": processes, "after_s": None} | look(whole))
        print(rows[-1], flush=True)
        for number in range(given.kills):
            rows.append(kill_one(given.work.absolute() / f"{processes}_{number}", processes, lasts, rng))
            print(rows[-1], flush=True)
    about = {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit_of(PACKAGE),
        "versions": {name: version(name) for name in ("torch", "mace-torch", "mace-outlier")},
    }
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "kills.json").write_text(json.dumps(about | {"rows": rows}, indent=1) + "\n")
    bad = [row for row in rows if row["wrong"]]
    print(f"{len(rows) - len(bad)} of {len(rows)} read well")


if __name__ == "__main__":
    main()
