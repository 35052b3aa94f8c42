"""Replays: judge again what a training saw, epoch by epoch, under any settings, in seconds.

    python benchmarks/real/real_replays.py capture Si pm60 1     # trains with all weights 1, keeps what is judged
    python benchmarks/real/real_replays.py judge                 # replays.csv: when it acts, what it finds
    python benchmarks/real/real_replays.py settings              # settings.csv: a factor of 1.5 in each setting
    python benchmarks/real/real_replays.py tables                # tables of replays.md only, from both files

What is kept lies in build/real/replays/<set>-<fault>-<seed>/seen, one .npz an epoch, with the truth beside it.
"""

import argparse
import csv
import dataclasses
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import _real_paths  # noqa: F401 (first)
import numpy as np
from ase.io import read
from readme_tables import markdown, write_tables
from real_cells import WORK, Cell
from real_measure import auroc
from real_sets import REPOSITORY
from source_commit import commit_of

from mace_outlier.method import judge as judging
from mace_outlier.method.evidence import WHOLE
from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.processes import ALONE
from mace_outlier.method.seen import Seen
from mace_outlier.method.settings import Settings
from mace_outlier.method.shown import Shown, look_at, shown

REPLAYS, HERE, PACKAGE = WORK / "replays", Path(__file__).parent, REPOSITORY / "mace_outlier"
DECIDING = ("gain", "gain_known", "coarsened", "together", "memory")
DECIDING += ("energy_apart", "error_apart", "gross", "few", "most")
FACTOR, KNOWN_GAIN = 1.5, 5.0  # a gain of 0 has no multiple: it is exchanged for this and its negative
SHOWN = ("Mo-clean-2", "Mo-pm60-1", "Si-clean-1", "Si-flip-1", "Si-fnoise-1", "Si-pm60-1", "acac-clean-1")
SHOWN += ("acac-mild-1", "spice-scf_30-1", "water-scf_43-1", "wbe-own-1")  # of settings.csv, in the table
FORCES_ONLY = ("flip", "kcal", "fnoise")  # faults that a frame without forces can't have


def capture(name: str, fault: str, seed: int) -> None:
    """Train one cell with all weights 1, and keep what every epoch saw."""
    training = Cell(name, fault, "forces", seed).training("ema_robust")
    folder = REPLAYS / f"{name}-{fault}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "truth.npz", wrong=truth(training.data))
    command = dataclasses.replace(training, folder=folder).command()
    subprocess.run([*command, "--ema_robust_threshold=inf"], check=True)


def truth(data: Path) -> list[int]:
    """Of each configuration, 1: wrong, 0: right, -1: not known."""
    frames = read(data / "train.xyz", ":")
    return [frame.info.get("known_wrong", frame.info.get("planted", 0)) for frame in frames]


def seen_in(file: Path) -> tuple[np.ndarray, Seen, int]:
    """Rows, what was seen of them, and how many rows there are."""
    arrays = dict(np.load(file))
    rows, size = arrays.pop("rows"), int(arrays.pop("size"))
    values: dict[str, Any] = {"errors": {}, "composition": {}}
    for name, own in arrays.items():
        field, _, key = name.partition(":")
        if key:
            values[field][key] = own
        else:
            values[field] = own
    return rows, Seen(**values), size


@cache
def shown_in(file: Path) -> Shown:
    """What is not explained in an epoch: it doesn't depend on the settings that decide."""
    rows, seen, size = seen_in(file)
    look = look_at(rows, seen, Settings(), ALONE)
    assert look is not None
    return shown(look, size, Settings(), ALONE)


def replay(folder: Path, settings: Settings) -> Iterator[dict[str, Any]]:
    """What would have been called wrong, epoch by epoch."""
    wrong, judge = np.load(folder / "truth.npz")["wrong"], HeadJudge(settings)
    for epoch, file in enumerate(sorted(folder.glob("seen/epoch-*.npz"))):
        rows, seen, size = seen_in(file)
        with patch.object(judging, "shown", lambda *_, file=file: shown_in(file)):
            judged = judge.refit(rows, seen, size)
        weight, zscore = np.ones(size), np.zeros(size)
        if judged is not None:
            weight[judged[0]], zscore[judged[0]] = judged[1].weight, judged[1].zscore
        can = np.ones(size, dtype=bool)
        if folder.name.split("-")[1] in FORCES_ONLY:  # forces that vanish by symmetry can't be wrong in sign or unit
            can[rows] = seen.label_force > settings.least_force
        below, held_back = weight < 0.5, judge.looked.own.get(WHOLE, np.ones(size))
        yield {
            "epoch": epoch,
            "acts": judge.some_are_wrong,
            "found": int((below & (wrong == 1) & can).sum()),
            "wrong": int(((wrong == 1) & can).sum()),
            "false": int((below & (wrong == 0)).sum()),
            "right": int((wrong == 0).sum()),
            "gain": round(judge.gain, 1),
            "auroc": round(auroc(zscore, (wrong == 1) & can, wrong == 0), 3),
            "auroc_held_back": round(auroc(-held_back, (wrong == 1) & can, wrong == 0), 3),
        }


def summary(folder: Path, settings: Settings) -> dict[str, Any]:
    """One line: from which epoch on it acts, what it finds at the end, the most false alarms after any epoch."""
    epochs = list(replay(folder, settings))
    last, acting = epochs[-1], [one["epoch"] for one in epochs if one["acts"]]
    return {
        "replay": folder.name,
        "epochs": len(epochs),
        "acts_from": acting[0] if acting else "",
        "acts_in": len(acting),
        "auroc_first": epochs[0]["auroc"],
        "auroc_held_back": epochs[0]["auroc_held_back"],
        **{name: last[name] for name in ("found", "wrong", "false", "right")},
        "most_false": max(one["false"] for one in epochs),
        "largest_gain": max(one["gain"] for one in epochs),
    }


def variants() -> Iterator[tuple[str, Settings]]:
    """The defaults, and each deciding setting times and over 1.5."""
    yield "defaults", Settings()
    for name in DECIDING:
        value = getattr(Settings(), name)
        for way, changed in (("x 1.5", value * FACTOR), ("/ 1.5", value / FACTOR)):
            if value == 0:
                changed = KNOWN_GAIN if way == "x 1.5" else -KNOWN_GAIN
            changed = int(changed) if isinstance(value, int) else changed
            yield f"{name} {way} = {changed:.3g}", dataclasses.replace(Settings(), **{name: changed})


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows with the commit that made them: this one, but for those that have another."""
    with path.open("w", newline="") as file:
        names = [name for name in rows[0] if name != "commit"]
        writer = csv.DictWriter(file, [*names, "commit"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"commit": commit_of(PACKAGE)} | row for row in rows)


def rows_of(name: str) -> list[dict[str, str]]:
    """Rows of a table that was written before; none where there is none."""
    path = HERE / name
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def tables() -> dict[str, str]:
    """The tables of replays.md, out of both files."""
    head = ["replay", "AUROC after the first epoch: of z, of weights held back", "acts from epoch", "found at the end"]
    head += ["right labels lost at the end", "at most after an epoch"]
    lines = [
        [row["replay"], ", ".join(_auroc(row[name]) for name in ("auroc_first", "auroc_held_back"))]
        + [row["acts_from"] or "-"]
        + [f"{row['found']} of {row['wrong']}"]
        + [f"{row[name]} of {row['right']}" for name in ("false", "most_false")]
        for row in rows_of("replays.csv")
    ]
    changes: dict[str, dict[str, str]] = {}
    for row in rows_of("settings.csv"):
        found = f"{row['found']}/{row['wrong']}, " if row["wrong"] != "0" else ""
        changes.setdefault(row["setting"], {})[row["replay"]] = f"{found}{row['false']} ({row['most_false']})"
    names = [name for name in changes.get("defaults", {}) if name in SHOWN]
    return {
        "replays": markdown(head, lines),
        "settings": markdown(
            ["setting", *names], [[one, *(own[name] for name in names)] for one, own in changes.items()]
        ),
    }


def _auroc(written: str) -> str:
    """As it is read: "-" where nothing is wrong, or nothing was thought of anything."""
    return "-" if written in ("nan", "0.5") else written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("capture", "judge", "settings", "tables"))
    parser.add_argument("cell", nargs="*", help="capture: data set, fault, seed")
    options = parser.parse_args()
    if options.what == "capture":
        capture(options.cell[0], options.cell[1], int(options.cell[2]))
        return
    replays = REPLAYS.iterdir() if REPLAYS.exists() else ()
    folders = sorted(folder for folder in replays if not options.cell or folder.name in options.cell)
    if options.what == "judge":
        write(HERE / "replays.csv", [summary(folder, Settings()) for folder in folders])
    elif options.what == "settings":
        rows = [{"setting": name} | summary(folder, own) for folder in folders for name, own in variants()]
        write(HERE / "settings.csv", rows)
    write_tables(HERE / "replays.md", "real", tables())


if __name__ == "__main__":
    main()
