"""Whatever the data are, a fit gives weights in [0, 1], never takes more than half for wrong, and never fails.

`MACE_OUTLIER_FITS=10000 python -m pytest tests/method/test_random_fits.py` makes so many fits (two epochs and a
validation set each); by default, as many as take a minute. `MACE_OUTLIER_FIRST_FIT=123` begins with that one.
"""

import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up_seen import remembered, share_of_suspects, visited, whole

from mace_outlier.results.in_words import in_a_line
from mace_outlier.results.judgement import judgement_of
from mace_outlier.states import STATES
from mace_outlier.weights.mixture import MixtureDistribution
from mace_outlier.weights.records import Records
from mace_outlier.weights.safety import Safety

FITS = int(os.environ.get("MACE_OUTLIER_FITS", "240"))
FIRST = int(os.environ.get("MACE_OUTLIER_FIRST_FIT", "0"))
PART = 40  # fits of a test
FEW = 300  # configurations of most fits, at most


def sizes_of(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Sizes of errors (N,), eV/atom or eV/A."""
    scale = 10 ** rng.uniform(-8, 2)
    return {
        "normal": lambda: np.abs(rng.normal(0, scale, size)),
        "heavy": lambda: np.abs(rng.standard_cauchy(size)) * scale,
        "log-normal": lambda: rng.lognormal(np.log(scale), rng.uniform(0, 3), size),
        "constant": lambda: np.full(size, scale),
        "ties": lambda: rng.choice([scale, 2 * scale, 50 * scale], size),
        "zero": lambda: np.zeros(size),
        "any": lambda: 10.0 ** rng.uniform(-30, 30, size),
    }[kind]()


KINDS = ("normal", "heavy", "log-normal", "constant", "ties", "zero", "any")


def errors_of(name: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Errors (N,): of one kind, a share of them wrong, few gross, some without a label."""
    own = sizes_of(rng.choice(KINDS, p=(0.4, 0.15, 0.2, 0.05, 0.08, 0.05, 0.07)), size, rng)
    share = rng.choice([0.0, rng.uniform(), 1.0], p=(0.4, 0.55, 0.05))
    own = np.where(rng.random(size) < share, own * 10 ** rng.uniform(0, 4) + 10 ** rng.uniform(-6, 1), own)
    gross = rng.random(size) < rng.choice([0.0, 2.0 / size, 0.2])
    own = np.where(gross, 10 ** rng.uniform(0, 30), own)
    if name == "energy":
        own = own * (1.0 if rng.random() < 0.3 else rng.choice([-1.0, 1.0], size))
    missing = rng.random(size) < rng.choice([0.0, 0.0, 0.5, 1.0], p=(0.4, 0.3, 0.2, 0.1))
    return np.where(missing, np.nan, own)


def made_up(rng: np.random.Generator, size: int, others: int = 0) -> tuple:
    """What is remembered of a training set, and of `others` configurations of a validation set of the same kind."""
    total = size + others
    names = [name for name in ("energy", "forces", "stress", "virials") if rng.random() < 0.6] or ["energy"]
    errors = {name: errors_of(name, total, rng) for name in names}
    heads = int(rng.choice([1, 1, 2]))
    columns = int(rng.choice([0, 1, 30, 96]))
    features = rng.normal(size=(total, columns)) * 10 ** rng.uniform(-6, 6)
    if columns and rng.random() < 0.3:
        features[:, ::2] = features[:, :1]  # no more than that is known
    if columns and rng.random() < 0.2:
        features[rng.random(total) < 0.02] *= 1e6
    if columns and rng.random() < 0.1:
        features[:, 0] = np.nan
    molecules = rng.integers(0, rng.choice([1, 3, max(total // 3, 1)]), total)
    elements = np.eye(3)[molecules % 3]
    forces = np.abs(errors.get("forces", np.zeros(total)))
    label_force = np.where(np.isfinite(forces), np.exp(rng.normal(0, rng.uniform(0, 3), total)), 0.0)
    label_force *= rng.random(total) < rng.choice([1.0, 0.8, 0.0], p=(0.8, 0.1, 0.1))
    known = {
        "heads": torch.from_numpy(rng.integers(0, heads, total)),
        "usable": torch.from_numpy(rng.random(total) < rng.choice([1.0, 0.9, 0.0], p=(0.8, 0.15, 0.05))),
        "times": np.where(rng.random() < 0.8, rng.random(total) * 0.99, 0.0),
        "molecules": molecules,
        "composition": dict(zip("HCO", elements.T, strict=True)) if rng.random() < 0.5 else {},
        "atoms": rng.integers(0, rng.choice([1, 2, 200]), total).clip(1).astype(float),
        "label_force": label_force,
        "predicted_force": np.where(rng.random() < 0.8, label_force, np.nan),
        "conditions": rng.choice([0.0, 1.0, np.nan][: rng.integers(1, 4)], (total, 3)),
        "features": features,
    }
    return remembered(total, errors, **known), heads


def part(seen, which):
    """Of what is remembered, some rows."""
    own = {name: getattr(seen, name)[which] for name in ("losses", "heads", "usable")}
    return whole(own, seen.seen.part(which))


def check(weighted, which):
    for values in (weighted.weight, *(weighted.by_property or {}).values()):
        assert bool(((values >= 0) & (values <= 1)).all())
    assert bool(weighted.zscore[which].isfinite().all())


class Observed(MixtureDistribution):
    """Keeps what it said last."""

    def refit(self, seen, processes):
        """Judge, and keep the result."""
        self.judged = super().refit(seen, processes)
        return self.judged


def fit(number: int) -> int:
    """Two epochs and a validation set; returns how many of the training set are taken for wrong."""
    rng = np.random.default_rng(number)
    size = int(10 ** rng.uniform(0, 5)) if number % 60 == 7 else int(FEW ** rng.uniform(0, 1))
    few = int(rng.integers(1, 60))
    seen, heads = made_up(rng, size, few)
    training, others = part(seen, slice(0, size)), part(seen, slice(size, None))
    distribution, records = Observed(heads), Records(size, heads=training.heads, labels=["stress", "virials"])
    safety = Safety(distribution, records, [str(head) for head in range(heads)])
    usable = training.usable & (training.losses > 0)
    visited(records, torch.arange(size), torch.where(usable, 1.0, 0.0))
    for epoch in range(2):
        again = training._replace(seen=replace(training.seen, times=training.seen.times + epoch))
        safety.refit(lambda again=again: again)
        assert not [why for why in safety.refused.values() if "failed" in why or "not" in why], safety.refused
        if distribution.judged is not None:
            check(
                distribution.judged,
                usable & ~torch.isin(training.heads, torch.tensor([*safety.refused], dtype=torch.long)),
            )
        for described in safety.describe():
            assert in_a_line(
                described, judgement_of(described, records.weight.numpy(), np.array(STATES)[records.codes])
            )
        assert all(share_of_suspects(records, head) <= 0.5 for head in range(heads))
    if distribution.settled:
        judged = distribution.judge(others)
        check(judged, others.usable)
    again = MixtureDistribution(heads)
    again.load_state_dict(distribution.state_dict())
    return int((records.weight < 0.5).sum())


@pytest.mark.parametrize("first", range(FIRST, FIRST + FITS, PART))
def test_fits_to_anything(first):
    found, failed = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(first, min(first + PART, FIRST + FITS)):
            try:
                found += fit(number)
            except Exception as error:
                failed.append(f"fit {number}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)
    assert found  # otherwise nothing was tested
