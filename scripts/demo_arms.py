"""The trainings of the demo: the command of each arm, and running them side by side."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from source_commit import PACKAGE, TRAINING, commit_of
from tqdm import tqdm
from training_files import digest_of

REPOSITORY = Path(__file__).resolve().parent.parent
RESULT_FILE = "result.json"
KEY_FILE = "key.json"
COMMIT_FILE = "commit.txt"  # of the plugin when the training began: a commit amid it says nothing of it
LOG_FILE = "mace.log"
EPOCH_LINE = re.compile(r"Epoch (\d+): .*RMSE_E_per_atom=\s*([\d.]+) meV, RMSE_F=\s*([\d.]+|None) meV")


class Arm(NamedTuple):
    """What differs between the trainings that are compared."""

    loss: str  # value of --loss
    train_file: str = "train.xyz"
    valid_file: str = "valid.xyz"
    flags: tuple[str, ...] = ()


ARMS = {
    "oracle": Arm("weighted", "train_good.xyz", "valid_good.xyz"),
    "weighted": Arm("weighted"),
    "ema_robust": Arm("ema_robust"),
}

# The learning rate falls on a fixed schedule, so that no arm gets another one through its (noisy) validation set.
MACE_SETTINGS = {
    "model": "ScaleShiftMACE",
    "hidden_irreps": "16x0e",
    "num_interactions": 2,
    "max_ell": 2,
    "correlation": 2,
    "r_max": 4.0,
    "batch_size": 10,
    "valid_batch_size": 40,
    "energy_weight": 1,  # this and the next: MACE's defaults
    "forces_weight": 100,
    "lr": 0.01,
    "scheduler": "ExponentialLR",
    "lr_scheduler_gamma": 0.94,
    "ema_decay": 0.99,
    "default_dtype": "float32",
    "energy_key": "REF_energy",
    "forces_key": "REF_forces",
    "device": "cpu",
    "num_workers": 0,
    "pin_memory": False,
    "plot": False,
}


@dataclass(frozen=True)
class Training:
    """One arm with one seed. The seed is MACE's, and also chose which frames of the data are bad."""

    arm: str
    seed: int
    epochs: int
    data: Path  # folder with the xyz files of this seed
    folder: Path  # MACE's work_dir
    e0s: str  # energies of the free atoms in eV, as MACE's --E0s takes them
    energy_weight: float = MACE_SETTINGS["energy_weight"]
    flags: tuple[str, ...] = ()  # more of MACE's, for this data set

    @property
    def title(self) -> str:
        """Name for progress lines."""
        return f"{self.arm}, seed {self.seed}"

    def command(self) -> list[str]:
        """The command line of MACE."""
        arm = ARMS[self.arm]
        own = {
            "name": "demo",
            "work_dir": self.folder,
            "train_file": self.data / arm.train_file,
            "valid_file": self.data / arm.valid_file,
            "E0s": self.e0s,
            "loss": arm.loss,
            "seed": self.seed,
            "max_num_epochs": self.epochs,
        }
        settings = own | MACE_SETTINGS | {"energy_weight": self.energy_weight}
        flags = [f"--{name}={value}" for name, value in settings.items()]
        return [str(mace_run_train()), *flags, "--ema", *self.flags, *arm.flags]

    def key(self) -> dict:
        """What the result depends on: a finished run is reused only if all of it is unchanged."""
        arm = ARMS[self.arm]
        files = [self.data / arm.train_file, self.data / arm.valid_file, self.data / "test.xyz"]
        if arm.loss == "ema_robust":
            files += [file for path in TRAINING for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
        return {"command": self.command(), "sha256_of_data_and_plugin": digest_of(files)}


def mace_run_train() -> Path:
    """MACE's command of this Python environment."""
    path = Path(sys.executable).with_name("mace_run_train")
    if not path.exists():
        raise SystemExit(f"{path} is missing: start the demo by scripts/demo, which installs MACE and the plugin first")
    return path


# --- running ----------------------------------------------------------------------------------------------------


def finished_result(training: Training) -> dict | None:
    """The result of an earlier run of the very same training, or None."""
    result, key = training.folder / RESULT_FILE, training.folder / KEY_FILE
    if not result.exists() or json.loads(key.read_text(encoding="utf-8")) != training.key():
        return None
    return json.loads(result.read_text(encoding="utf-8"))


def began_with(training: Training) -> str:
    """The commit of the plugin when a training was started."""
    return (training.folder / COMMIT_FILE).read_text(encoding="utf-8")


def start(training: Training) -> subprocess.Popen:
    """Start MACE in a fresh folder, one thread, its output in LOG_FILE."""
    shutil.rmtree(training.folder, ignore_errors=True)
    training.folder.mkdir(parents=True)
    (training.folder / KEY_FILE).write_text(
        json.dumps(training.key(), indent=2) + "\n", encoding="utf-8"
    )  # of now: files may change
    (training.folder / COMMIT_FILE).write_text(commit_of(PACKAGE), encoding="utf-8")
    with (training.folder / LOG_FILE).open("w", encoding="utf-8") as log:
        return launch(training.command(), log)


def launch(command: list[str], log: TextIO) -> subprocess.Popen:
    """Start a command on one thread."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    env = os.environ | one_thread
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env)


def last_epoch(training: Training) -> tuple[int, str]:
    """Number of finished epochs and the last validation errors, from MACE's log."""
    matches = EPOCH_LINE.findall((training.folder / LOG_FILE).read_text(encoding="utf-8", errors="replace"))
    if not matches:
        return 0, "starting"
    epoch, energy, forces = matches[-1]
    return int(epoch) + 1, f"validation E {energy} meV/atom, F {forces} meV/A"


class Progress:
    """One line a training: a bar on a terminal, else (CI logs, pipes) a plain line every few seconds."""

    def __init__(self, training: Training, position: int, every_seconds: float = 10.0) -> None:
        self.training, self.every, self.shown, self.start = training, every_seconds, 0.0, time.time()
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(total=training.epochs, desc=training.title, position=position, unit="epoch", leave=True)

    def elapsed(self) -> float:
        """Seconds since the start of the training."""
        return time.time() - self.start

    def update(self, final: bool = False) -> None:
        """Show the state of the log."""
        epochs, errors = last_epoch(self.training)
        elapsed = self.elapsed()
        if self.bar is not None:
            self.bar.set_postfix_str(errors, refresh=False)
            self.bar.update(epochs - self.bar.n)
            self.bar.refresh()
        elif final or elapsed - self.shown >= self.every:
            self.shown = elapsed
            state = f"epoch {epochs}/{self.training.epochs}, {errors}"
            print(f"[{elapsed:4.0f} s] {self.training.title}: {state}", flush=True)


def check_exit(training: Training, process: subprocess.Popen) -> None:
    """Raise with the end of MACE's log if the training failed."""
    if process.returncode == 0:
        return
    log = training.folder / LOG_FILE
    tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
    raise SystemExit(f"{tail}\n\nthe training {training.title} failed with exit code {process.returncode}; see {log}")


def run_all(
    trainings: list[Training], at_a_time: int, collect: Callable[[Training, float], dict]
) -> dict[Training, dict]:
    """Run the trainings, `at_a_time` side by side, and `collect` each as it ends (given its wall time in seconds)."""
    waiting, running, results = list(trainings), {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < at_a_time:
                training = waiting.pop(0)
                progress = Progress(training, position=len(trainings) - len(waiting) - 1)
                running[training] = (start(training), progress)
            time.sleep(0.5)
            for training, (process, progress) in list(running.items()):
                done = process.poll() is not None
                progress.update(final=done)
                if done:
                    del running[training]
                    check_exit(training, process)
                    ended = (training.folder / LOG_FILE).stat().st_mtime  # MACE's last line; we may have been busy
                    results[training] = collect(training, ended - progress.start)
    finally:
        for process, _ in running.values():
            process.terminate()
    return results
