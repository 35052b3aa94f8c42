"""What each part of the method is good for: the replays, judged without it.

    python benchmarks/real/real_parts.py                 # some 10 minutes; writes parts.csv and a table of replays.md
    python benchmarks/real/real_parts.py "no memory"     # only that one; what is known of the others stays

A part is left out by exchanging one constant or function of `mace_outlier.method` for the time of its replays.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import _real_paths  # noqa: F401 (first)
import numpy as np
from readme_tables import markdown, write_tables
from real_heavy import lost
from real_replays import HERE, REPLAYS, rows_of, shown_in, summary, write

from mace_outlier.method import (
    covariates,
    decide,
    difficulty,
    fit,
    judge,
    logarithmic,
    readout,
    right_wrong,
    sample,
    signed,
    unexplained,
)
from mace_outlier.method.evidence import Evidence
from mace_outlier.method.settings import Settings

SHOWN = ("Mo-clean-2", "Mo-pm60-1", "Si-clean-1", "Si-flip-1", "Si-pm60-1", "acac-clean-1", "acac-mild-1")
SHOWN += ("spice-scf_30-1", "water-scf_30-1", "water-scf_43-1", "wbe-own-1")
HEAVY = [(1000, sd, forces, seed) for sd in (0.6, 0.8) for forces in (True, False) for seed in range(6)]
FAR = 1e9  # nothing is as far
Exchange = tuple[Any, str, Any]  # module or class, name, and what stands there meanwhile


def no_neighbours(self: difficulty.Neighbours, values: np.ndarray) -> np.ndarray:
    return np.zeros(len(values))


def no_components(columns: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((columns.shape[1], 0)), np.ones(0)


def without(kept: Callable[[list, bool], bool]) -> Callable[[int], list]:
    """The candidates that are kept."""
    every = decide.candidates
    return lambda number: [one for one in every(number) if kept(*one)]


PARTS: dict[str, list[Exchange]] = {
    "as it is": [],
    "directions of forces don't count": [(unexplained, "_opposed", lambda seen: np.zeros(seen.number))],
    "no readout: the model's own errors": [(readout, "PENALTIES", (FAR,))],
    "always a readout: no penalty above 30": [(readout, "PENALTIES", readout.PENALTIES[:4])],
    "no features": [(covariates, "_components", no_components)],
    "no predicted forces": [(covariates, "FORCE_KNOTS", 1)],
    "no time in the epoch": [(covariates, "TIME_KNOTS", 1)],
    "no neighbours": [(difficulty.Neighbours, name, no_neighbours) for name in ("mean", "middle_mean")],
    "mean of all neighbours": [(difficulty.Neighbours, "middle_mean", difficulty.Neighbours.mean)],
    "middle mean for forces too": [(difficulty.Neighbours, "mean", difficulty.Neighbours.middle_mean)],
    "other penalties (0.1, 1 ... 1,000)": [(readout, "PENALTIES", (0.1, 1.0, 10.0, 100.0, 1000.0))],
    "far geometries are as certain": [(unexplained, name, FAR) for name in ("NEAR_ENERGY", "NEAR_SIZE")],
    "expected sizes once, not in turn": [(unexplained, "ROUNDS", 1)],
    "t distributions only": [(module, "TAILS", fit.TAILS[:5]) for module in (fit, logarithmic, right_wrong, signed)],
    "hard forces widen no energies": [(signed, "SHARED", (0.0,) * 5)],
    "wrong labels don't straggle": [(right_wrong, "STRAGGLING", 0.0)],
    "no class of any property": [(decide, "candidates", without(lambda classes, at_once: at_once or len(classes) < 4))],
    "no class of all at once": [(decide, "candidates", without(lambda classes, at_once: not at_once))],
    "one epoch is enough": [(judge, "confirmed", lambda weights, before, gross: weights)],
    "no memory": [(judge, "Evidence", lambda memory: Evidence(1.0))],
    "fitted to a sample of 1,000": [(sample, "MOST", 1000)],
    "fitted to a sample of 300": [(sample, "MOST", 300)],
}


def rows(parts: dict[str, list[Exchange]]) -> Iterator[dict[str, Any]]:
    """A row for each part and replay, and for each part one of the sets with heavy tails (share lost, per mille)."""
    for name, exchanges in parts.items():
        shown_in.cache_clear()
        with ExitStack() as stack:
            for exchange in exchanges:
                stack.enter_context(patch.object(*exchange))
            for replay in SHOWN:
                yield {"part": name} | summary(REPLAYS / replay, Settings())
            shares = [lost(*which) for which in HEAVY]
            ends = {"false": round(1000 * np.mean([one[-1] for one in shares]), 2), "most_false": 1000 * np.max(shares)}
            yield {"part": name, "replay": "heavy", "found": 0, "wrong": 0, "right": 1000} | ends
        print(name, flush=True)


def table() -> str:
    """Found of the wrong ones, right ones lost at the end (at most after any epoch), by part and replay."""
    parts: dict[str, dict[str, str]] = {}
    for row in rows_of("parts.csv"):
        found = f"{row['found']}/{row['wrong']}, " if row["wrong"] != "0" else ""
        lost_ones = f"{float(row['false']):g} ({float(row['most_false']):g})"
        parts.setdefault(row["part"], {})[row["replay"]] = found + lost_ones
    names = [*SHOWN, "heavy"]
    return markdown(["", *names], [[part, *(own.get(name, "-") for name in names)] for part, own in parts.items()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="the others stay as they are")
    wanted = parser.parse_args().parts or list(PARTS)
    found = [row for row in rows_of("parts.csv") if row["part"] not in wanted]
    found += rows({name: PARTS[name] for name in wanted})
    found = sorted((row for row in found if row["part"] in PARTS), key=lambda row: list(PARTS).index(row["part"]))
    names = list(found[0])
    commits = [{"commit": row["commit"]} if "commit" in row else {} for row in found]
    cells = [{name: row.get(name, "") for name in names if name != "commit"} for row in found]
    write(HERE / "parts.csv", [own | commit for own, commit in zip(cells, commits, strict=True)])
    write_tables(HERE / "replays.md", "real", {"parts": table()})


if __name__ == "__main__":
    main()
