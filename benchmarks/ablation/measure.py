"""What a finished training is judged by: errors on right labels, and how well it told wrong labels from right ones."""

import json

import numpy as np
from ase.io import read
from demo_arms import ARMS, KEY_FILE, RESULT_FILE, Training, began_with
from demo_results import errors_on_test_set
from scipy.stats import mannwhitneyu
from training_files import write_json_atomically

from mace_outlier.results.reading import read_results
from mace_outlier.results.wrong_labels import read_wrong_labels


def collect(training: Training, seconds: float, more: dict | None = None) -> dict:
    """Measure a finished training; the result (and `more`) is kept in its folder, which marks it as finished."""
    kind, share = training.data.name.split("-")[:2]
    result = {"arm": training.arm, "kind": kind, "share": float(share), "seed": training.seed}
    result |= {"seconds": round(seconds, 1), "commit": began_with(training)}
    result |= {"key": json.loads((training.folder / KEY_FILE).read_text())}
    model = training.folder / "demo.model"
    result |= errors_on_test_set(model, read(training.data / "test.xyz", ":"))
    for path in sorted(training.data.glob("test_*.xyz")):
        errors = errors_on_test_set(model, read(path, ":"))
        result |= {f"{path.stem.removeprefix('test_')}_{name}": value for name, value in errors.items()}
    if ARMS[training.arm].loss == "ema_robust":
        result |= detection(training)
    result |= more or {}
    write_json_atomically(training.folder / RESULT_FILE, result)
    return result


def detection(training: Training) -> dict:
    """Mean weights, AUROC, recall and precision at weight 1/2, also of the validation set; the share that was found."""
    results = read_results(training.folder)
    arm, found = ARMS[training.arm], {}
    for split, file in (("train", arm.train_file), ("valid", arm.valid_file)):
        own = results.table[results.table["split"] == split]
        frames = read(training.data / file, ":")
        bad = np.array([frames[i].info["unconverged"] for i in own["frame"]], dtype=bool)
        prefix = "" if split == "train" else "valid_"
        found |= {prefix + name: value for name, value in told_apart(own["weight"].to_numpy(), bad).items()}
    weight = results.table["weight"][results.table["split"] == "train"]
    [entry] = results.about["distribution"]
    return found | share_found(entry, weight.to_numpy())


def share_found(entry: dict, weight: np.ndarray) -> dict[str, float]:
    """Share of all labels that a run takes for wrong, by its description or else by the weights (N,), and undecided."""
    wrong = read_wrong_labels(entry)
    if wrong is None:
        return {"share_found": float((weight < 0.5).mean()), "undecided": 0.0}
    return {"share_found": entry["share"], "undecided": wrong.undecided}


def told_apart(weight: np.ndarray, bad: np.ndarray) -> dict[str, float]:
    """How well weights (N,) tell the frames in the mask `bad` (N,) from the others."""
    found = {"mean_weight_good": float(weight[~bad].mean())}
    if bad.any():
        suspect = weight < 0.5
        found["mean_weight_bad"] = float(weight[bad].mean())
        found["auroc"] = float(mannwhitneyu(weight[~bad], weight[bad]).statistic / (bad.sum() * (~bad).sum()))
        found["recall"] = float(suspect[bad].mean())
        found["precision"] = float(bad[suspect].mean()) if suspect.any() else float("nan")
    return found
