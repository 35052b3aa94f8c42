"""Rehearse a distributed MACE training without GPUs: MACE's own run, with gloo in place of NCCL.

    torchrun --nproc_per_node=2 scripts/rehearse_on_cpu.py --distributed --launcher=torchrun --device=cpu ...

All other flags are those of `mace_run_train`. MACE makes process groups for CUDA and XPU only, and tells
DistributedDataParallel which GPU to use; these two are exchanged here, and nothing else. For trying a job script, its
YAML file and a data set on a login node or a laptop before they wait in a queue; a training takes a GPU.
"""

import os
import sys
from typing import Any

import torch
from mace.cli import run_train
from torch.nn.parallel import DistributedDataParallel


def on_cpu(model: torch.nn.Module, device_ids: Any = None) -> DistributedDataParallel:
    """Wrap the model as MACE does, but for its device."""
    return DistributedDataParallel(model)


def main() -> None:
    """Start MACE's training in a process that torchrun has started."""
    if "RANK" not in os.environ:
        sys.exit(f"start it with torchrun: torchrun --nproc_per_node=2 {sys.argv[0]} --distributed ...")
    torch.distributed.init_process_group("gloo")
    run_train.DDP = on_cpu
    run_train.main()


if __name__ == "__main__":
    main()
