"""Made-up judgements of right and of wrong labels, as a run describes them, and the weights that follow; readable."""

from copy import deepcopy
from typing import Any

import numpy as np
from scipy.stats import norm

from mace_outlier.results.judgement import Judgement, judgement_of
from mace_outlier.states import JUDGED, LABEL

SPREAD = 0.3  # of the logarithm of the errors of wrong labels

# energies in eV/atom, to both sides or to one; forces by a factor of the expected error
RIGHT_ENERGIES = {"share": 0.0, "right": 0.003, "wrong": 0.01, "too_low": 0.5}
RIGHT_FORCES = {"share": 0.0, "right": 0.25, "wrong": 2.0}
NONE: dict[str, Any] = {
    "location": -1.5, "scale": 0.44, "share": 0.0, "certainty": 1.0, "judged": 400, "gain": 3.7, "undecided": 0.0,
    "properties": {"energy": RIGHT_ENERGIES, "forces": RIGHT_FORCES},
}  # fmt: skip
FOUND = NONE | {"share": 0.15, "certainty": 0.97, "gain": 245.0}
WRONG_ENERGIES = {"share": 0.149, "right": 0.003, "wrong": 0.0601, "too_low": 0.52}
WRONG_FORCES = {"share": 0.03, "right": 0.25, "wrong": 2.4}
ENERGIES = FOUND | {"properties": {"energy": WRONG_ENERGIES, "forces": RIGHT_FORCES}}
FORCES = FOUND | {"share": 0.03, "properties": {"energy": RIGHT_ENERGIES, "forces": WRONG_FORCES}}
BOTH = FOUND | {"properties": {"energy": WRONG_ENERGIES, "forces": WRONG_FORCES}}
GROSS = NONE | {"share": 0.0075}  # errors of any size, of which there are too few for a population
UNDECIDED = NONE | {"undecided": 0.12, "gain": 30.0}
TOO_MANY = NONE | {"undecided": 0.55, "gain": 300.0}
MANY = ENERGIES | {"share": 0.41, "properties": {"energy": WRONG_ENERGIES | {"share": 0.4}}}
# how a version described populations of losses before errors were compared with what the geometry explains
EARLIER = {
    "location": -1.5, "scale": 0.44, "share": 0.31, "mode": -1.5, "left": 0.40, "right": 0.44, "high_mean": 0.90,
    "high_scale": 0.25, "certainty": 0.97, "error_scale": 0.003, "high_error": 0.001, "high_error_scale": 0.004,
    "undecided": 0.0, "molecules": 1, "within": {"share": 0.1, "mode": -1.6},
}  # fmt: skip


def population_entry(fit: dict[str, Any], head: str = "Default") -> dict[str, Any]:
    """What a run says of a head whose labels were judged."""
    return {"head": head, "kind": "mixture"} | deepcopy(fit)


def thought_of(
    entry: dict[str, Any], suspects: int = 0, judged: int = 400, nonfinite: int = 0, history=()
) -> Judgement:
    """What is thought of a head with so many suspects."""
    weights = np.where(np.arange(judged + nonfinite) < suspects + nonfinite, 0.1, 1.0)
    states = np.where(np.arange(judged + nonfinite) < nonfinite, LABEL, JUDGED)
    return judgement_of(entry, weights, states, history)


def energies_of(own: dict[str, float], wrong: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors (N,) of energies, prediction - label: where `wrong`, too low labels (above zero) and too high ones."""
    sign = np.where(rng.random(len(wrong)) < own["too_low"], 1, -1)
    off = sign * own["wrong"] * np.exp(rng.normal(0, SPREAD, len(wrong)))
    return np.where(wrong, off, rng.normal(0, own["right"], len(wrong)))


def forces_of(own: dict[str, float], wrong: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Errors (N,) of forces over the expected ones."""
    size = len(wrong)
    log = np.where(wrong, np.log(own["wrong"]) + rng.normal(0, SPREAD, size), rng.normal(0, own["right"], size))
    return np.exp(log)


def right_energies(own: dict[str, float], error: np.ndarray) -> np.ndarray:
    """Probability (N,) that an energy is right; gross errors aside."""
    right = (1 - own["share"]) * norm.pdf(error, 0, own["right"])
    side = np.where(error > 0, own["too_low"], 1 - own["too_low"])
    size = np.abs(error).clip(1e-9)
    wrong = own["share"] * side * norm.pdf(np.log(size), np.log(own["wrong"]), SPREAD) / size
    return right / (right + wrong + 1e-12)


def right_forces(own: dict[str, float], ratio: np.ndarray) -> np.ndarray:
    """The same of forces, by their error over the expected one."""
    log = np.log(ratio)
    right = (1 - own["share"]) * norm.pdf(log, 0, own["right"])
    wrong = own["share"] * norm.pdf(log, np.log(own["wrong"]), SPREAD)
    return right / (right + wrong + 1e-12)
