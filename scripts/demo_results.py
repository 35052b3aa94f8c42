"""The results of the demo: test errors and weights of each training, the table, results.json and results.csv."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from demo_arms import ARMS, KEY_FILE, MACE_SETTINGS, RESULT_FILE, Training
from source_commit import PACKAGE, commit_of
from training_files import write_json_atomically

METRICS = {"energy_rmse_meV_per_atom": "energy RMSE, meV/atom", "force_rmse_meV_per_A": "force RMSE, meV/A"}
BIAS = {"energy_mean_error_meV_per_atom": "mean energy error, meV/atom"}
WEIGHTS = {"mean_weight_good": "mean weight, good", "mean_weight_bad": "mean weight, bad"}


def silent_calculator(model: Path, device: str = "cpu") -> Any:
    """MACE's ASE calculator of a trained model."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):  # on optional packages, and on torch.load
        warnings.simplefilter("ignore")
        from mace.calculators import MACECalculator

        return MACECalculator(str(model), device=device, default_dtype=MACE_SETTINGS["default_dtype"])


def predictions_minus_labels(model: Path, frames: list[Atoms]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Energy errors (N,), eV/atom, and force errors (A, 3) of each frame, eV/Angstrom."""
    calculator = silent_calculator(model)
    energy_errors, force_errors = [], []
    for atoms in frames:
        calculator.calculate(atoms)
        energy_errors.append((calculator.results["energy"] - atoms.info["REF_energy"]) / len(atoms))
        force_errors.append(calculator.results["forces"] - atoms.arrays["REF_forces"])
    return np.array(energy_errors), force_errors


def errors_on_test_set(model: Path, frames: list[Atoms]) -> dict[str, float]:
    """RMSE on the converged labels: energy in meV/atom, force components in meV/Angstrom."""
    energy_errors, force_errors = predictions_minus_labels(model, frames)
    return {
        "energy_rmse_meV_per_atom": rms(energy_errors),
        "energy_mean_error_meV_per_atom": 1e3 * float(np.mean(energy_errors)),
        "force_rmse_meV_per_A": rms(np.concatenate(force_errors)),
    }


def rms(values: np.ndarray) -> float:
    """Root mean square in thousandths; NaN of nothing."""
    return 1e3 * float(np.sqrt(np.mean(np.square(values)))) if len(values) else float("nan")


def training_weights(training: Training) -> dict[str, list[float]]:
    """Weights of the good and the bad training frames in MACE's newest checkpoint (that of the returned model)."""
    import torch

    checkpoint = max((training.folder / "checkpoints").glob("*.pt"), key=lambda path: path.stat().st_mtime)
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)["mace_outlier"]["records"]["weight"]
    bad = [frame.info["unconverged"] for frame in read(training.data / ARMS[training.arm].train_file, ":")]
    pairs = list(zip(weights.tolist(), bad, strict=True))
    return {
        "good": [weight for weight, is_bad in pairs if not is_bad],
        "bad": [weight for weight, is_bad in pairs if is_bad],
    }


def collect(training: Training, seconds: float) -> dict:
    """Test errors and weights of a finished training; kept in its folder, which marks it as finished."""
    result = {"arm": training.arm, "seed": training.seed, "seconds": round(seconds, 1)}
    result["key"] = json.loads((training.folder / KEY_FILE).read_text(encoding="utf-8"))
    result.update(errors_on_test_set(training.folder / "demo.model", read(training.data / "test.xyz", ":")))
    if training.arm == "ema_robust":
        result["weights"] = training_weights(training)
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


# --- tables -----------------------------------------------------------------------------------------------------


def table_row(result: dict) -> dict:
    """One row of results.csv: a training without its lists."""
    weights = {kind: values for kind, values in result.get("weights", {}).items() if values}
    row = {name: result[name] for name in ("arm", "seed", "seconds", *METRICS, *BIAS)}
    return row | {f"mean_weight_{kind}": float(np.mean(values)) for kind, values in weights.items()}


def summarise(rows: list[dict]) -> list[dict]:
    """For each arm: mean and standard deviation over the seeds, and the ratio of the means to the oracle's."""
    summary = []
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        entry = {"arm": arm, "seeds": len(own)}
        for name in (*METRICS, *BIAS, *WEIGHTS):
            values = [row[name] for row in own if name in row]
            if values:
                std = float(np.std(values, ddof=1)) if len(values) > 1 else None
                entry[name] = {"mean": float(np.mean(values)), "std": std}
        summary.append(entry)
    oracle = next((entry for entry in summary if entry["arm"] == "oracle"), None)
    for entry in summary if oracle else []:
        entry["ratio_to_oracle"] = {name: entry[name]["mean"] / oracle[name]["mean"] for name in METRICS}
    return summary


def cell(entry: dict, name: str, digits: int) -> str:
    """A number of the table, as mean, +- std (several seeds) and ratio to the oracle (if that was trained)."""
    if name not in entry:
        return "-"
    value = entry[name]
    text = f"{value['mean']:.{digits}f}"
    if value["std"] is not None:
        text += f" +- {value['std']:.{digits}f}"
    if name in entry.get("ratio_to_oracle", {}):
        text += f" ({entry['ratio_to_oracle'][name]:.2f} x oracle)"
    return text


def table(summary: list[dict]) -> str:
    """The summary as a Markdown table."""
    columns = METRICS | BIAS | WEIGHTS
    lines = [["arm", *columns.values()]]
    digits = dict.fromkeys(METRICS | BIAS, 1) | dict.fromkeys(WEIGHTS, 3)
    lines += [[entry["arm"], *(cell(entry, name, digits[name]) for name in columns)] for entry in summary]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    rows = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join(rows) + "\n"


# --- files ------------------------------------------------------------------------------------------------------


def package_version(name: str) -> str:
    """Installed version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def write_results(out: Path, energy_weight: float, data: dict, results: list[dict], summary: list[dict]) -> None:
    """results.json (everything but the paths of this machine), results.csv (a row for each training) and table.md."""
    content = {
        "command": " ".join(["scripts/demo", *sys.argv[1:]]),
        "commit": commit_of(PACKAGE),
        "versions": {"python": sys.version.split()[0]}
        | {name: package_version(name) for name in ("torch", "mace-torch", "mace-outlier", "tblite", "ase", "numpy")},
        "data": data,
        "mace_settings": MACE_SETTINGS | {"energy_weight": energy_weight},
        "summary": summary,
        "trainings": [{name: value for name, value in result.items() if name != "key"} for result in results],
    }
    write_json_atomically(out / "results.json", content)
    (out / "table.md").write_text(table(summary), encoding="utf-8")
    rows = [table_row(result) for result in results]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    temporary = out / "results.csv.tmp"
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, out / "results.csv")
