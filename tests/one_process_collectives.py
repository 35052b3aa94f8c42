"""MACE's training in one process that shares what it saw as one of several would: all collectives are made.

torchrun --nproc_per_node=1 tests/one_process_collectives.py --distributed --launcher=torchrun --device=cuda ...
"""

import torch
from mace.cli import run_train

from mace_outlier.run import distributed


def main() -> None:
    """Train, and say how many reductions there were."""
    reduce, made = torch.distributed.all_reduce, []

    def counted(tensor, *args, **kwargs):
        made.append(tensor.dtype)
        return reduce(tensor, *args, **kwargs)

    distributed.active = torch.distributed.is_initialized
    torch.distributed.all_reduce = counted
    run_train.main()
    print("collectives:", len(made), sorted({str(dtype) for dtype in made}))


if __name__ == "__main__":
    main()
