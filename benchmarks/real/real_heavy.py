"""Right labels whose errors have heavy tails: one difficulty that nobody knows multiplies them all. How many are lost?

    python benchmarks/real/real_heavy.py    # some minutes; writes heavy.csv and a table of replays.md

    energies  s d N(0, 1),    forces  s' d sqrt(chi2_60 / 60),    d = exp(sd N(0, 1)),    s = 10 meV/atom, s' = 0.1 eV/A

Errors are judged, not losses: it does not matter how much of the loss is due to energies. With forces and without.
"""

import csv
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import _real_paths  # noqa: F401 (first)
import numpy as np
from readme_tables import markdown, write_tables
from real_sets import REPOSITORY
from source_commit import commit_of

from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.seen import Seen
from mace_outlier.method.settings import Settings

HERE = Path(__file__).parent
SIZES, SDS = (300, 1000, 5000, 20_000), (0.4, 0.6, 0.8)
SEEDS = {300: 20, 1000: 10, 5000: 4, 20_000: 2}
EPOCHS = 3


def heavy_tailed(size: int, sd: float, forces: bool, seed: int) -> Iterator[Seen]:
    """What epochs show of configurations that are as hard in each of them; no features tell how hard."""
    rng = np.random.default_rng(seed)
    difficulty = np.exp(sd * rng.normal(size=size))
    for _ in range(EPOCHS):
        errors = {"energy": 0.01 * difficulty * rng.normal(size=size)}
        if forces:
            errors["forces"] = 0.1 * difficulty * np.sqrt(rng.chisquare(60, size) / 60)
        yield Seen(
            errors=errors,
            features=np.zeros((size, 0)),
            composition={},
            atoms=np.full(size, 10.0),
            predicted_force=np.ones(size),
            label_force=np.ones(size),
            conditions=np.zeros((size, 0)),
            times=np.linspace(0.0, 0.999, size),
            molecules=np.ones(size, dtype=np.int64),
        )


def lost(size: int, sd: float, forces: bool, seed: int) -> list[float]:
    """Share of the labels with a weight below 1/2, after each epoch."""
    judge = HeadJudge(Settings())
    verdicts = (judge.refit(np.arange(size), seen, size) for seen in heavy_tailed(size, sd, forces, seed))
    return [float(np.mean(verdict[1].weight < 0.5)) for verdict in verdicts if verdict]


def main() -> None:
    rows = []
    for size, sd, forces in product(SIZES, SDS, (True, False)):
        shares = [lost(size, sd, forces, seed) for seed in range(SEEDS[size])]
        own = {"configurations": size, "sd": sd, "labels": "both" if forces else "energies", "seeds": SEEDS[size]}
        ends = [one[-1] for one in shares]
        own |= {"lost_mean": np.mean(ends), "lost_worst": max(ends), "after_any_epoch": np.max(shares)}
        rows.append(own | {"commit": commit_of(REPOSITORY / "mace_outlier")})
        print(own, flush=True)
    with (HERE / "heavy.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_tables(HERE / "replays.md", "real", {"heavy": table(rows)})


def table(rows: list[dict[str, Any]]) -> str:
    """A line for each size: the worst of all sets."""
    lines = []
    for size in SIZES:
        own = [row for row in rows if int(row["configurations"]) == size]
        worst = [max(float(row[name]) for row in own) for name in ("lost_worst", "after_any_epoch")]
        lines.append([str(size), str(sum(int(row["seeds"]) for row in own)), *(f"{100 * one:.2f} %" for one in worst)])
    return markdown(["configurations", "sets", "lost at the end, worst set", "after any epoch, worst set"], lines)


if __name__ == "__main__":
    main()
