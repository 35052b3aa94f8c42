"""Processes as torchrun starts them, but forks of one that has imported all: python forked_ranks.py N PROGRAM ...

To be run by warm_python. What torchrun itself does is tested where it is called: test_activation, test_cluster.
"""

import os
import runpy
import socket
import sys

import torch.multiprocessing


def one_rank(rank: int, number: int, port: int, program: str, arguments: list[str]) -> None:
    """Be one of `number` processes of a program."""
    place = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    os.environ.update({name: str(value) for name, value in {**place, "RANK": rank, "LOCAL_RANK": rank}.items()})
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
    sys.stdout.flush()


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def main() -> None:
    """Start them, and wait."""
    number, program, *arguments = sys.argv[1:]
    rest = (int(number), free_port(), program, arguments)
    torch.multiprocessing.start_processes(one_rank, rest, int(number), start_method="fork")


if __name__ == "__main__":
    main()
