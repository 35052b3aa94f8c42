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
from demo_arms import MACE_SETTINGS, REPOSITORY
from demo_results import package_version
from finished_trainings import WHICH, committed_trainings, finished_trainings, over_the_oracle
from make_water import DESCRIPTION_FILE
from readme_tables import write_tables
from training_files import write_json_atomically
from water_cells import CLEAN, ENERGY_WEIGHT, FLAGS, FULL, SIGMA, Benchmark, Cell
from water_figures import draw_all
from water_md import Replica, is_finished
from water_observables import observables
from water_summary import over_seeds, summarise
from water_tables import ENERGY, FORCES, short, tables

HERE = Path(__file__).resolve().parent
DATA_FILE = "results.json"
PACKAGES = ("torch", "mace-torch", "mace-outlier", "ase", "numpy", "scipy", "tblite", "MDAnalysis", "tidynamics")


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


def simulated(benchmark: Benchmark, rows: pandas.DataFrame) -> list[dict]:
    """Observables of every model that was simulated, here or, as observables.json has them, in an earlier checkout.

    Each trajectory is evaluated once. Of a model that has been trained again since, what is known of the one before it
    doesn't count.
    """
    which, found = ("kind", "share", "arm", "seed"), {}
    commits = dict(zip(rows[list(which)].itertuples(index=False, name=None), rows["commit"], strict=True))
    known = {tuple(own[name] for name in which): own for own in earlier(benchmark.out, "observables.json", "models")}
    before = {name: own for name, own in known.items() if own.get("commit", commits.get(name)) == commits.get(name)}
    for cell, seed in product(benchmark.simulated, benchmark.seeds):
        name, has_model = (*cell, seed), (benchmark.runs(cell, seed) / "demo.model").exists()
        own = [evaluated(one) for one in benchmark.replicas(cell, seed) if is_finished(one)] if has_model else []
        if own:
            found[name] = dict(zip(which, name, strict=True)) | {"commit": commits.get(name)} | summarise(own)
        if own or has_model:
            before.pop(name, None)
    return list((found | before).values())


def evaluated(replica: Replica) -> dict:
    """Observables of a replica, from its folder if they are there."""
    path = replica.path.with_suffix(".observables.json")
    if not path.exists() or json.loads(path.read_text())["key"] != replica.key():
        write_json_atomically(path, {"key": replica.key()} | observables(replica))
    return json.loads(path.read_text()) | {"number": replica.number}


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
    rows = trainings(benchmark)
    models = simulated(benchmark, rows)
    rows.drop(columns=["seconds"], errors="ignore").round(4).to_csv(out / "trainings.csv", index=False)
    write_json_atomically(out / DATA_FILE, about(benchmark, data, sorted(rows.seed.unique().tolist())))
    write_json_atomically(out / "observables.json", {"models": models})
    liquids = over_seeds(models)
    made = tables(rows, liquids)
    if out == HERE:
        write_tables(REPOSITORY / "docs" / "pages" / "measured.md", "water", {"short": short(rows, liquids)})
    else:
        shutil.copy(HERE / "README.md", out)
    write_tables(out / "README.md", "water", made)
    draw_all(rows, liquids, CLEAN, out)
    print("\n".join(made.values()), f"\nfiles in {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FULL.out, help="folder of tables and figures, and of earlier ones")
    write_results(replace(FULL, out=parser.parse_args().out.resolve()))


if __name__ == "__main__":
    main()
