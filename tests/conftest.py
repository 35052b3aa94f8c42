"""Fixtures: MACE runs through its real command line, in this process (fast) or in a fresh one."""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO
from unittest import mock

import pytest
import torch
from structures import E0S, molecules, spoil, write_xyz

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")
torch.set_num_threads(1)

SMALL_MODEL = [
    "--model=MACE", "--hidden_irreps=4x0e", "--num_interactions=2", "--r_max=3.0", "--num_radial_basis=4",
    "--MLP_irreps=4x0e", "--radial_MLP=[8]", "--correlation=2", "--max_ell=1",
]  # fmt: skip
PUBLISHED = ["--loss=ema_robust", "--ema_robust_distribution=gaussian", "--ema_robust_warmup=0"]  # from the first step
KEYS = [f"--{label}_key=REF_{label}" for label in ("energy", "forces", "stress", "virials", "dipole")]
REHEARSAL = Path(__file__).parents[1] / "scripts" / "rehearse_on_cpu.py"  # a run of several GPUs, without any
SHORT_RUN = [
    f"--E0s={E0S}", "--batch_size=5", "--valid_batch_size=5", "--max_num_epochs=3", "--device=cpu",
    "--default_dtype=float64", "--seed=1", "--plot=False",
]  # fmt: skip


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Tensors and builtins only, where torch can tell: before 2.0 it takes no floats for that."""
    return torch.load(path, weights_only=int(torch.__version__.split(".")[0]) >= 2)


@dataclass
class Run:
    """A finished MACE training."""

    folder: Path
    name: str
    log: str

    @property
    def checkpoints(self) -> list[Path]:
        return sorted(self.folder.glob(f"checkpoints/{self.name}_run-1_epoch-*.pt"), key=os.path.getmtime)

    def checkpoint(self) -> dict[str, Any]:
        """The newest checkpoint, read as a stock torch.load reads it: tensors and builtins only."""
        return load_checkpoint(self.checkpoints[-1])

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        return self.checkpoint()["model"]

    @property
    def validations(self) -> list[list[float]]:
        """What the log says of the validation set in each epoch: the loss, the stock loss, the mean weight."""
        lines = [line for line in self.log.splitlines() if "Validation: ema_robust" in line]
        return [[float(part.split("=")[1].rstrip(",")) for part in line.split() if "=" in part] for line in lines]

    @property
    def state(self) -> dict[str, Any]:
        return self.checkpoint()["mace_outlier"]


def command_line(
    name: str, flags: tuple[str, ...], train: str = "train.xyz", valid: str | None = "valid.xyz"
) -> list[str]:
    defaults = [*SMALL_MODEL, *KEYS, *SHORT_RUN]
    given = {flag.split("=")[0] for flag in flags}
    defaults = [flag for flag in defaults if flag.split("=")[0] not in given]
    files = [f"--train_file={train}"] + ([f"--valid_file={valid}"] if valid else [])
    return [f"--name={name}", *files, *defaults, *flags]


class NotCompiledError(Exception):
    """MACE writes NAME_compiled.model beside NAME.model if it can."""


class Mace:
    """Runs MACE trainings in a folder that holds train.xyz and valid.xyz."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def train(self, name: str, *flags: str, **files: str) -> Run:
        """Train a small model in this process, of the files in the folder."""
        return self.run(name, command_line(name, flags, **files))

    def run(self, name: str, command: list[str]) -> Run:
        """Train in this process, as a Python program that calls `mace.cli.run_train.run(args)`."""
        import mace.cli.run_train as run_train
        from mace.tools import build_default_arg_parser

        log = self.folder / f"{name}.out"
        with within(self.folder), _mace_globals():
            arguments = build_default_arg_parser().parse_args(command)
            handler = logging.FileHandler(log)
            logging.getLogger().addHandler(handler)
            with mock.patch.object(run_train.jit, "compile", side_effect=NotCompiledError):  # saves a third of the time
                run_train.run(arguments)
            logging.getLogger().removeHandler(handler)
            handler.close()
        return Run(self.folder, name, log.read_text())

    def start(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in a process of its own, in the folder."""
        environment = {**os.environ, **(env or {})}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900)


def torchrun(mace: Mace, processes: int, name: str, *flags: str, program: Path = REHEARSAL) -> Run:
    """Start a training of so many processes, as torchrun would."""
    import warm_python

    arguments = [*command_line(name, flags), "--distributed", "--launcher=torchrun"]
    forks = Path(__file__).with_name("forked_ranks.py")
    done = warm_python.run(forks, processes, program, *arguments, cwd=mace.folder, env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return Run(mace.folder, name, done.stdout)


@contextlib.contextmanager
def within(folder: Path):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _mace_globals():
    """MACE sets a default dtype and adds log handlers at every run: put both back."""
    dtype, handlers, filters = torch.get_default_dtype(), logging.root.handlers[:], logging.root.filters[:]
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        for handler in logging.root.handlers[:]:
            if handler not in handlers:
                logging.root.removeHandler(handler)
                handler.close()
        logging.root.filters[:] = filters


@pytest.fixture
def double_precision():
    """float64 as torch's default, for this test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def mace(tmp_path: Path) -> Mace:
    """A folder with 20 training and 5 validation molecules; training frames 3 and 12 are wrong."""
    train = molecules(20)
    spoil(train, [3, 12])
    write_xyz(tmp_path, train, molecules(5, seed=1))
    return Mace(tmp_path)


@pytest.fixture
def forked_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of our scripts, which start MACE's command, run in forks that needn't import it anew."""
    import demo_arms
    import warm_python

    def launch(command: list[str], log: TextIO) -> SimpleNamespace:
        arguments = command[1:] if command[0] == sys.executable else command
        done = warm_python.run(*arguments, env={"OMP_NUM_THREADS": "1"})
        log.write(done.stdout + done.stderr)
        return SimpleNamespace(returncode=done.returncode, poll=lambda: done.returncode)

    monkeypatch.setattr(demo_arms, "launch", launch)


@pytest.fixture
def spoilt(mace: Mace) -> Mace:
    """A folder with 120 training and 24 validation molecules; a third of either has a wrong energy."""
    train, valid = molecules(120), molecules(24, seed=1)
    for frame in (*train[::3], *valid[::3]):
        frame.info["REF_energy"] += 5.0 * len(frame)
    write_xyz(mace.folder, train, valid)
    return mace


@pytest.fixture
def copied_mace(tmp_path: Path) -> Path:
    """The installed package, copied (without README and tests): tmp_path/site-packages/mace.

    With what is compiled, which Python uses for files that a test leaves as they are.
    """
    import mace

    return Path(shutil.copytree(Path(mace.__file__).parent, tmp_path / "site-packages" / "mace"))


@pytest.fixture
def mace_run_train() -> str:
    """MACE's command, of the environment that runs the tests."""
    return str(Path(sys.executable).with_name("mace_run_train"))
