"""The same trainings on another machine, where the last digit of a sum is another one: how much do errors differ?

    python benchmarks/real/real_repeated.py                  # repeated.csv: what trainings.csv and build/ both have
    python benchmarks/real/real_repeated.py --runs FOLDER    # the trainings of another checkout

Same code, data, seed and command; only what both machines have trained to the end, with forces.
"""

import argparse
import json
from pathlib import Path

import _real_paths  # noqa: F401 (first)
import pandas
from demo_arms import RESULT_FILE
from readme_tables import write_tables
from real_cells import WORK
from real_measure import ENERGY, FORCES
from real_results import README, TRAININGS, WHICH
from real_scatter import number

REPEATED = TRAININGS.with_name("repeated.csv")
COLUMNS = [*WHICH, ENERGY, FORCES, "commit", "versions"]


def repeated(runs: Path) -> pandas.DataFrame:
    """Trainings of a folder that the committed table has from elsewhere."""
    found = pandas.DataFrame([json.loads(path.read_text()) for path in sorted(runs.glob(f"*/*/{RESULT_FILE}"))])
    rows = pandas.read_csv(TRAININGS, dtype={"commit": str})
    return rows[COLUMNS].merge(found[COLUMNS], on=WHICH, suffixes=("", "_again")) if len(found) else pandas.DataFrame()


def said(rows: pandas.DataFrame) -> str:
    """A sentence: the usual and the largest relative difference, and of how many, set by set."""
    apart = {name: (rows[f"{name}_again"] / rows[name] - 1).abs() * 100 for name in (ENERGY, FORCES)}
    by_set = []
    for name, own in rows.groupby("set", sort=False).groups.items():
        usual, most = (
            " and ".join(number(apart[what][own].agg(how), 0) for what in (ENERGY, FORCES)) for how in ("median", "max")
        )
        by_set.append(f"{name} {usual} %, at most {most} % ({len(own)})")
    return (
        "The same trainings on another machine differ as well, where the last digit of a sum does: by a median, in\n"
        f"energies and forces, of {'; '.join(by_set)}.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=WORK / "runs")
    here = repeated(parser.parse_args().runs)
    before = pandas.read_csv(REPEATED) if REPEATED.exists() else pandas.DataFrame()
    rows = pandas.concat([here, before], ignore_index=True).drop_duplicates(WHICH)
    rows = rows[rows.commit != rows.commit_again]  # else it is the very same training
    rows.to_csv(REPEATED, index=False)
    write_tables(README, "real", {"repeated": said(rows)})


if __name__ == "__main__":
    main()
