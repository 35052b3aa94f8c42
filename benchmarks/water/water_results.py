"""What the benchmark of liquid water says: trainings.csv, observables.json, results.json, tables, figures.

python benchmarks/water/water_results.py                           # of what is finished, into build/water/results
python benchmarks/water/water_results.py --out benchmarks/water    # of what these have, and of what is finished
"""

import argparse
import json
import shutil
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import _water_paths  # noqa: F401 (first)
import numpy as np
import pandas
from demo_arms import ARMS as FLAGS_OF_ARMS
from demo_arms import MACE_SETTINGS, REPOSITORY, RESULT_FILE, finished_result
from demo_results import package_version
from finished_trainings import WHICH, committed_trainings, finished_trainings, over_the_oracle
from learning_curves import curve
from make_water import DESCRIPTION_FILE
from readme_tables import write_tables
from training_files import write_json_atomically
from water_cells import CLEAN, ENERGY_WEIGHT, FLAGS, FULL, SIGMA, Benchmark, Cell
from water_figures import draw_all
from water_md import Replica, is_finished
from water_observables import observables
from water_summary import over_seeds, summarise
from water_tables import ENERGY, FORCES, errors, frames, liquid, short, tables

HERE = Path(__file__).resolve().parent
OTHER_FRAMES = HERE / "other_frames"  # made on another machine
DATA_FILE = "results.json"
PACKAGES = ("torch", "mace-torch", "mace-outlier", "ase", "numpy", "scipy", "tblite", "MDAnalysis", "tidynamics")
SOME = 100  # configurations of each kind, for the learning curves


def trainings(benchmark: Benchmark) -> pandas.DataFrame:
    """One row for each finished training, with its errors over the oracle's of the same share and frames.

    From the digits that are written, so that a checkout that has only these says the same.
    """
    rows = finished_trainings(benchmark.work / "runs", benchmark.out / "trainings.csv").round(4)
    # the bad frames are the same for every kind
    rows = over_the_oracle(rows, None, {ENERGY: "energy_ratio", FORCES: "force_ratio"})
    return rows.sort_values(["kind", "share", "arm", "seed"])


def earlier(out: Path, name: str, of: str) -> Any:
    """What an earlier checkout has left in a file of a folder of results."""
    path = out / name
    return json.loads(path.read_text())[of] if path.exists() else []


def described_here(benchmark: Benchmark) -> dict | None:
    """The description of the frames, if they have been made here."""
    path = benchmark.work / "liquid" / DESCRIPTION_FILE
    return json.loads(path.read_text()) if path.exists() else None


def refuse_other_frames(benchmark: Benchmark) -> None:
    """Raise SystemExit if the results that are there are of other frames than those made here.

    The same settings and seed gave the same frames on one machine, and others on the next: where the last digit of a
    force differs, so does all of a trajectory after a picosecond, but for its averages. Labels of the same frames
    differ in last digits only.
    """
    there, here = earlier(benchmark.out, DATA_FILE, "data"), described_here(benchmark)
    if there and here and not (there["settings"] == here["settings"] and np.allclose(numbers(there), numbers(here))):
        raise SystemExit(
            f"The results in {benchmark.out} are of other frames than those in {benchmark.work / 'liquid'} (another "
            "machine may make others): models of both can't be compared. Give an empty folder (--out), all are run anew"
        )


def numbers(described: dict) -> list[float]:
    """What a description of the data says of the frames, to all its digits: energies of free atoms, sizes of errors."""
    sizes = [value for kind in described["severity"].values() for value in kind.values()]
    return [*described["E0s_eV"].values(), *sizes]


def finished_before(benchmark: Benchmark, seed: int) -> set[Cell]:
    """What an earlier checkout has trained, and simulated if it was to be: nothing needs these models any more."""
    trained = committed_trainings(benchmark.out / "trainings.csv")
    models = earlier(benchmark.out, "observables.json", "models")
    there = {tuple(own[name] for name in WHICH): own["trajectories"] for own in models}
    found = {(kind, share, arm) for arm, kind, share, of in trained if of == seed}
    to_simulate = benchmark.simulated_with(seed)
    wanted = {cell: len(benchmark.replicas(cell, seed)) for cell in to_simulate}
    return {cell for cell in found if there.get((cell[2], *cell[:2], seed), 0) >= wanted.get(cell, 0)}


def simulated(benchmark: Benchmark) -> list[dict]:
    """Observables of every model that was simulated, here or, as observables.json has them, in an earlier checkout.

    Each trajectory is evaluated once.
    """
    which, found = ("kind", "share", "arm", "seed"), {}
    before = {tuple(own[name] for name in which): own for own in earlier(benchmark.out, "observables.json", "models")}
    for cell, seed in product(benchmark.simulated, benchmark.seeds):
        name, has_model = (*cell, seed), (benchmark.runs(cell, seed) / "demo.model").exists()
        own = [evaluated(one) for one in benchmark.replicas(cell, seed) if is_finished(one)] if has_model else []
        if own:
            found[name] = dict(zip(which, name, strict=True)) | summarise(own)
        elif name in before:
            found[name] = before[name]
    return list((found | {name: own for name, own in before.items() if name not in found}).values())


def evaluated(replica: Replica) -> dict:
    """Observables of a replica, from its folder if they are there."""
    path = replica.path.with_suffix(".observables.json")
    if not path.exists() or json.loads(path.read_text())["key"] != replica.key():
        write_json_atomically(path, {"key": replica.key()} | observables(replica))
    return json.loads(path.read_text()) | {"number": replica.number}


def learning(benchmark: Benchmark) -> list[dict]:
    """Learning curves, computed once; else those of an earlier checkout."""
    before, rows, seed = earlier(benchmark.out, "learning.json", "rows"), [], benchmark.seeds[0]
    for cell in benchmark.followed:
        one = benchmark.followed_training(cell, seed) if benchmark.has_data(cell, seed) else None
        if one is None or finished_result(one) is None:
            rows += [row for row in before if row["arm"] == cell[2]]
            continue
        path = one.folder / "learning.json"
        if not path.exists() or path.stat().st_mtime < (one.folder / RESULT_FILE).stat().st_mtime:
            write_json_atomically(path, {"rows": curve(one, SOME)})
        rows += json.loads(path.read_text())["rows"]
    return rows


def about(benchmark: Benchmark, data: dict, seeds: list[int]) -> dict:
    """Settings, versions and what the labels are."""
    settings = MACE_SETTINGS | {"energy_weight": ENERGY_WEIGHT, "epochs": benchmark.epochs, "flags": FLAGS}
    return {
        "command": f"python benchmarks/water/run.py --seeds {' '.join(map(str, seeds))}",
        "versions": {name: package_version(name) for name in PACKAGES},
        "seeds": seeds,
        "data": data,
        "settings": settings | {"sigma_of_refinement": SIGMA},
        "arms": {arm: FLAGS_OF_ARMS[arm] for arm in sorted({arm for _, _, arm in benchmark.trained})},
        "dynamics": asdict(benchmark.protocol) | {"replicas": benchmark.trajectories},
    }


def of_other_frames(liquids: list[dict]) -> dict[str, str]:
    """Tables of what was run once more on other frames, and of both."""
    other = over_seeds(earlier(OTHER_FRAMES, "observables.json", "models"))
    found = errors(pandas.read_csv(OTHER_FRAMES / "trainings.csv"))
    return {"other": f"{found}\n{liquid(other)}", "frames": frames(liquids, other)}


def write_results(benchmark: Benchmark) -> None:
    """All files, in the benchmark's folder of results.

    Raises SystemExit where those are of other frames than what was run here, and where there are neither.
    """
    refuse_other_frames(benchmark)
    out = benchmark.out
    data = described_here(benchmark) or earlier(out, DATA_FILE, "data")
    if not data:
        raise SystemExit(f"No frames in {benchmark.work}, no results in {out} (--out): first run.py")
    out.mkdir(parents=True, exist_ok=True)
    rows, models = trainings(benchmark), simulated(benchmark)
    rows.drop(columns=["seconds"], errors="ignore").round(4).to_csv(out / "trainings.csv", index=False)
    write_json_atomically(out / DATA_FILE, about(benchmark, data, sorted(rows.seed.unique().tolist())))
    write_json_atomically(out / "observables.json", {"models": models})
    curves, liquids = learning(benchmark), over_seeds(models)
    if curves:
        write_json_atomically(out / "learning.json", {"configurations": SOME, "rows": curves})
    made = tables(rows, liquids, data["severity"])
    if out == HERE:
        write_tables(REPOSITORY / "docs" / "pages" / "measured.md", "water", {"short": short(rows, liquids)})
        made |= of_other_frames(liquids)
    else:
        shutil.copy(HERE / "README.md", out)
    write_tables(out / "README.md", "water", made)
    draw_all(rows, liquids, curves, CLEAN, out)
    print("\n".join(made.values()), f"\nfiles in {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FULL.out, help="folder of tables and figures, and of earlier ones")
    write_results(replace(FULL, out=parser.parse_args().out.resolve()))


if __name__ == "__main__":
    main()
