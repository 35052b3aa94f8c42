"""What the trainings of mini-SPICE say: trainings.csv, results.json, tables and figures, from all that are finished.

python benchmarks/spice/spice_results.py
"""

import json
import re
from pathlib import Path

import _spice_paths  # noqa: F401 (first)
import finished_trainings
import numpy as np
import pandas
import spice_map
from demo_arms import MACE_SETTINGS
from demo_results import package_version, rms
from mini_spice import CHOICE, CONFORMATIONS, SOURCE, WORK, labelled
from readme_tables import write_tables
from spice_cells import ARMS, ENERGY_WEIGHT, EPOCHS, FLAGS, SHARES, SIGMA, STRETCHED
from spice_errors import SIZES
from spice_figures import draw_detection, draw_shares
from training_files import write_json_atomically

HERE = Path(__file__).resolve().parent
TRAININGS = HERE / "trainings.csv"
ENERGY, FORCES = "energy_rmse_meV_per_atom", "force_rmse_meV_per_A"
ENERGY_MAE, FORCE_MAE = "energy_mae_meV_per_atom", "force_mae_meV_per_A"
RATIOS = {ENERGY: "energy_ratio", FORCES: "force_ratio", ENERGY_MAE: "energy_mae_ratio", FORCE_MAE: "force_mae_ratio"}
NAMES = {"oracle": "good labels only (oracle)", **finished_trainings.NAMES}
PACKAGES = ("torch", "mace-torch", "mace-outlier", "ase", "numpy", "h5py")


def finished() -> pandas.DataFrame:
    """One row for each finished training, with its errors over the oracle's (clean data: the stock training)."""
    rows = finished_trainings.over_the_oracle(
        finished_trainings.finished_trainings(WORK / "runs", TRAININGS), None, RATIOS
    )
    return rows.sort_values(["share", "arm", "seed"])


def cell(rows: pandas.DataFrame, energy: str = ENERGY, forces: str = FORCES) -> str:
    """Mean errors and ratios of one arm, "-" for none."""
    if not len(rows):
        return "-"
    more = [f"{rows[RATIOS[energy]].mean():.2f} x / {rows[RATIOS[forces]].mean():.2f} x"]
    more += [] if len(rows) == 3 else [f"{len(rows)} seed{'s' * (len(rows) > 1)}"]
    return f"{rows[energy].mean():.1f} / {rows[forces].mean():.0f} ({', '.join(more)})"


def mean_absolute(rows: pandas.DataFrame) -> str:
    """The same curve of the mean absolute errors."""
    return shares(rows, ENERGY_MAE, FORCE_MAE)


def shares(rows: pandas.DataFrame, energy: str = ENERGY, forces: str = FORCES) -> str:
    """The curve: arms down, shares of unconverged labels across."""
    rows = rows[rows.kind == "unconverged"]
    lines = ["| arm | " + " | ".join(f"{100 * share:g} % unconverged" for share in SHARES) + " |"]
    lines.append("|---" * (len(SHARES) + 1) + "|")
    for arm, name in NAMES.items():
        cells = [cell(rows[(rows.arm == arm) & (rows.share == share)], energy, forces) for share in SHARES]
        if set(cells) != {"-"}:
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def parts(rows: pandas.DataFrame, share: float = 0.3) -> str:
    """By element and by size of the molecule, at one share."""
    elements = [name for name in rows.columns if re.fullmatch(r"force_rmse_[A-Z][a-z]?", name)]
    titles = [f"forces on {name.removeprefix('force_rmse_')}" for name in elements]
    titles += [f"{size} atoms" for size in SIZES]
    lines = ["| arm | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for arm, name in NAMES.items():
        own = rows[(rows.arm == arm) & (rows.share == share) & (rows.kind == "unconverged")].mean(numeric_only=True)
        if not own.isna().all():
            cells = [f"{own[element]:.0f}" for element in elements]
            cells += [
                f"{own[f'energy_rmse_{size}_atoms']:.1f} / {own[f'force_rmse_{size}_atoms']:.0f}" for size in SIZES
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def stretched(rows: pandas.DataFrame) -> str:
    """Labels that are twice as wrong, beside those that are as they are."""
    wrongness = {"unconverged": "as they are", "stretched": "twice as wrong"}
    shares = list(dict.fromkeys(share for share, _ in STRETCHED))
    titles = [f"{100 * share:g} %, {words}" for share in shares for words in wrongness.values()]
    lines = [f"| arm | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for arm in ("weighted", "landed", "default"):
        own = rows[rows.arm == arm]
        cells = [cell(own[(own.kind == kind) & (own.share == share)]) for share in shares for kind in wrongness]
        lines.append(f"| {NAMES[arm]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def found(rows: pandas.DataFrame) -> str:
    """Detection, by share and distribution."""
    lines = ["| share | arm | found | AUROC | recall | precision | mean weight, right | mean weight, wrong |"]
    lines.append("|---" * 8 + "|")
    own = rows[rows.arm.isin(["default", "landed", "published"]) & (rows.kind == "unconverged")]
    for (share, arm), some in own.groupby(["share", "arm"]):
        mean = some.mean(numeric_only=True)
        numbers = [mean.auroc, mean.recall, mean.precision, mean.mean_weight_good, mean.mean_weight_bad]
        cells = ["-" if pandas.isna(number) else f"{number:.3f}" for number in numbers]
        lines.append(f"| {100 * share:g} % | {NAMES[arm]} | {100 * mean.share_found:.1f} % | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def costs(rows: pandas.DataFrame) -> str:
    """What refinement kept, and what it cost."""
    lines = ["| share | round | trainings | right labels kept | wrong labels kept |", "|---" * 5 + "|"]
    refined = rows[rows.arm.str.startswith("refinement")]
    for (share, number), some in refined.groupby(["share", "round"]) if len(refined) else ():
        kept = f"{100 * some.kept_good.mean():.0f} % | {100 * some.kept_bad.mean():.0f} %"
        lines.append(f"| {100 * share:g} % | {int(number)} | {int(some.trainings.mean())} | {kept} |")
    return "\n".join(lines) + "\n"


def label_noise() -> dict[str, float]:
    """How wrong the unconverged labels are, of all training and validation configurations."""
    frames = [atoms for split, own in labelled().items() if split != "test" for atoms in own]
    energy = np.array([(a.info["unconverged_energy"] - a.info["converged_energy"]) / len(a) for a in frames])
    forces = np.concatenate([a.arrays["unconverged_forces"] - a.arrays["converged_forces"] for a in frames])
    return {
        "mean_meV_per_atom": round(1e3 * float(energy.mean()), 1),
        "rms_meV_per_atom": round(rms(energy), 1),
        "first_quartile_meV_per_atom": round(1e3 * float(np.quantile(np.abs(energy), 0.25)), 1),
        "force_rms_meV_per_A": round(rms(forces)),
    }


def in_words(noise: dict[str, float]) -> str:
    """The same, for the README."""
    return (
        f"An unconverged energy is {noise['mean_meV_per_atom']:g} meV/atom too high on average "
        f"({noise['rms_meV_per_atom']:g} root mean square, a quarter of them by less than "
        f"{noise['first_quartile_meV_per_atom']:g}); its forces are off by {noise['force_rms_meV_per_A']:g} meV/A.\n"
    )


TABLES = {
    "shares": shares,
    "mae": mean_absolute,
    "stretched": stretched,
    "parts": parts,
    "found": found,
    "refinement": costs,
}


def main() -> None:
    rows = finished()
    rows.drop(columns="seconds", errors="ignore").round(4).to_csv(TRAININGS, index=False)
    about = json.loads((HERE / "results.json").read_text()) if (HERE / "results.json").exists() else {}
    noise = label_noise() if SOURCE.exists() else about["label_noise"]
    tables = {name: make(rows) for name, make in TABLES.items()} | {
        "noise": in_words(noise),
        "map": spice_map.table(rows, noise),
    }
    write_tables(HERE / "README.md", "spice", tables)
    write_tables(HERE.parent.parent / "docs" / "pages" / "measured.md", "spice", {"shares": tables["shares"]})
    settings = MACE_SETTINGS | {"energy_weight": ENERGY_WEIGHT, "epochs": EPOCHS, "flags": FLAGS, "sigma": SIGMA}
    about = {"data": CHOICE, "conformations": CONFORMATIONS, "settings": settings, "arms": ARMS, "label_noise": noise}
    about["versions"] = {name: package_version(name) for name in PACKAGES}
    write_json_atomically(HERE / "results.json", {"command": "python benchmarks/spice/run.py"} | about)
    own = rows[rows.kind == "unconverged"]
    draw_shares(own, HERE / "shares.png")
    draw_detection(own, HERE)
    spice_map.draw_map(rows, noise, HERE / "map.png")
    print("\n".join(tables.values()))


if __name__ == "__main__":
    main()
