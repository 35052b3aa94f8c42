"""From a model's errors to losses, z-scores and weights."""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ...data.labels import LABELS, RESIDUALS
from ...data.shift import fit_shifts
from ...results.files import AUDIT
from ...run.about import plain, stamp
from ...run.tables import identity
from ...states import SET_ASIDE, UNUSED
from ...weights.distribution import LossDistribution, Remembered, Weighted
from ...weights.mixture import MixtureDistribution
from ...weights.remembered import of_one_model
from ...weights.running import GaussianDistribution
from .evaluate import Scores


class Verdict(NamedTuple):
    """The table of `results`, and what it rests on."""

    table: dict[str, Any]
    distribution: dict[str, Any]  # see LossDistribution.describe
    shifts: dict[str, float]  # eV, by element; empty where none was taken


def judge(scores: Scores, arguments: argparse.Namespace) -> Verdict:
    """Return loss, z-score and weight of every configuration, with its residuals after the shift."""
    bad, composition = np.isin(scores.states, SET_ASIDE), scores.metadata.composition
    shifts = shift(scores, composition) if arguments.e0_shift == "fit" else {}
    shifted = scores.errors["energy"] - sum(energy * composition[symbol] for symbol, energy in shifts.items())
    errors = scores.errors | {"energy": shifted}
    squares = {label: scores.weights[label] * np.nan_to_num(own) ** 2 for label, own in errors.items()}
    loss = sum(getattr(arguments, LABELS[label]) * own for label, own in squares.items())
    columns = {RESIDUALS[label].column: own for label, own in errors.items()}
    unknown = (loss == 0) & ~bad  # no label, or a weight of 0 in the file
    distribution, weighted = fit(
        of_one_model(
            torch.from_numpy(loss),
            torch.zeros(len(loss), dtype=torch.long),
            torch.from_numpy(~unknown & ~bad),
            {name: torch.from_numpy(own) for name, own in columns.items()},
            scores.features,
            scores.metadata,
        )
    )
    weight = np.select([bad, unknown], [0.0, 1.0], weighted.weight.numpy())
    table = {
        **identity(AUDIT, scores.provenance, scores.metadata),
        "times_seen": np.ones(len(loss), dtype=np.int16),
        "last_epoch": np.zeros(len(loss), dtype=np.int32),
        "weight": weight,
        "mean_weight": weight,
        "zscore": np.where(bad | unknown, np.nan, weighted.zscore.numpy()),
        "loss": np.where(bad, np.nan, loss),
        **columns,
        "state": np.where(unknown, UNUSED, scores.states),
    }
    return Verdict(table, distribution.describe()[0], shifts)


def shift(scores: Scores, composition: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the energy by which the model is above the labels for each atom of an element, eV, where it is.

    `composition`: share of each element among the atoms of the configurations (N,).
    """
    error = scores.errors["energy"]
    known = np.isfinite(error)
    atoms = scores.metadata.n_atoms.numpy()[known]
    counts = {symbol: share[known] * atoms for symbol, share in composition.items() if share[known].any()}
    columns = np.array(list(counts.values())).reshape(len(counts), len(atoms)).T
    shifts = fit_shifts(error[known] * atoms, columns)
    return {symbol: energy for symbol, energy in zip(counts, shifts.tolist(), strict=True) if energy}


def fit(seen: Remembered) -> tuple[LossDistribution, Weighted]:
    """Return the distribution of the configurations that are usable, a training's, or one normal one for a few.

    And the weights and z-scores (N,) that follow.
    """
    mixture = MixtureDistribution()
    weighted = mixture.refit(seen)
    if weighted is not None:
        return mixture, weighted
    normal = GaussianDistribution()
    normal.update(seen.losses, seen.heads, seen.usable)
    return normal, normal.weigh(seen.losses, seen.heads)


def about(prefix: Path, scores: Scores, verdict: Verdict, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the report says of the audit; see `results`."""
    names = (*(LABELS[label] for label in scores.errors), "e0_shift")
    options = {name: getattr(arguments, name) for name in names}
    options |= {f"e0_shift_{symbol}_eV": round(value, 6) for symbol, value in verdict.shifts.items()}
    distribution = {"head": scores.provenance.heads[0]} | verdict.distribution
    return stamp("audit", prefix, len(scores.provenance)) | {
        "finished": True,
        "command": " ".join(["mace_outlier", *sys.argv[1:]]),
        "options": plain(options),
        "arguments": plain({name: str(value) for name, value in vars(arguments).items()}),
        "reading": scores.reading,
        "heads": scores.provenance.heads,
        "distribution": [plain(distribution)],
        "history": [],
    }
