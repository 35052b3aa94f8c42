"""From a model's errors to losses, z-scores and weights."""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols

from ...data.shift import fit_shifts
from ...results.files import AUDIT
from ...run.about import plain, stamp
from ...run.tables import identity
from ...weights.distribution import LossDistribution, Remembered, Weighted
from ...weights.mixture import MixtureDistribution
from ...weights.remembered import remembered
from ...weights.running import GaussianDistribution
from .evaluate import Scores


class Verdict(NamedTuple):
    """The table of `results`, and what it rests on."""

    table: dict[str, Any]
    distribution: dict[str, Any]  # see LossDistribution.describe
    shifts: dict[str, float]  # eV, by element; empty where none was taken


def judge(scores: Scores, arguments: argparse.Namespace) -> Verdict:
    """Return loss, z-score and weight of every configuration, with its residuals after the shift."""
    shifts = shift(scores) if arguments.e0_shift == "fit" else np.zeros(len(scores.elements))
    atoms = scores.counts.sum(axis=1)
    energy_error = scores.energy_error - scores.counts @ shifts / atoms
    loss = arguments.energy_weight * np.nan_to_num(energy_error) ** 2
    loss += arguments.forces_weight * np.nan_to_num(scores.force_rmse) ** 2
    labelled = np.isfinite(energy_error) | np.isfinite(scores.force_rmse)
    rows, metadata = scores.provenance, scores.metadata
    usable = labelled & ~scores.nonfinite
    distribution, weighted = fit(seen_of(scores, loss, energy_error, usable))
    weight, zscore = weighted.weight.numpy(), weighted.zscore.numpy()
    bad, unknown = scores.nonfinite, ~labelled & ~scores.nonfinite
    table = {
        **identity(AUDIT, rows, metadata),
        "times_seen": np.where(unknown, 0, 1),  # without labels there is nothing to be seen
        "last_epoch": np.where(unknown, -1, 0),
        "weight": np.select([bad, unknown], [0.0, 1.0], weight),
        "mean_weight": np.select([bad, unknown], [0.0, 1.0], weight),
        "zscore": np.select([bad, unknown], [np.nan, 0.0], zscore),
        "loss": np.where(bad, np.nan, loss),
        "energy_error_per_atom": energy_error,
        "force_rmse": scores.force_rmse,
    }
    symbols = [chemical_symbols[z] for z in scores.elements]
    moved = {symbol: float(s) for symbol, s in zip(symbols, shifts, strict=True) if s}
    return Verdict(table, distribution.describe()[0], moved)


def shift(scores: Scores) -> np.ndarray:
    """Return the energy by which the model is above the labels for each atom of an element, (elements,) eV."""
    known = np.isfinite(scores.energy_error)
    present = scores.counts[known].any(axis=0)
    counts = scores.counts[known][:, present]
    shifts = np.zeros(len(scores.elements))
    shifts[present] = fit_shifts(scores.energy_error[known] * counts.sum(axis=1), counts)
    return shifts


def seen_of(scores: Scores, loss: np.ndarray, energy_error: np.ndarray, usable: np.ndarray) -> Remembered:
    """Return what a distribution is fitted to: losses, energy errors (eV/atom, NaN: none), whether usable (N,)."""
    values = torch.from_numpy(loss)
    return remembered(
        values,
        torch.zeros(len(loss), dtype=torch.long),
        torch.from_numpy(usable),
        torch.zeros_like(values),  # one model saw them all
        {"energy_error": torch.from_numpy(energy_error), "force_rmse": torch.from_numpy(scores.force_rmse)},
        scores.features,
        scores.metadata,
    )


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
    options = {name: getattr(arguments, name) for name in ("energy_weight", "forces_weight", "e0_shift")}
    options |= {f"e0_shift_{symbol}_eV": round(value, 6) for symbol, value in verdict.shifts.items()}
    distribution = {"head": scores.provenance.heads[0]} | verdict.distribution
    return stamp("audit", prefix, len(scores.provenance)) | {
        "finished": True,
        "command": " ".join(["mace_outlier", *sys.argv[1:]]),
        "options": plain(options),
        "arguments": plain({name: str(value) for name, value in vars(arguments).items()}),
        "heads": scores.provenance.heads,
        "distribution": [plain(distribution)],
        "history": [],
    }
