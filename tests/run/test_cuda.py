"""Trainings and audits on a GPU give the numbers of the CPU. For machines that have one; CI has none."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.io import write
from conftest import PUBLISHED, torchrun, within
from mace.modules.loss import UniversalLoss, WeightedEnergyForcesLoss
from structures import molecules, spoil, write_xyz

from mace_outlier.__main__ import main
from mace_outlier.results.reading import read_results

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "overhead"))
from launches import PHASES, lines_that_wait, robust, training_batch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
ROBUST = ["--loss=ema_robust", "--energy_weight=100", "--forces_weight=1", "--valid_batch_size=7"]
ON_GPU = "--device=cuda"
THROUGH_NCCL = Path(__file__).parents[1] / "one_process_collectives.py"


def agree(one, other):
    """Both trainings weighed every configuration alike, and chose their models by the same numbers."""
    tables = [read_results(run.folder / "results" / f"{run.name}_run-1").table for run in (one, other)]
    assert (tables[0].weight < 0.5).tolist() == (tables[1].weight < 0.5).tolist()
    np.testing.assert_allclose(tables[0].weight, tables[1].weight, atol=1e-4)
    np.testing.assert_allclose(one.validations, other.validations, rtol=1e-3)
    assert len(one.validations) > 3


@pytest.mark.parametrize("flags", [
    [], PUBLISHED[1:], ["--ema_robust_scope=property"],
])  # fmt: skip
def test_a_training_weighs_as_on_the_cpu(spoilt, flags):
    here = spoilt.train("here", *ROBUST, *flags, "--max_num_epochs=8")
    there = spoilt.train("there", *ROBUST, *flags, "--max_num_epochs=8", ON_GPU)
    agree(here, there)


def test_a_run_goes_on_on_the_other_device(spoilt):
    """Begun on a GPU, continued on a CPU, and the other way round."""
    runs = []
    for name, first, then in (("here_there", "--device=cpu", ON_GPU), ("there_here", ON_GPU, "--device=cpu")):
        spoilt.train(name, *ROBUST, "--max_num_epochs=4", first)
        runs.append(spoilt.train(name, *ROBUST, "--max_num_epochs=8", "--restart_latest", then))
        assert "Continuing with the loss statistics" in runs[-1].log
    agree(*runs)


def test_weights_of_1_train_the_stock_model(mace):
    stock = mace.train("stock", "--loss=universal", ON_GPU)
    ours = mace.train(
        "ours", "--loss=ema_robust", "--ema_robust_base_loss=universal", "--ema_robust_threshold=inf", ON_GPU
    )
    for name, value in stock.parameters.items():
        torch.testing.assert_close(ours.parameters[name], value, rtol=1e-7, atol=1e-9)


def test_every_collective_goes_through_nccl(spoilt):
    """As one process of several: NCCL takes neither tensors of the CPU nor types that it doesn't know."""
    flags = [*ROBUST, ON_GPU, "--max_num_epochs=12"]
    run = torchrun(spoilt, 1, "nccl", *flags, program=THROUGH_NCCL)
    assert re.search(r"^collectives: [1-9]", run.log, flags=re.M)
    table = read_results(spoilt.folder / "results" / "nccl_run-1").table
    assert (table.weight < 0.5).tolist() == [i % 3 == 0 for i in (*range(120), *range(24))]


def waits(loss, heads=1):
    """How often torch says that an evaluation of a loss with its gradient made the host wait for the GPU."""
    batch, output = training_batch(heads)
    batch.update({name: value.cuda() for name, value in batch.items() if isinstance(value, torch.Tensor)})
    output = {name: value.detach().cuda().requires_grad_() for name, value in output.items()}
    for _ in range(2):  # at first, kernels are loaded
        with lines_that_wait() as lines:
            loss(ref=batch, pred=output).backward()
    return lines


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("base", [WeightedEnergyForcesLoss, UniversalLoss])
@pytest.mark.parametrize("phase", PHASES)
def test_a_step_waits_no_more_often_than_the_stock_loss(base, phase):
    ours = robust(base(), phase, device="cuda")
    allowed, found = waits(base()), waits(ours)
    assert found.total() <= allowed.total(), (found, allowed)


def test_an_audit_gives_the_scores_of_the_cpu(mace):
    frames = molecules(60)
    write_xyz(mace.folder, frames, molecules(5, seed=1))
    mace.train("m", "--loss=weighted", "--max_num_epochs=12", "--energy_weight=10", "--forces_weight=10")
    spoil(frames, [3, 17, 31], energy=30.0)
    tables = []
    for name, device in (("here", "--device=cpu"), ("there", ON_GPU)):
        write(mace.folder / f"{name}.xyz", frames)
        with within(mace.folder):
            main(["audit", "--model=m.model", "--data", f"{name}.xyz", device])
        tables.append(read_results(mace.folder / f"{name}_audit").table)
    np.testing.assert_allclose(tables[0].zscore, tables[1].zscore, atol=1e-3)
    assert sorted(tables[1].zscore.nlargest(3).index) == [3, 17, 31]
