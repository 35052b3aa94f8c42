"""The job script and its YAML file, with stand-ins for SLURM's commands and processes on CPU."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mace.tools import build_default_arg_parser
from made_up_spice import write_spice

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "scripts" / "cluster"
# only device, size of the model and length differ from what a user submits
SMALL = [
    "--hidden_irreps=4x0e", "--max_ell=1", "--correlation=2", "--num_radial_basis=4", "--radial_MLP=[8]",
    "--MLP_irreps=4x0e", "--r_max=3", "--batch_size=4", "--num_workers=0",
]  # fmt: skip
SBATCH = """while [[ $1 == --* ]]; do echo "sbatch $1" >> "$SLURM_LOG"; shift; done
cp "$1" "$(dirname "$0")/../a_copy_as_slurm_makes_one"; shift
exec bash "$(dirname "$0")/../a_copy_as_slurm_makes_one" "$@"
"""


def free_job():
    """The number of a job whose port nobody on this machine uses; see PORT in spice.sbatch."""
    for number in range(12345, 20000):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", 20000 + number % 10000)):
                return str(number)
    raise AssertionError("no free port")


JOB = free_job()
STAND_INS = {
    "sbatch": SBATCH,
    "srun": 'shift 2; echo "srun $*" >> "$SLURM_LOG"; exec "$@"',
    "scontrol": 'echo "scontrol $*" >> "$SLURM_LOG"; [ "$1" != show ] || echo localhost',
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small SPICE, prepared."""
    folder = tmp_path_factory.mktemp("spice")
    write_spice(folder / "spice.hdf5", conformations=8)
    command = [sys.executable, ROOT / "scripts" / "prepare_spice.py", folder / "spice.hdf5", "--out", folder / "data"]
    split = ["--valid=0.25", "--test=0.25", "--seed=36", "--r_max=3"]
    subprocess.run(command + split, check=True, capture_output=True, timeout=900)
    return folder / "data"


def run(command, data, timeout, **options):
    """subprocess.run that leaves nothing behind: where the time is over, the processes say where they are, and end."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes, **options) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            subprocess.run(["pkill", "-ABRT", "-f", str(data)])  # torchrun's, which have sessions of their own
            time.sleep(3)
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            pytest.fail(f"{command} took longer than {timeout} s\n{stdout[-3000:]}\n{stderr[-10000:]}")
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def stand_in(folder, name, text):
    """Write a command."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def environment(folder, **more):
    """What SLURM tells a job of one node with two processes; its commands are stand-ins in folder/bin."""
    commands = folder / "bin"
    for name, text in STAND_INS.items():
        stand_in(commands, name, text)
    slurm = {
        "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": JOB, "SLURM_JOB_NUM_NODES": "1", "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOB_NODELIST": "node[1]", "SLURM_GPUS_ON_NODE": "2", "SLURM_LOG": str(folder / "slurm.log"),
        "PYTHONFAULTHANDLER": "1",
    }  # fmt: skip
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "RUN": str(folder / "run"), "DEVICE": "cpu", **slurm, **more}


def submit(folder, *arguments, **more):
    """Submit the job; what it printed, and what it asked of SLURM."""
    env = environment(folder, **more)
    sbatch = [shutil.which("sbatch", path=env["PATH"]), str(CLUSTER / "spice.sbatch")]
    done = run([*sbatch, *arguments], more.get("DATA", folder), timeout=900, env=env)
    log = folder / "slurm.log"
    return done, log.read_text() if log.exists() else ""


def test_on_a_cluster_it_is_mace_s_own_program(data, tmp_path):
    stand_in(tmp_path / "bin", "torchrun", "pwd >> $SLURM_LOG")
    own = {"SLURM_SUBMIT_DIR": str(tmp_path), "CHECKOUT": str(ROOT), "RUN": ""}
    done, asked = submit(tmp_path, "--seed=7", DATA=str(data), DEVICE="cuda", GPUS="4", SLURM_JOB_NUM_NODES="3", **own)
    assert done.returncode == 0, done.stderr
    assert "--nnodes=3 --nproc_per_node=4" in asked
    assert "-m mace.cli.run_train" in asked
    assert f"--test_dir={data}/test" in asked
    assert "--seed=7\n" in asked
    assert "--r_max=3.0" in asked, "the cutoff that the data were prepared with"
    assert f"/spice-{JOB}\n" in asked, "a folder of its own for each job"


def test_at_the_end_of_its_time_the_job_is_requeued(data, tmp_path):
    stand_in(tmp_path / "bin", "torchrun", "kill -USR1 $PPID; sleep 1")
    done, asked = submit(tmp_path, DATA=str(data))
    assert "requeued" in done.stdout
    assert f"scontrol requeue {JOB}" in asked


def test_a_checkpoint_that_was_cut_is_named(data, tmp_path):
    import torch

    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"model": {}}, folder / "spice_run-1_epoch-3.pt")
    whole = (folder / "spice_run-1_epoch-3.pt").read_bytes()
    (folder / "spice_run-1_epoch-4.pt").write_bytes(whole[: len(whole) // 2])
    done, asked = submit(tmp_path, DATA=str(data))
    assert done.returncode == 2
    assert "spice_run-1_epoch-4.pt can't be read" in done.stderr
    assert "srun" not in asked


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "set DATA to the folder that prepare_spice.py made"),
        ({"DATA": "/nowhere"}, "DATA=/nowhere has no statistics.json"),
        ({"DATA": "here", "CHECKOUT": "/tmp"}, "set CHECKOUT to the checkout of mace-outlier"),
        ({"DATA": "here", "CONFIG": "/no.yaml"}, "CONFIG=/no.yaml does not exist"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_started(data, tmp_path, given, message):
    given = {name: str(data) if value == "here" else value for name, value in given.items()}
    done, asked = submit(tmp_path, **given)
    assert done.returncode == 2
    assert message in done.stderr
    assert "srun" not in asked


def test_every_key_of_the_yaml_is_one_of_mace_s():
    parser = build_default_arg_parser()
    given = parser.parse_args(["--name=a", f"--config={CLUSTER / 'spice.yaml'}", "--train_file=t"])
    keys = yaml.safe_load((CLUSTER / "spice.yaml").read_text())
    assert set(keys) <= vars(given).keys()
    assert {key: value for key, value in keys.items() if str(getattr(given, key)) != str(value)} == {}
    assert given.loss == "ema_robust"
    assert (given.swa, given.ema, given.amsgrad, given.restart_latest) == (True, True, True, True)
    assert given.swa_energy_weight == 1000.0


def test_the_commands_of_the_readme_and_a_second_job_that_goes_on(tmp_path):
    """As they stand there, but for SLURM's commands, with a small model; nothing is run of the job of 4 nodes."""
    write_spice(tmp_path / "SPICE-2.0.1.hdf5", n_molecules=60, conformations=3)
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    text = (CLUSTER / "README.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 5
    env = environment(tmp_path, SLURM_SUBMIT_DIR=str(tmp_path), RUN="", OMP_NUM_THREADS="1")
    small = " ".join([*SMALL, "--max_num_epochs=2", "--start_swa=1"]).replace("[8]", "'[8]'")
    said = {}
    for command in commands:
        command += f" {small}" if "sbatch" in command else ""
        path = env["PATH"]
        if "--nodes=4" in command:
            stand_in(tmp_path / "only_noted", "torchrun", "")
            path = f"{tmp_path / 'only_noted'}:{path}"
        done = run(["bash", "-c", command], tmp_path, timeout=900, cwd=tmp_path, env=env | {"PATH": path})
        assert done.returncode == 0, command + done.stdout[-1000:] + done.stderr[-3000:]
        said[command] = done.stdout
    [job] = [output for command, output in said.items() if "sbatch" in command and "--nodes=4" not in command]
    assert "Processes: 2" in job
    assert "loss: ema_robust, base loss: weighted, distribution: mixture" in job
    assert "Changing loss based on Stage Two Weights" in job
    asked = (tmp_path / "slurm.log").read_text()
    assert "--nproc_per_node=2" in asked
    assert f"--rdzv_endpoint=localhost:{20000 + int(JOB) % 10000}" in asked
    assert "sbatch --nodes=4" in asked
    assert "--max_num_epochs=100 " in asked
    folder = tmp_path / f"spice-{JOB}"
    assert (folder / "spice_stagetwo.model").exists()
    assert (folder / "results" / "spice_run-1_outliers.html").exists()
    more = (*SMALL, "--max_num_epochs=3", "--start_swa=1")
    again, _ = submit(tmp_path, *more, DATA=str(tmp_path / "spice"), RUN=str(folder))
    assert again.returncode == 0, again.stderr[-3000:]
    assert "Continuing with the loss statistics of the checkpoint" in again.stdout
