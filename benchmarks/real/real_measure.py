"""What a training is judged by: errors on right labels, and how well its weights tell wrong labels from right ones."""

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path

import _real_paths  # noqa: F401 (first)
import numpy as np
from ase.io import read
from ase.stress import full_3x3_to_voigt_6_stress
from demo_arms import KEY_FILE, RESULT_FILE
from demo_results import package_version, predictions_minus_labels, rms, silent_calculator
from real_cells import LANDED, OF_LANDED, REPOSITORY, ObservedTraining
from scipy.stats import mannwhitneyu
from training_files import write_json_atomically

ENERGY, FORCES, STRESS = "energy_rmse_meV_per_atom", "force_rmse_meV_per_A", "stress_rmse_meV_per_A3"
SO_MANY_ERRORS = 3  # of the oracle: a label that is off by less is neither wrong nor right
NO_FORCES = 5e-3  # eV/A, root mean square: they vanish by symmetry, and so do most faults of them
PACKAGES = ("torch", "mace-torch", "mace-outlier", "tblite", "ase", "numpy")
RIGHT, WRONG, NEITHER = 0, 1, -1
FOUND, BY_EPOCH = ("right", "wrong", "false", "recall", "precision", "auroc", "auroc_z"), "_by_epoch"
TOUCHED = ("touched", "touched_found")
DETECTED = (
    *FOUND,
    *TOUCHED,
    *(f"valid_{name}" for name in FOUND),
    "largest_false",
    *(f"{name}{BY_EPOCH}" for name in (*FOUND[2:], "touched_found")),
)

# --- a finished training ---------------------------------------------------------------------------------------------


def collect(training: ObservedTraining, seconds: float) -> dict:
    """Measure a finished training; the result is kept in its folder, which marks it as finished."""
    cell, folder = training.cell, training.folder
    code = json.loads((folder / "code.json").read_text())
    if training.arm in OF_LANDED and not code["file"].startswith(str(LANDED)):
        raise SystemExit(f"{training.title} was to run the code in {LANDED}, and ran {code['file']}")
    planted = how_far_off(training.data / "train.xyz")["planted"]
    share = round(float((planted == WRONG).mean()), 4)
    result = cell._asdict() | {"arm": training.arm, "share": share, "epochs": training.epochs}
    result |= {"seconds": round(seconds, 1), "commit": code["commit"], "command": digest(training.command())}
    result |= {"failed": int((folder / "failed.txt").exists()), "versions": versions()}
    result |= {"key": json.loads((folder / KEY_FILE).read_text())}
    models = [folder / name for name in ("demo_stagetwo.model", "demo.model") if (folder / name).exists()]
    if models:
        result |= errors(models[0], training.data / "test.xyz", stress=cell.train == "stress")
    write_json_atomically(folder / RESULT_FILE, result)
    return result


def digest(command: list[str]) -> str:
    """Short digest of a command, whatever the folder of the checkout."""
    words = " ".join(command[1:]).replace(str(REPOSITORY), "")
    return f"sha256:{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def versions() -> str:
    """Versions that a result depends on, in one cell of a table."""
    packages = [f"{name} {package_version(name)}" for name in PACKAGES]
    return ", ".join([f"python {platform.python_version()}", *packages])


def errors(model: Path, file: Path, stress: bool) -> dict:
    """Root mean square errors of all test frames, and of each config_type as [frames, energies, forces]."""
    frames = read(file, ":")
    energy, forces = predictions_minus_labels(model, frames)
    found = {ENERGY: rms(energy), FORCES: rms(np.concatenate(forces))}
    if stress:
        found[STRESS] = stress_error(model, frames)
    types = np.array([atoms.info.get("config_type", "Default") for atoms in frames])
    by_type = {}
    for name in sorted(set(types)):
        own = np.flatnonzero(types == name)
        of_type = rms(energy[own]), rms(np.concatenate([forces[i] for i in own]))
        by_type[name] = [len(own), *(float(f"{value:.4g}") for value in of_type)]
    return found | {"by_config_type": json.dumps(by_type)}


def stress_error(model: Path, frames: list) -> float:
    """RMSE of the stress, meV/A^3."""
    calculator, found = silent_calculator(model), []
    for atoms in frames:
        calculator.calculate(atoms)
        found.append(calculator.results["stress"] - voigt(atoms.info["REF_stress"]))
    return rms(np.array(found))


def voigt(stress: np.ndarray) -> np.ndarray:
    """The six components of a stress that has six or nine."""
    stress = np.asarray(stress, dtype=float)
    return stress.ravel() if stress.size == 6 else full_3x3_to_voigt_6_stress(stress.reshape(3, 3))


# --- wrong and right -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def how_far_off(file: Path) -> dict[str, np.ndarray]:
    """How far each frame's labels are from the right ones (meV/atom, meV/A, meV/A^3), and what was planted."""
    frames = read(file, ":")
    off = {"planted": np.array([atoms.info["planted"] for atoms in frames])}
    if not all("right_energy" in atoms.info for atoms in frames):
        return off  # labels that came wrong: the right ones aren't known
    off[ENERGY] = np.array([1e3 * abs(a.info["REF_energy"] - a.info["right_energy"]) / len(a) for a in frames])
    if "REF_forces" in frames[0].arrays:
        difference = [rms(a.arrays["REF_forces"] - a.arrays["right_forces"]) for a in frames]
        there = [rms(a.arrays["right_forces"]) >= 1e3 * NO_FORCES for a in frames]
        off[FORCES] = np.where(there, difference, 0.0)
    if "REF_stress" in frames[0].info:
        off[STRESS] = np.array([rms(voigt(a.info["REF_stress"]) - voigt(a.info["right_stress"])) for a in frames])
    return off


def truth(off: dict[str, np.ndarray], oracle: dict[str, float]) -> np.ndarray:
    """RIGHT, WRONG or NEITHER for each frame, given the oracle's test errors (of the same units).

    Wrong: off by more than SO_MANY_ERRORS of them in any label; right: not touched. Where right labels are not known,
    what was found out about the frame.
    """
    planted = off["planted"]
    if ENERGY not in off:
        return planted
    beyond = [off[name] > SO_MANY_ERRORS * oracle.get(name, np.nan) for name in (ENERGY, FORCES, STRESS) if name in off]
    return np.where(planted == 0, RIGHT, np.where(np.any(beyond, axis=0), WRONG, NEITHER))


def touched(off: dict[str, np.ndarray]) -> np.ndarray:
    """Mask of the frames that the fault changed at all; forces that vanish by symmetry don't count."""
    amounts = [off[name] for name in (ENERGY, FORCES, STRESS) if name in off]
    return (off["planted"] == WRONG) & (np.any(np.array(amounts) > 0, axis=0) if amounts else True)


# --- detection -------------------------------------------------------------------------------------------------------


def detection(folder: Path, data: Path, oracle: dict[str, float]) -> dict:
    """What the kept weights of a training found, at the end and after each epoch; nothing of an arm without any."""
    kept = [np.load(path) for path in sorted((folder / "weights").glob("epoch-*.npz"))]
    if not kept:
        return {}
    end = folder / "weights" / "end.npz"
    last = np.load(end) if end.exists() else kept[-1]
    train, valid = (truth(how_far_off(data / f"{split}.xyz"), oracle) for split in ("train", "valid"))
    found = told_apart(last, "train", train)
    found |= {f"valid_{name}": value for name, value in told_apart(last, "valid", valid).items()}
    changed = touched(how_far_off(data / "train.xyz"))
    counts = [int((changed[epoch["train_frame"]] & ~(epoch["train_weight"] >= 0.5)).sum()) for epoch in (*kept, last)]
    found |= dict(zip(TOUCHED, (int(changed[last["train_frame"]].sum()), counts[-1]), strict=True))
    found[f"touched_found{BY_EPOCH}"] = " ".join(map(str, counts[:-1]))
    epochs = [told_apart(epoch, "train", train) for epoch in kept]
    found["largest_false"] = max(epoch["false"] for epoch in epochs)
    for name in FOUND[2:]:
        found[f"{name}{BY_EPOCH}"] = " ".join(f"{epoch.get(name, np.nan):.4g}" for epoch in epochs)
    return found


def told_apart(kept: dict[str, np.ndarray], split: str, truth_of_frame: np.ndarray) -> dict[str, float]:
    """Counts, share of right labels with weight below 1/2 (or NaN), recall, precision, AUROC of weight and of z."""
    weight, zscore = (kept[f"{split}_{name}"].astype(float) for name in ("weight", "zscore"))
    status = truth_of_frame[kept[f"{split}_frame"]]
    right, wrong, suspect = status == RIGHT, status == WRONG, ~(weight >= 0.5)
    found = {"right": int(right.sum()), "wrong": int(wrong.sum()), "false": float(suspect[right].mean())}
    if wrong.any():
        found["recall"] = float(suspect[wrong].mean())
        known = suspect & (right | wrong)
        found["precision"] = float(wrong[known].mean()) if known.any() else float("nan")
        found |= {"auroc": auroc(-weight, wrong, right), "auroc_z": auroc(zscore, wrong, right)}
    return found


def auroc(score: np.ndarray, wrong: np.ndarray, right: np.ndarray) -> float:
    """How often a wrong label has a higher score than a right one; NaN where a score isn't finite, or none is wrong."""
    if not np.isfinite(score[wrong | right]).all() or not wrong.any():
        return float("nan")
    return float(mannwhitneyu(score[wrong], score[right]).statistic / (wrong.sum() * right.sum()))
