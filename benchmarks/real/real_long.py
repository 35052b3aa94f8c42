"""Three hundred epochs: do the weights stay right to the end? Finished trainings are reused.

    python benchmarks/real/real_long.py             # an hour on two cores; long.csv, long.png and a table of README.md
    python benchmarks/real/real_long.py --tables    # only the latter two, from long.csv

Si and acac, clean, with flipped forces and with energies off by 60 meV/atom, with EMA and stage two, as run.py trains
them but for the number of epochs; the learning rate falls to the same at the end. After each epoch: how many of the
labels that were changed have lost their weight, and how many of the others.
"""

import argparse
import itertools
from dataclasses import replace

import _real_paths  # noqa: F401 (first)
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas
from demo_arms import MACE_SETTINGS, finished_result, run_all
from finished_trainings import committed_trainings
from readme_tables import markdown, write_tables
from real_cells import SETS, STAGE_TWO_FROM, WORK, Cell, ObservedTraining
from real_measure import BY_EPOCH, ENERGY, FORCES, collect, detection
from real_results import IN_FULL, WHAT_IS_WRONG, WHICH

HERE = WORK.parents[1] / "benchmarks" / "real"
TABLE, FIGURE = HERE / "long.csv", HERE / "long.png"
EPOCHS, SEED, ARM = 300, 1, "ema_robust"
LATE = 100  # epochs, the last ones: nothing should move any more
CELLS = [Cell(*which, "stage_two", SEED) for which in itertools.product(("Si", "acac"), ("clean", "flip", "pm60"))]
COLOURS = {"clean": "#999999", "flip": "#D55E00", "pm60": "#0072B2"}


def training(cell: Cell) -> ObservedTraining:
    """That of run.py, longer."""
    longer, gamma = cell.training(ARM, WORK / "long", EPOCHS), MACE_SETTINGS["lr_scheduler_gamma"]
    slower = gamma ** (SETS[cell.set].epochs / EPOCHS)
    return replace(longer, flags=(*longer.flags, f"--lr_scheduler_gamma={slower:.6f}"))


def measured(cell: Cell, one: ObservedTraining) -> dict:
    """What a finished training says, epoch by epoch."""
    row = {name: value for name, value in finished_result(one).items() if name != "key"}
    return row | detection(one.folder, one.data, oracle={})


def course(row: pandas.Series, name: str) -> np.ndarray:
    """What a quantity was after each epoch."""
    return np.array([float(word) for word in str(row[f"{name}{BY_EPOCH}"]).split()])


def lines_of(rows: pandas.DataFrame) -> list[list[str]]:
    """Of the table: what was found and lost at the end, at most, and how much that moved late."""
    lines = []
    for _, row in rows.iterrows():
        lost = course(row, "false")
        cells = [IN_FULL[row.set], WHAT_IS_WRONG[row.fault]]
        if row.fault == "clean":
            cells += ["-", "-"]
        else:
            found = course(row, "touched_found")
            cells += [f"{found[-1]:.0f} of {row.touched}", f"{found[-LATE:].min():.0f} to {found[-LATE:].max():.0f}"]
        cells += [f"{100 * value:.1f} %" for value in (lost[-1], lost[-LATE:].max(), lost.max())]
        lines.append([*cells, f"{row[ENERGY]:.2f} / {row[FORCES]:.1f}"])
    return lines


def draw(rows: pandas.DataFrame) -> None:
    """Shares of wrong labels that are found, and of right ones that are lost, epoch by epoch."""
    sets = list(dict.fromkeys(rows.set))
    figure, panels = plt.subplots(2, len(sets), figsize=(9, 5), layout="constrained", sharex=True, squeeze=False)
    for (above, below), name in zip(panels.T, sets, strict=True):
        for _, row in rows[rows.set == name].iterrows():
            style = {"color": COLOURS[row.fault], "label": WHAT_IS_WRONG[row.fault]}
            below.plot(100 * course(row, "false"), **style)
            if row.fault != "clean":
                above.plot(100 * course(row, "touched_found") / row.touched, **style)
        above.set(title=IN_FULL[name], ylabel="wrong labels found, %", ylim=(0, 103))
        below.set(xlabel="epoch", ylabel="right labels lost, %", ylim=(0, max(1.0, below.get_ylim()[1])))
        for axes in (above, below):
            axes.axvline(STAGE_TWO_FROM * EPOCHS, color="black", linewidth=0.8, linestyle=":")
            axes.grid(alpha=0.3)
    handles, labels = panels[1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(FIGURE, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--tables", action="store_true", help="train nothing")
    options = parser.parse_args()
    if not options.tables:
        train(options.processes)
    rows = pandas.read_csv(TABLE)
    head = ["data", "wrong labels", "found", f"in the last {LATE} epochs"]
    head += ["right ones lost", f"most in the last {LATE} epochs", "most after any epoch", "meV/atom / meV/A"]
    write_tables(HERE / "README.md", "real", {"long": markdown(head, lines_of(rows))})
    draw(rows)


def train(processes: int) -> None:
    """Make the table of trainings complete."""
    known = committed_trainings(TABLE, WHICH)
    trainings = {cell: training(cell) for cell in CELLS if (*cell, ARM) not in known}
    run_all([one for one in trainings.values() if finished_result(one) is None], processes, collect)
    rows = pandas.DataFrame([measured(cell, one) for cell, one in trainings.items()])
    if known:
        rows = pandas.concat([pandas.read_csv(TABLE, dtype={"commit": str}), rows]).drop_duplicates(WHICH, keep="last")
    rows.to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
