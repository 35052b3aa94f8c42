"""What a training of mini-SPICE is judged by: errors on unseen molecules with converged labels, and detection."""

import json

import numpy as np
from ase.io import read
from demo_arms import ARMS, KEY_FILE, RESULT_FILE, Training, began_with
from demo_results import predictions_minus_labels, rms
from measure import detection
from training_files import write_json_atomically

SIZES = {"4 to 9": (4, 9), "10 to 14": (10, 14), "15 to 22": (15, 22)}  # atoms


def collect(training: Training, seconds: float, more: dict | None = None) -> dict:
    """Measure a finished training; the result (and `more`) is kept in its folder, which marks it as finished."""
    kind, share = training.data.name.split("-")[:2]
    result = {"arm": training.arm, "kind": kind, "share": float(share), "seed": training.seed}
    result |= {"seconds": round(seconds, 1), "commit": began_with(training)}
    result |= {"key": json.loads((training.folder / KEY_FILE).read_text())}
    result |= errors(training.folder / "demo.model", read(training.data / "test.xyz", ":"))
    if ARMS[training.arm].loss == "ema_robust":
        result |= detection(training)
    result |= more or {}
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def errors(model, frames) -> dict:
    """RMSE and MAE of all, RMSE by element (forces) and by size of the molecule: meV/atom and meV/A.

    The energy RMSE is mostly that of the two smallest molecules, methane and formic acid; the MAE is that of all.
    """
    energy, forces = predictions_minus_labels(model, frames)
    sizes = np.array([len(atoms) for atoms in frames])
    symbols = np.concatenate([atoms.get_chemical_symbols() for atoms in frames])
    by_atom, flat = np.repeat(sizes, sizes), np.concatenate(forces)
    found = {
        "energy_rmse_meV_per_atom": rms(energy),
        "energy_mean_error_meV_per_atom": 1e3 * float(energy.mean()),
        "force_rmse_meV_per_A": rms(flat),
        "energy_mae_meV_per_atom": 1e3 * float(np.abs(energy).mean()),
        "force_mae_meV_per_A": 1e3 * float(np.abs(flat).mean()),
    }
    for symbol in sorted(set(symbols)):
        found[f"force_rmse_{symbol}"] = rms(flat[symbols == symbol])
    for name, (low, high) in SIZES.items():
        inside = (sizes >= low) & (sizes <= high)
        found[f"energy_rmse_{name}_atoms"] = rms(energy[inside])
        found[f"force_rmse_{name}_atoms"] = rms(flat[(by_atom >= low) & (by_atom <= high)])
    return found
