"""Whatever the data and the options are: nothing breaks where stock MACE runs, and all that is said agrees.

`MACE_OUTLIER_CASES=2000 python -m pytest tests/fuzz -n 2` makes so many trainings, by default as many as take a
minute on two cores; `MACE_OUTLIER_FIRST_CASE=123` begins with that one.
"""

import os
import traceback
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import Mace, Run
from made_up_trainings import Training, made_up_training
from pair_model import in_place_of_mace_models
from properties import PREFIX, of_audit, of_check, of_export, of_log, of_report, of_table

from mace_outlier.results.reading import read_results

CASES = int(os.environ.get("MACE_OUTLIER_CASES", "100"))
FIRST = int(os.environ.get("MACE_OUTLIER_FIRST_CASE", "0"))
PART = 20  # trainings of a test
PAGES, AUDITS = 20, 20  # one training in so many has a page, and an audit


def run(mace: Mace, training: Training, command: list[str]) -> Run:
    if training.real_model:
        return mace.run("fuzz", command)
    with in_place_of_mace_models():
        return mace.run("fuzz", command)


def faults_of(number: int, folder: Path) -> list[str]:
    """Make a training and all that follows it; return what is wrong."""
    training, mace = made_up_training(number, folder), Mace(folder)
    names = sorted(path.name for path in folder.iterdir())
    faults = list(of_check(folder, names, page=number % PAGES == 1))
    try:
        done = run(mace, training, training.command)
    except (Exception, SystemExit):
        ours = traceback.format_exc()
        try:
            run(mace, training, training.stock)
        except (Exception, SystemExit):
            return faults  # nor does stock MACE
        return [*faults, f"stock MACE runs, but:\n{ours}"]
    seed = next(flag.partition("=")[2] for flag in training.shared if flag.startswith("--seed"))
    prefix = Path(PREFIX.format(seed=seed))
    results = read_results(folder / prefix)
    table = results.table
    faults += of_table(table)
    faults += of_log(done.log, table)
    faults += of_report(folder, prefix, table, page=number % PAGES == 0)
    faults += of_export(folder, prefix, table)
    if number % AUDITS == 3:
        head = table["head"].iloc[0]
        faults += of_audit(folder, table.source[table["head"] == head].iloc[0], head)
    return faults


def failures(number: int) -> list[str]:
    """What is wrong with a case, in a folder of its own."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [f"case {number}: {fault}" for fault in faults_of(number, Path(folder))]
        except Exception:
            return [f"case {number}: {traceback.format_exc()}"]


@pytest.mark.parametrize("first", range(FIRST, FIRST + CASES, PART))
def test_made_up_trainings(first):
    numbers = range(first, min(first + PART, FIRST + CASES))
    assert not (failed := [fault for number in numbers for fault in failures(number)]), "\n".join(failed)
