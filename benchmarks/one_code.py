"""Are the committed results by the code that is here? Of what the plugin has no part in, the code doesn't matter.

    python benchmarks/one_code.py      # what isn't; exit status 1 if there is anything

Every training has the commit of the code that made it. What decides is whether the packages that weigh labels (TRAINING
in scripts/source_commit.py) are as they were then, or were seen to weigh as they did (same_weights.py): the report may
say the same in other words. Costs hold for the very same code only. Run a benchmark again to have what is missing
trained: see its README.
"""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

import pandas
from finished_trainings import holding
from source_commit import PACKAGE, PREPARING, gives_these_weights, is_present

Holds = Callable[[str], bool]  # for a commit


def of(*paths: Path) -> Holds:
    """Whether what is there is as it was."""
    return lambda commit: is_present(commit, *paths)


TRAININGS = (  # each row is of one, and has its arm
    *(f"{name}/trainings.csv" for name in ("ablation", "real", "spice", "water", "fine_tuning")),
    "real/repeated.csv",
    "water/observables.json",
)
OTHERS: dict[str, tuple[Holds, ...]] = {  # results, and what has to hold for the commit that made them
    "demo/results.json": (gives_these_weights,),
    "demo_energy_weight_10/results.json": (gives_these_weights,),
    "graph_pes/results.csv": (gives_these_weights,),
    "causes/planted.csv": (of(PACKAGE / "causes"),),  # beside predictions of any model
    "causes/trained.csv": (gives_these_weights, of(PACKAGE / "causes")),
    "checks/results.json": (of(PACKAGE / "checks"),),
    "real/replays.csv": (gives_these_weights,),
    "real/settings.csv": (gives_these_weights,),
    "real/parts.csv": (gives_these_weights,),
    "real/heavy.csv": (gives_these_weights,),
    "real/long.csv": (gives_these_weights,),
    "real/stress.csv": (bool,),  # predictions of a model that was trained on right labels: by any code that is known
    "spice/learning.json": (gives_these_weights,),
    "spice/throughput.json": (of(*PREPARING),),
    "ablation/selection.json": (gives_these_weights,),
    "kills/kills.json": (is_present,),
    "overhead/results.json": (is_present,),  # this one and those that follow say what it costs
    "overhead/end_of_epoch.json": (is_present,),
    "overhead/launches.json": (is_present,),
    "overhead/startup.json": (of(PACKAGE / "__init__.py", PACKAGE / "_boot.py"),),
    "records/results.json": (is_present,),
    "records/very_large.json": (is_present,),
    "scale/hidden.json": (is_present,),
    "scale/shared.json": (is_present,),
    "scale/one_of.json": (is_present,),
    "scale/results.json": (is_present,),
    "versions/matrix.json": (is_present,),
    "versions/mace_tests.json": (is_present,),
}
UNJUDGED = (  # their code doesn't count
    "ablation/results.json",  # settings and versions, as the next two
    "spice/results.json",
    "water/results.json",
    "demo/results.csv",  # beside or of results with a commit, as the next five
    "demo_energy_weight_10/results.csv",
    "demo_energy_weight_10/report/demo_run-1_outliers.csv",
    "checks/results.csv",
    "spice/detection.json",
    "water/frames.npz",
    "same_weights.json",  # what decides
    "overhead/gpu.json",  # of 0.1.0, and shown nowhere: no GPU was had since
)


def commits(file: Path) -> list[str]:
    """Those of a file of results; "" where it doesn't say."""
    if file.suffix == ".csv":
        return sorted(pandas.read_csv(file, dtype={"commit": str})["commit"].unique())
    content = json.loads(file.read_text())
    if isinstance(content, dict):
        if "commits" in content:  # of each file of MACE's tests
            return sorted(set(content["commits"].values()))
        content = content["rows"] if "commit" not in content and "rows" in content else [content]
    return sorted({str(row.get("commit") or "") for row in content})


def trainings(file: Path) -> pandas.DataFrame:
    """Arm and commit of each training of a file; one that was trained twice counts twice."""
    if file.suffix == ".json":
        return pandas.DataFrame(json.loads(file.read_text())["models"])
    rows = pandas.read_csv(file, dtype={"commit": str, "commit_again": str})
    again = [rows.assign(commit=rows["commit_again"])] if "commit_again" in rows else []
    return pandas.concat([rows, *again], ignore_index=True)


def by_other_code() -> Iterator[str]:
    """A line for each file of results with any by other code."""
    for name in TRAININGS:
        rows = trainings(HERE / name)
        other = rows[~holding(rows)]
        if len(other):
            yield f"{name}: {len(other)} of {len(rows)} trainings, of {', '.join(other.commit.unique())}"
    for name, conditions in OTHERS.items():
        made_by = commits(HERE / name)
        other = [commit or "an unknown commit" for commit in made_by if not all(holds(commit) for holds in conditions)]
        if other:
            yield f"{name}: {', '.join(other)}"


def main() -> None:
    lines = list(by_other_code())
    print("\n".join(lines) or "All results are by the code that is here.")
    raise SystemExit(bool(lines))


if __name__ == "__main__":
    main()
