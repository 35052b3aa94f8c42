"""Errors of every epoch: does stock MACE learn the wrong labels by heart? Two trainings, every checkpoint kept.

    python benchmarks/spice/learning.py        # half an hour; writes learning.json and learning.png

What is drawn: see benchmarks/learning_curves.py.
"""

import argparse
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent

import _spice_paths  # noqa: F401 (first)
from demo_arms import began_with, finished_result, run_all
from learning_curves import curve, draw, keeping_all
from mini_spice import WORK
from spice_cells import training
from spice_errors import collect
from training_files import write_json_atomically

ARMS = {"weighted": "stock weighted", "default": "ema_robust"}
SOME = 200  # configurations of each kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trainings = [keeping_all(training(options.share, arm, options.seed), WORK / "learning") for arm in ARMS]
    run_all([one for one in trainings if finished_result(one) is None], 2, collect)
    rows = [row for one in trainings for row in curve(one, SOME)]
    about = {
        "command": f"python benchmarks/spice/learning.py --share {options.share:g} --seed {options.seed}",
        "commit": began_with(trainings[-1]),  # ours
    }
    write_json_atomically(HERE / "learning.json", about | {"configurations": SOME, "rows": rows})
    rows = json.loads((HERE / "learning.json").read_text())["rows"]
    draw(rows, ARMS, f"{100 * options.share:g} % wrong labels", HERE / "learning.png")


if __name__ == "__main__":
    main()
