"""How many wrong labels does it survive? Loss distributions and losses against the share of wrong labels.

    python benchmarks/ablation/run.py                       # all cells; resumable: finished trainings are reused
    python benchmarks/ablation/run.py --shares 0 0.3 --seeds 1 --arms oracle mixture

The demo's water clusters and settings (GFN2-xTB, 400 training and 80 validation frames, 60 epochs); training AND
validation labels of the given share come from an unconverged SCF; tested on converged labels. Writes trainings.csv,
results.json, table.md and ablation.png beside this file, from all trainings that are finished.
"""

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(REPOSITORY / "scripts"))

import numpy as np
import pandas
from ase.io import read
from demo_arms import ARMS, KEY_FILE, MACE_SETTINGS, RESULT_FILE, Arm, Training, finished_result, run_all
from demo_results import errors_on_test_set, package_version
from make_water import DESCRIPTION_FILE, make_labelled, write_json_atomically, write_training_files
from scipy.stats import mannwhitneyu
from water_clusters import WaterSettings

from mace_outlier.results import read_results

PUBLISHED = ("--ema_robust_distribution=gaussian", "--ema_robust_selection=stock")
ARMS.update(
    {
        "universal": Arm("universal"),
        "l1l2": Arm("l1l2energyforces"),
        "published": Arm("ema_robust", flags=(*PUBLISHED, "--ema_robust_variance=batch", "--ema_robust_warmup=0")),
        "gaussian": Arm("ema_robust", flags=PUBLISHED),
        "gaussian, robust selection": Arm("ema_robust", flags=PUBLISHED[:1]),
        "mixture": Arm("ema_robust"),
        "mixture, stock selection": Arm("ema_robust", flags=PUBLISHED[1:]),
    }
)
DEFAULT_ARMS = ["oracle", "mixture", "weighted", "gaussian"]
SHARES = [0.0, 0.15, 0.3, 0.43]
METRICS = {"energy": "energy_rmse_meV_per_atom", "forces": "force_rmse_meV_per_A"}
WORK = REPOSITORY / "build" / "ablation"


def prepare(shares: list[float], seeds: list[int], arms: list[str], epochs: int) -> list[Training]:
    """The trainings of the cells; the oracle of a clean set is the stock training."""
    data = REPOSITORY / "build" / "demo" / "data"
    labelled = make_labelled(WaterSettings(), data)
    e0s = {int(z): e for z, e in json.loads((data / DESCRIPTION_FILE).read_text())["E0s_eV"].items()}
    trainings = []
    for seed in seeds:
        for share in shares:
            folder = WORK / "data" / f"share-{share:g}-seed-{seed}"
            write_training_files(labelled, folder, share, seed)
            for arm in arms:
                if not (arm == "oracle" and share == 0):
                    work = WORK / "runs" / f"share-{share:g}-seed-{seed}" / arm.replace(", ", "-").replace(" ", "-")
                    trainings.append(Training(arm, seed, epochs, folder, work, str(e0s)))
    return trainings


def share_of(training: Training) -> float:
    return float(training.data.name.split("-")[1])


def collect(training: Training, seconds: float) -> dict:
    """Test errors of a finished training, and how well it told wrong labels from right ones."""
    result = {"arm": training.arm, "share": share_of(training), "seed": training.seed, "seconds": round(seconds, 1)}
    result["key"] = json.loads((training.folder / KEY_FILE).read_text())
    result |= errors_on_test_set(training.folder / "demo.model", read(training.data / "test.xyz", ":"))
    if ARMS[training.arm].loss == "ema_robust":
        result |= detection(training)
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def detection(training: Training) -> dict:
    """Mean weights, AUROC, recall and precision at weight 1/2, and the share that was found."""
    results = read_results(training.folder)
    frames = read(training.data / "train.xyz", ":")
    bad = np.array([frames[i].info["unconverged"] for i in results.table["frame"]], dtype=bool)
    weight = results.table["weight"].to_numpy()
    found = {"mean_weight_good": float(weight[~bad].mean())}
    found["share_found"] = results.about["distribution"][0].get("share", float((weight < 0.5).mean()))
    if bad.any():
        zscore, suspect = results.table["zscore"].to_numpy(), weight < 0.5
        found["mean_weight_bad"] = float(weight[bad].mean())
        found["auroc"] = float(mannwhitneyu(zscore[bad], zscore[~bad]).statistic / (bad.sum() * (~bad).sum()))
        found["recall"] = float(suspect[bad].mean())
        found["precision"] = float(bad[suspect].mean()) if suspect.any() else float("nan")
    return found


# --- what all of it says ---------------------------------------------------------------------------------------------


def summarise(rows: pandas.DataFrame) -> pandas.DataFrame:
    """Means over seeds, and the mean of the ratios to the oracle (the stock training at share 0) of the same seed."""
    reference = rows[(rows.arm == "oracle") | ((rows.share == 0) & (rows.arm == "weighted"))]
    reference = reference.set_index(["share", "seed"])[list(METRICS.values())]
    known = rows.join(reference, on=["share", "seed"], rsuffix="_reference")
    for name, metric in METRICS.items():
        known[f"{name}_ratio"] = known[metric] / known[f"{metric}_reference"]
    known = known.drop(columns=[f"{metric}_reference" for metric in METRICS.values()] + ["seconds"])
    means = known.drop(columns="seed").groupby(["share", "arm"]).mean()
    means["seeds"] = known.groupby(["share", "arm"]).size()
    return means.reset_index()


def table(summary: pandas.DataFrame) -> str:
    """Markdown: energy / forces with their ratios to the oracle, by arm and share."""
    shares = sorted(summary.share.unique())
    arms = [arm for arm in ARMS if arm in set(summary.arm)]
    lines = [
        "| arm | " + " | ".join(f"{100 * share:g} % wrong" for share in shares) + " |",
        "|---" * (len(shares) + 1) + "|",
    ]
    for arm in arms:
        cells = []
        for share in shares:
            own = summary[(summary.arm == arm) & (summary.share == share)]
            cells.append(cell(own.iloc[0]) if len(own) else "-")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(row: pandas.Series) -> str:
    errors = f"{row[METRICS['energy']]:.1f} / {row[METRICS['forces']]:.1f}"
    seeds = "" if row.seeds == 3 else f", {row.seeds:g} seed{'s' * (row.seeds > 1)}"
    return f"{errors} ({row.energy_ratio:.2f} x / {row.forces_ratio:.2f} x{seeds})"


def draw(rows: pandas.DataFrame, path: Path) -> None:
    """Test errors against the share of wrong labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    styles = {
        "weighted": ("#D55E00", "s"), "universal": ("#E69F00", "D"), "gaussian": ("#CC79A7", "^"),
        "published": ("#CC79A7", "v"), "mixture": ("#0072B2", "o"), "oracle": ("#777777", "x"),
    }  # fmt: skip
    names = {"energy": "energy RMSE (meV/atom)", "forces": "force RMSE (meV/A)"}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, (name, metric) in zip(panels, METRICS.items(), strict=True):
        for arm, (colour, marker) in styles.items():
            own = rows[rows.arm == arm]
            if arm == "oracle":  # a clean set is its own oracle
                own = pandas.concat([rows[(rows.arm == "weighted") & (rows.share == 0)], own])
            if len(own):
                mean = own.groupby("share")[metric].mean()
                axes.plot(100 * mean.index, mean, marker + "-", color=colour, label=arm, lw=1.6, ms=6)
                axes.plot(100 * own.share, own[metric], marker, color=colour, ms=3, alpha=0.5)
        axes.set(xlabel="wrong labels (%)", ylabel=names[name], ylim=(0, None))
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def write(results: list[dict], out: Path, epochs: int) -> None:
    rows = pandas.DataFrame([{k: v for k, v in result.items() if k != "key"} for result in results])
    rows = rows.sort_values(["share", "arm", "seed"])
    out.mkdir(parents=True, exist_ok=True)
    rows.to_csv(out / "trainings.csv", index=False, float_format="%.6g")
    summary = summarise(rows)
    (out / "table.md").write_text(table(summary))
    content = {
        "command": " ".join(["python benchmarks/ablation/run.py", *sys.argv[1:]]),
        "versions": {"python": sys.version.split()[0]}
        | {name: package_version(name) for name in ("torch", "mace-torch", "mace-outlier", "tblite", "ase", "numpy")},
        "epochs": epochs,
        "mace_settings": MACE_SETTINGS,
        "arms": {arm: ARMS[arm]._asdict() for arm in summary.arm.unique()},
        "summary": json.loads(summary.to_json(orient="records")),
    }
    write_json_atomically(out / "results.json", content)
    draw(rows, out / "ablation.png")
    print(table(summary))


def finished_everywhere(epochs: int) -> list[dict]:
    """All finished trainings of this benchmark, also of earlier calls with other arms or shares."""
    found = [json.loads(path.read_text()) for path in sorted((WORK / "runs").glob(f"*/*/{RESULT_FILE}"))]
    return [result for result in found if f"--max_num_epochs={epochs}" in result["key"]["command"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", default=DEFAULT_ARMS, choices=[arm for arm in ARMS if arm != "ema_robust"])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--write_only", action="store_true", help="table and figure from what is finished")
    options = parser.parse_args()
    if not options.write_only:
        trainings = prepare(options.shares, options.seeds, options.arms, options.epochs)
        to_run = [training for training in trainings if finished_result(training) is None]
        print(f"{len(to_run)} trainings to run, {len(trainings) - len(to_run)} finished", flush=True)
        run_all(to_run, options.processes, collect)
    write(finished_everywhere(options.epochs), options.out, options.epochs)


if __name__ == "__main__":
    main()
