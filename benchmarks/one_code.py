"""Are the committed results by the code that is here? Of what the plugin has no part in, the code doesn't matter.

    python benchmarks/one_code.py      # what isn't; exit status 1 if there is anything

Every training has the commit of the code that made it. What decides is whether the packages that weigh labels (TRAINING
in scripts/source_commit.py) are as they were then: the report may say the same in other words. Run a benchmark again to
have what is missing trained: see its README.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

import pandas
from finished_trainings import holding
from source_commit import PACKAGE, WEIGHING, is_present

TRAININGS = ("ablation", "real", "spice", "water")  # each has a trainings.csv
OTHERS = {  # results, and the packages that decide; (): those that weigh labels
    "demo/results.json": (),
    "demo_energy_weight_10/results.json": (),
    "dft_water/results.json": (),
    "kills/kills.json": (),
    "overhead/results.json": (),
    "overhead/end_of_epoch.json": (),
    "overhead/launches.json": (),
    "records/results.json": (),
    "scale/hidden.json": (),
    "scale/shared.json": (),
    "scale/one_of.json": (),
    "scale/results.json": (),
    "graph_pes/results.csv": (),
    "causes/results.csv": (*WEIGHING, "causes"),
    "checks/results.json": ("checks",),
}


def commits(file: Path) -> list[str]:
    """Those of a file of results; "" where it doesn't say."""
    if file.suffix == ".csv":
        return sorted(pandas.read_csv(file, dtype={"commit": str})["commit"].unique())
    return [str(json.loads(file.read_text()).get("commit") or "")]


def by_other_code() -> Iterator[str]:
    """A line for each file of results with any by other code."""
    for name in TRAININGS:
        rows = pandas.read_csv(HERE / name / "trainings.csv", dtype={"commit": str})
        other = rows[~holding(rows)]
        if len(other):
            yield f"{name}/trainings.csv: {len(other)} of {len(rows)} trainings, of {', '.join(other.commit.unique())}"
    for name, packages in OTHERS.items():
        paths = [PACKAGE / package for package in packages]
        other = [commit or "an unknown commit" for commit in commits(HERE / name) if not is_present(commit, *paths)]
        if other:
            yield f"{name}: {', '.join(other)}"


def main() -> None:
    lines = list(by_other_code())
    print("\n".join(lines) or "All results are by the code that is here.")
    raise SystemExit(bool(lines))


if __name__ == "__main__":
    main()
