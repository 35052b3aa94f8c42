"""What a training waits for at the end of an epoch, with and without the judgement beside its validation.

    python benchmarks/scale/hidden.py    # some minutes on two quiet cores; writes hidden.json

As shared.py, but each epoch is followed by the validation of a twentieth as many configurations, whose steps take as
long as on a GPU (STEP; the host waits for it). `seconds`: between the last training step and the end of the validation,
less what that takes alone; `validation`: what that takes.
"""

import time

from shared import HERE, arguments, begun, leave, see, shared, write

SIZES, PROCESSES, EPOCHS = [20_000, 200_000, 2_000_000], [1, 2], 2
STEP, BATCH, SHARE = 0.017, 32, 0.05  # seconds of a step without gradients, a third of one with; its configurations
LONGEST = 30.0  # seconds of a validation that are simulated


def measure(rank: int, processes: int, size: int, folder: str, aside: bool) -> None:
    """One process: two epochs; leaves what it measured of the last in the folder."""
    weigher, found = begun(rank, processes, size, folder), {}
    for epoch in range(EPOCHS):
        see(weigher, epoch, rank, processes)
        started = time.perf_counter()
        weigher.end_epoch()
        weigher.safety.begin(weigher.remembered, aside)
        if not aside:
            weigher.safety.settle()
        steps = max(int(min(SHARE * size / processes / BATCH, LONGEST / STEP)), 1)
        for _ in range(steps):
            time.sleep(STEP)
        weigher.safety.settle()
        found = {"seconds": time.perf_counter() - started - steps * STEP, "validation": steps * STEP}
    leave(found, weigher, rank, folder)


def main() -> None:
    options = arguments(__doc__, SIZES, PROCESSES, HERE / "hidden.json")
    rows = []
    for size in options.sizes:
        for processes in options.processes:
            found = {aside: shared(size, processes, measure, aside) for aside in (False, True)}
            assert (found[False][1] == found[True][1]).all(), "the weights differ"
            rows.append(found[True][0] | {"seconds_not_hidden": found[False][0]["seconds"]})
            print(rows[-1], flush=True)
    write(options.out, "hidden", rows)


if __name__ == "__main__":
    main()
