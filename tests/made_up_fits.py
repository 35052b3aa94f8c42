"""Made-up fits of right and wrong labels, as a run describes them, and the weights that follow; slow and readable."""

from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from mace_outlier.populations import BACKGROUND, ERROR_RANGE

# energies in eV/atom; told apart by losses, by both, by energies to one side or to both
TWO = {
    "share": 0.31, "mode": -1.5, "left": 0.40, "right": 0.44, "high_mean": 0.90, "high_scale": 0.25, "certainty": 0.97,
    "error_scale": 0.003, "high_error": 0.001, "high_error_scale": 0.004, "molecules": 1,
}  # fmt: skip
BOTH = TWO | {"high_error": -0.061, "high_error_scale": 0.005}
ENERGIES = BOTH | {"high_mean": -1.2, "high_scale": 0.4}
SCATTER = ENERGIES | {"high_error": 0.002, "high_error_scale": 0.009}
WITHIN = BOTH | {"share": 0.2, "high_mean": -0.5, "high_error": -0.02, "mode": -1.6, "certainty": 0.9}
THREE: dict[str, Any] = SCATTER | {"high_mean": 0.9, "within": WITHIN}
ONE = TWO | {"share": 0.0, "high_mean": 0.0, "high_scale": 1.0, "high_error": 0.0, "high_error_scale": 0.0}
BEFORE = ("share", "mode", "left", "right", "high_mean", "high_scale")  # of the energies
OLD = {name: TWO[name] for name in BEFORE}


def in_asinh(fit: dict[str, float]) -> tuple[float, float]:
    """Mean and width of asinh(energy error / error_scale) of wrong labels."""
    mean = np.arcsinh(fit["high_error"] / fit["error_scale"])
    beyond = np.sinh(abs(mean)) + fit["high_error_scale"] / fit["error_scale"]
    return mean, np.arcsinh(beyond) - abs(mean)


def population_entry(fit: dict[str, float], head: str = "Default") -> dict[str, Any]:
    """What a run says of a head whose populations were fitted."""
    return {"head": head, "kind": "mixture", "location": fit["mode"], "scale": fit["right"]} | fit


def lower_population(x: np.ndarray, fit: dict[str, float]) -> np.ndarray:
    """Density of the log losses of right labels: half a normal distribution and half a Student t."""
    norms = fit["left"] * np.sqrt(np.pi / 2) + fit["right"] * 3 * np.pi * np.sqrt(5) / 16
    z = x - fit["mode"]
    below, above = norm.pdf(z / fit["left"]) / norm.pdf(0), student.pdf(z / fit["right"], 5) / student.pdf(0, 5)
    return np.where(z < 0, below, above) / norms


def probabilities(loss: np.ndarray, fit: dict[str, float], energy: np.ndarray | float = np.nan) -> np.ndarray:
    """The weight: the probability that a label is right, and nothing for gross errors, beyond 8 widths.

    From the loss, and from the energy error (eV/atom; NaN: none).
    """
    x, y, has = np.log(loss), energy / fit["error_scale"], np.isfinite(energy)
    highest = max(fit["mode"], fit["high_mean"]) if fit["share"] else np.inf
    inner = np.clip(x, fit["mode"], highest)
    right = (1 - fit["share"]) * lower_population(inner, fit) * np.where(has, student.pdf(y, 5), 1)
    wrong = BACKGROUND * np.where(has, 1 / ERROR_RANGE, 1)
    if fit["share"]:
        of_energy = np.where(has, norm.pdf(np.arcsinh(y), *in_asinh(fit)) / np.sqrt(1 + y**2), 1)
        wrong = wrong + fit["share"] * norm.pdf(inner, fit["high_mean"], fit["high_scale"]) * of_energy
    z = (x - fit["mode"]) / np.where(x < fit["mode"], fit["left"], fit["right"])
    return right / (right + wrong) * norm.cdf(8 - z)
