"""Does the code that is here come to the very same weights as that of an earlier commit? Trainings run once more.

    python benchmarks/same_weights.py RUN ...     # folders of finished trainings, with result.json and key.json
    python benchmarks/same_weights.py --arm published RUN ...     # which says nothing of other arms

Where code is only put in another order, hours of trainings need not be made again to be believed: some of them are
repeated by the present code, with the same command and data, and what they leave is compared bit for bit: the table of
configurations (but for the causes, see benchmarks/causes), the weights of every epoch where these were kept, and the
parameters of the model. Where all are the same, this is noted in same_weights.json, and results of that commit count as
those of the present one (one_code.py), but for what a step or the end of an epoch costs. Run it on the
machine that made the trainings: others round otherwise.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

import numpy as np
import pandas
import torch
from demo_arms import KEY_FILE, LOG_FILE, RESULT_FILE, launch
from source_commit import SAME_WEIGHTS, commit_of, git

from mace_outlier.files import replacing

NOT_COMPARED = ("source", "cause", "cause_certainty", "cause_value")  # columns: paths, and what is no weight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--arm", default="", help="note it for this arm and its variants only (default: for all)")
    parser.add_argument("--out", type=Path, default=SAME_WEIGHTS)
    options = parser.parse_args()
    now = commit_of()
    if now.endswith("-dirty"):
        parser.error("commit what you changed first: what is compared is named by its commit")
    found: dict[str, dict[str, Any]] = {}
    for run in options.runs:
        result, started = json.loads((run / RESULT_FILE).read_text(encoding="utf-8")), time.time()
        if not result["arm"].startswith(options.arm):
            parser.error(f"{run} is a training of {result['arm']}, not of {options.arm}")
        with tempfile.TemporaryDirectory() as folder:
            differ, numbers = differences(run.resolve(), repeated(run.resolve(), Path(folder)))
        print(f"{run}: {', '.join(differ) or 'the same'} ({time.time() - started:.0f} s)", flush=True)
        name = "/".join(run.parts[-3:])
        found.setdefault(result["commit"], {})[name] = numbers | ({"differ": differ} if differ else {})
    for before, runs in found.items():
        if any("differ" in numbers for numbers in runs.values()):
            raise SystemExit(f"{now} doesn't come to the weights of {before}: nothing is noted")
        note(options.out, before, now, runs, options.arm)


def repeated(run: Path, folder: Path) -> Path:
    """Run the command of a training once more, by the code that is here, in a folder; return that."""
    command = json.loads((run / KEY_FILE).read_text(encoding="utf-8"))["command"]
    if not any(str(run) in word for word in command):  # else it would be trained where it was, over what is there
        raise SystemExit(f"{run} was trained in another folder: {' '.join(command)}")
    root = git("rev-parse", "--show-toplevel", of=run)
    ours = [word.replace(str(run), str(folder)) for word in command]
    ours = [word.replace(root, str(REPOSITORY), 1) if word.endswith(".py") else word for word in ours]
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
        if launch(ours, log).wait():
            raise SystemExit(f"{' '.join(ours)} failed:\n{(folder / LOG_FILE).read_text(encoding='utf-8')[-2000:]}")
    return folder


def differences(one: Path, other: Path) -> tuple[list[str], dict[str, int]]:
    """Which files of two trainings hold other numbers, and how many numbers were compared, by kind of file.

    The other one may say more: columns that tables didn't have yet.
    """
    differ, numbers = [], {"table": 0, "epochs": 0, "model": 0}
    for kind, pattern, read in KINDS:
        for file in sorted(one.glob(pattern)):
            ours, theirs = read(file), read(other / file.relative_to(one))
            numbers[kind] += sum(own.size for own in ours.values())
            if not ours.keys() <= theirs.keys() or not all(same(ours[name], theirs[name]) for name in ours):
                differ.append(str(file.relative_to(one)))
    return differ + [kind for kind in ("table", "model") if not numbers[kind]], numbers


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two columns are equal, to the last bit; NaN is NaN."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def columns_of_table(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table of configurations, as texts."""
    table = pandas.read_csv(path, dtype=str, keep_default_na=False).drop(columns=[*NOT_COMPARED], errors="ignore")
    return {name: np.array(column, dtype=str) for name, column in table.items()}


def of_epoch(path: Path) -> dict[str, np.ndarray]:
    """Weights and z-scores after an epoch."""
    with np.load(path) as columns:
        return dict(columns)


def of_model(path: Path) -> dict[str, np.ndarray]:
    """Parameters of a trained model."""
    model = torch.load(path, weights_only=False, map_location="cpu")
    return {name: own.numpy() for name, own in model.state_dict().items()}


KINDS = (
    ("table", "results/*_outliers.csv", columns_of_table),
    ("epochs", "weights/epoch-*.npz", of_epoch),
    ("model", "*[!d].model", of_model),  # not those that are compiled
)


def note(path: Path, before: str, now: str, runs: dict[str, Any], arm: str = "") -> None:
    """Add to what is known that two commits come to the same weights (of an arm), and by which trainings."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    known = [one for one in known if (one["before"], one["after"], one.get("arm", "")) != (before, now, arm)]
    versions = {name: version(name) for name in ("torch", "mace-torch", "numpy")} | {
        "python": platform.python_version()
    }
    of = {"arm": arm} if arm else {}
    known.append({"before": before, "after": now} | of | {"versions": versions, "numbers_compared": runs})
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
