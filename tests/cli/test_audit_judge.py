"""From a model's errors to weights, without a model."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mace_outlier.cli.audit.evaluate import Scores
from mace_outlier.cli.audit.judge import judge
from mace_outlier.data.metadata import Metadata
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.data.tagging import Tag
from mace_outlier.results.files import COLUMNS
from mace_outlier.states import JUDGED, LABEL

ARGUMENTS = SimpleNamespace(e0_shift="none", energy_weight=1.0, forces_weight=100.0)
FORMULAS = {"H2O": (2, 1), "H4O2": (4, 2), "HO": (1, 1)}


def made_up(count=300, energy=0.0, force=1.0, seed=0):
    """Errors of a model that is off by a constant for each formula; of every fifth label, other ones."""
    rng, kinds = np.random.default_rng(seed), list(FORMULAS)
    kind, bad = rng.integers(0, 3, count), np.arange(count) % 5 == 0
    counts = np.array([FORMULAS[name] for name in kinds])[kind]
    metadata = Metadata(count)
    for row in range(count):
        metadata.note(row, Tag("Default", kinds[kind[row]], kinds[kind[row]], int(counts[row].sum())))
    errors = np.array([0.0, 0.02, -0.03])[kind] + rng.normal(0, 0.001, count)
    forces = np.array([0.01, 0.04, 0.2])[kind] * rng.lognormal(0, 0.15, count)
    rows = Provenance(["Default"], [[Part("data.xyz", np.arange(count))]])
    off = {"energy": np.where(bad, errors + energy, errors), "forces": np.where(bad, force * forces, forces)}
    features = torch.empty(count, 0)
    states = np.full(count, JUDGED, dtype=object)
    return Scores(rows, metadata, off, {label: np.ones(count) for label in off}, states, features, {}, {}), bad


def judged(scores):
    verdict = judge(scores, ARGUMENTS)
    assert set(COLUMNS) <= set(verdict.table)
    assert set(verdict.table["split"]) == {"audit"}
    return verdict


@pytest.mark.parametrize("wrong", [{"energy": -0.012}, {"force": 4.0}, {"energy": -0.012, "force": 4.0}])
def test_wrong_labels_are_told_by_energies_or_losses_among_their_formula(wrong):
    """The offsets of the formulas are larger than what is wrong with a label, and so are factors of their losses."""
    scores, bad = made_up(**wrong)
    verdict = judged(scores)
    assert verdict.distribution["kind"] == "mixture"
    assert verdict.distribution["share"] == pytest.approx(0.2, abs=0.01)
    properties = verdict.distribution["properties"]
    assert {name for name, own in properties.items() if own["share"] > 0} == {
        {"energy": "energy", "force": "forces"}[name] for name in wrong
    }
    if "energy" in wrong:
        assert properties["energy"]["wrong"] == pytest.approx(0.012, rel=0.2)
        assert properties["energy"]["too_low"] < 0.1  # the prediction is below the labels
    found = verdict.table["weight"] < 0.5
    assert (found == bad).mean() > 0.98


def test_right_labels_are_one_population():
    scores, _ = made_up()
    verdict = judged(scores)
    assert verdict.distribution["share"] == 0
    assert verdict.table["weight"].min() > 0.5


def test_labels_that_are_missing_or_not_finite():
    scores, bad = made_up(energy=-0.012)
    scores.errors["energy"][[1, 2]] = np.nan  # right labels, without an energy
    scores.errors["forces"][[2, 5]] = np.nan  # neither; an energy that is wrong
    scores.states[3], scores.errors["energy"][3] = LABEL, np.nan
    table = judged(scores).table
    assert table["weight"][1] > 0.5
    assert (table["weight"][2], table["state"][2]) == (1.0, "nothing to judge by")
    assert np.isnan(table["zscore"]).tolist() == [row in (2, 3) for row in range(300)]
    assert (table["weight"][3], table["times_seen"][3]) == (0.0, 1)
    assert table["weight"][5] < 0.5
    assert np.isnan(table["loss"]).tolist() == [row == 3 for row in range(300)]
    others = ~np.isin(np.arange(300), (1, 2, 3, 5))
    assert ((table["weight"] < 0.5) == bad)[others].mean() > 0.98


def test_few_configurations_are_one_normal_distribution():
    scores, _ = made_up(count=7)
    scores.errors["forces"][6] *= 1000.0
    verdict = judged(scores)
    assert verdict.distribution["kind"] == "normal"
    assert verdict.table["weight"][6] < 0.6
    assert np.median(verdict.table["weight"]) > 0.99
