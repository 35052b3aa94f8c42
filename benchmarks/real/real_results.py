"""What the trainings on other people's data say: trainings.csv, tables and figures, from all that are finished.

python benchmarks/real/real_results.py
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import _real_paths  # noqa: F401 (first)
import finished_trainings
import numpy as np
import pandas
from demo_arms import RESULT_FILE
from faults import FAULTS
from readme_tables import markdown, write_tables
from real_bars import bars, judgement
from real_cells import KEPT, SETS, TRAINED, WORK, Cell
from real_figures import draw
from real_measure import DETECTED, ENERGY, FORCES, STRESS, detection
from real_moments import moments
from real_scatter import number, scatter, with_scatter
from real_sets import REPOSITORY
from real_unmet import unmet

HERE = Path(__file__).resolve().parent
TRAININGS, README = HERE / "trainings.csv", HERE / "README.md"
DIGITS = "%.6g"  # of what is measured
WHICH = [*Cell._fields, "arm"]
RATIOS = {ENERGY: "energy_ratio", FORCES: "force_ratio", STRESS: "stress_ratio"}
NAMES = {
    "oracle": "frames not touched (oracle)",
    "weighted": "stock `weighted`",
    "universal": "stock `universal`",
    "published": "as published",
    "landed": "landed before",
    "ema_robust": "**`ema_robust`**",
}
ORDER = {name: place for place, name in enumerate([*SETS, *FAULTS, "own", *TRAINED, *NAMES, KEPT])}  # of rows
FOUND = ("ema_robust", "landed", "published")
NOTHING = "Nothing is trained yet.\n"
WHAT_IS_WRONG = {  # of the faults that the short tables show
    "clean": "nothing",
    "flip": "sign of the forces, 20 %",
    "kcal": "forces in kcal/mol/A, 10 %",
    "hartree": "energies in hartree, 5 %",
    "others": "energies of other frames, 15 %",
    "pm60": "energies +60 or -60 meV/atom, 15 %",
    "p60_30": "energies +60 meV/atom, 30 %",
    "block": "energies +60 meV/atom in one block, 20 %",
    "mild": "noise: 15 meV/atom, 0.1 eV/A, 20 %",
    "scf_15": "unconverged, 15 %",
    "scf_30": "unconverged, 30 %",
    "scf_43": "unconverged, 43 %",
    "charge": "another charge state, 15 %",
    "own": "as published",
}
IN_FULL = {
    "Si": "silicon",
    "Mo": "molybdenum",
    "acac": "acetylacetone",
    "water": "water clusters",
    "wbe": "W-Be",
    "dft_water": "liquid water, PBE0-TS",
    "alloys": "alloys of Ni, Cu, Pd, Ag, Au",
}
FACE = [*product(("Si", "Mo", "acac", "alloys"), ("clean", "flip", "pm60"))]  # of the table on the project's first page
FACE += [("water", "scf_30"), ("water", "scf_43"), ("dft_water", "scf_15"), ("wbe", "own")]
ELSEWHERE: dict[str, tuple[Path, list | None]] = {  # tables in other documents, by name: where, and what they show
    "short": (REPOSITORY / "docs" / "pages" / "measured.md", None),
    "face": (REPOSITORY / "README.md", FACE),
}


# --- rows ------------------------------------------------------------------------------------------------------------


def finished(work: Path = WORK, table: Path = TRAININGS) -> pandas.DataFrame:
    """One row for each finished training, with its errors over the oracle's (clean data: the stock training's)."""
    if not table.exists() and not any(work.glob("runs/*/*/result.json")):
        return pandas.DataFrame()
    rows = finished_trainings.finished_trainings(work / "runs", table, WHICH)
    rows = judged(rows, work)
    rows = rows.reindex(columns=list(dict.fromkeys([*rows.columns, *RATIOS, *DETECTED])))  # "" where none has it
    numbers = rows.select_dtypes("float").columns  # as the table has them, so that it gives the same tables again
    rows[numbers] = rows[numbers].map(lambda value: float(DIGITS % value))
    rows["data"] = [f"{row.set} {row.fault} {row.train}" for row in rows.itertuples()]
    rows = finished_trainings.over_the_oracle(rows, "data", RATIOS).drop(columns="data")
    for metric in (ENERGY, FORCES):
        rows.loc[rows[metric].isna(), RATIOS[metric]] = np.inf  # a model that gives no number
    return rows.sort_values(
        WHICH, key=lambda column: column.map(lambda value: ORDER.get(value, value)), ignore_index=True
    )


def judged(rows: pandas.DataFrame, work: Path) -> pandas.DataFrame:
    """The rows with what their weights found, where these are here; of the others, what was found before."""
    oracles = {
        tuple(row[name] for name in WHICH[:-1]): row for row in rows.to_dict("records") if row["arm"] == "oracle"
    }
    judged_rows = []
    for row in rows.to_dict("records"):
        cell = Cell(*(row[name] for name in WHICH[:-1]))
        folder = work / "runs" / cell.run_name / row["arm"]
        finished_here = (folder / RESULT_FILE).exists()  # not one that was cut off
        found_here = detection(folder, cell.data(work), oracles.get(tuple(cell), {})) if finished_here else {}
        judged_rows.append(row | found_here)
    return pandas.DataFrame(judged_rows)


# --- tables ----------------------------------------------------------------------------------------------------------


def found_table(rows: pandas.DataFrame) -> str:
    """Recall and precision at the end, and the share of right labels below 1/2 at the end and after any epoch."""
    lines = []
    for (name, fault, train), own in rows.groupby(["set", "fault", "train"], sort=False):
        cells = [found(own[own.arm == arm]) for arm in FOUND]
        if set(cells) != {"-"}:
            lines.append([name, fault, train.replace("_", " "), *cells])
    return markdown(["data", "fault", "trained on", *(NAMES[arm] for arm in FOUND)], lines)


def found(rows: pandas.DataFrame) -> str:
    if not len(rows) or rows.false.isna().all():
        return "-"
    mean = rows.mean(numeric_only=True)
    false = f"{100 * mean.false:.1f} %, {100 * rows.largest_false.max():.1f} %"
    if not rows.touched.sum():
        return false
    wrong = f"{number(mean.recall)} / {number(mean.precision)}; " if rows.wrong.sum() else ""
    return f"{rows.touched_found.sum():.0f} of {rows.touched.sum():.0f}; {wrong}{false}"


def short_table(rows: pandas.DataFrame, shown: Sequence[tuple[str, str]] | None = None) -> str:
    """What `ema_robust` found and lost, and its errors beside stock MACE's: of all, or of some sets and faults."""
    lines = []
    for (name, fault), own in rows[rows.train == "forces"].groupby(["set", "fault"], sort=False):
        ours = own[own.arm == "ema_robust"]
        if fault not in WHAT_IS_WRONG or not len(ours) or (shown and (name, fault) not in shown):
            continue
        wrong = f"{ours.touched_found.sum():.0f} of {ours.touched.sum():.0f}" if ours.touched.sum() else "-"
        lost = f"{100 * ours.false.mean():.1f} % ({100 * ours.largest_false.max():.1f} %)"
        arms = [own[(own.arm == arm) & own.seed.isin(ours.seed)] for arm in ("weighted", "ema_robust")]
        ratios = [
            with_scatter(of_arm[RATIOS[metric]]) + fewer(of_arm, len(ours))
            for metric in (ENERGY, FORCES)
            for of_arm in arms
        ]
        name = name if shown is None else IN_FULL[name]
        lines.append([name, WHAT_IS_WRONG[fault], wrong, lost, *ratios, str(len(ours))])
    head = ["data", "wrong labels", "found", "right ones lost (worst epoch)"]
    head += [f"{what}: {arm}" for what in ("energies", "forces") for arm in ("stock", NAMES["ema_robust"])]
    return markdown([*head, "seeds"], lines)


def errors_table(rows: pandas.DataFrame) -> str:
    """The oracle's errors (clean data: the stock training's), and those of the arms in units of these."""
    lines = []
    for (name, fault, train), own in rows.groupby(["set", "fault", "train"], sort=False):
        ours = own[own.arm == "ema_robust"]
        own = own[own.seed.isin(ours.seed)] if len(ours) else own  # all arms by the same seeds
        best = own[own.arm == ("weighted" if fault == "clean" else "oracle")].mean(numeric_only=True)
        seeds = own.groupby("arm").size().max()
        absolute = f"{number(best.get(ENERGY), 1)} / {number(best.get(FORCES), 0)}"
        ratios = [ratio(one := own[own.arm == arm]) + fewer(one, seeds) for arm in NAMES if arm != "oracle"]
        lines.append([name, fault, train.replace("_", " "), str(seeds), absolute, *ratios])
    arms = [text for arm, text in NAMES.items() if arm != "oracle"]
    return markdown(["data", "fault", "trained on", "seeds", "oracle, meV/atom / meV/A", *arms], lines)


def fewer(rows: pandas.DataFrame, seeds: int) -> str:
    """In brackets, of how many seeds there are errors to compare, where it isn't of all that the line has."""
    number_of_them = int(rows.energy_ratio.notna().sum())
    return f" ({number_of_them})" if 0 < number_of_them < seeds else ""


def ratio(rows: pandas.DataFrame) -> str:
    """Ratios of energy and force errors to the oracle's."""
    if not len(rows):
        return "-"
    failed = f" ({int(rows.failed.sum())} failed)" if rows.failed.any() else ""
    if rows.energy_ratio.isna().all() and rows.force_ratio.isna().all():
        return "-"  # its oracle isn't trained yet
    return f"{number(rows.energy_ratio.mean())} / {number(rows.force_ratio.mean())}{failed}"


# --- files -----------------------------------------------------------------------------------------------------------


def tables(rows: pandas.DataFrame) -> dict[str, str]:
    """The README's tables by name."""
    if not len(rows):
        return dict.fromkeys(("bars", "unmet", "found", "errors", "scatter", "moments"), NOTHING)
    made = {"bars": judgement(bars(rows)), "found": found_table(rows), "errors": errors_table(rows)}
    return made | {"unmet": unmet(rows), "scatter": scatter(rows), "moments": moments(rows)}


def write(work: Path, table: Path) -> pandas.DataFrame:
    """Write the table of all trainings, and say how the bars fare."""
    rows = finished(work, table)
    if len(rows):
        rows.to_csv(table, index=False, float_format=DIGITS)
        print("\n".join(tables(rows).values()), flush=True)
    return rows


def main() -> None:
    rows = write(WORK, TRAININGS)
    write_tables(README, "real", tables(rows))
    for name, (document, shown) in ELSEWHERE.items():
        write_tables(document, "real", {name: short_table(rows, shown) if len(rows) else NOTHING})
    if len(rows):
        draw(rows, HERE)


if __name__ == "__main__":
    main()
