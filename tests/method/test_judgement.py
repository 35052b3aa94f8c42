"""Made-up errors of a few epochs: planted faults are found, and what is right keeps its weight."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.seen import Seen
from mace_outlier.method.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "real"))
import real_heavy

FEATURES = 20


def seen_of(errors, features=None, **known):
    """What is seen of N configurations, all else being equal."""
    size = len(next(iter(errors.values())))
    given = {
        "features": np.zeros((size, 0)) if features is None else features,
        "composition": {},
        "atoms": np.full(size, 10.0),
        "predicted_force": np.full(size, 1.0),
        "label_force": np.full(size, 1.0),
        "conditions": np.zeros((size, 0)),
        "times": np.linspace(0.0, 0.999, size),
        "molecules": np.ones(size, dtype=np.int64),
    }
    return Seen(errors=errors, **given | known)


def judged(epochs, at_once=False):
    """The verdict after epochs of all configurations."""
    judge = HeadJudge(Settings())
    for number, seen in enumerate(epochs):
        _, verdict = judge.refit(np.arange(seen.number), seen, seen.number, at_once=at_once)
        assert seen.times.min() >= 0, number
    return judge, verdict


def suspects(verdict):
    return verdict.weight < 0.5


# --- clean, with one difficulty that nobody knows --------------------------------------------------------------------


@pytest.mark.parametrize("forces", [True, False], ids=["with forces", "energies only"])
@pytest.mark.parametrize("size", [300, 1000, 5000])
@pytest.mark.parametrize("sd", [0.4, 0.6, 0.8])
def test_heavy_tailed_errors_of_right_labels_cost_no_weight(sd, size, forces):
    seeds = 6 if size < 5000 else 2
    shares = [real_heavy.lost(size, sd, forces, seed) for seed in range(seeds)]
    assert np.max(shares) <= 0.005, shares


@pytest.mark.parametrize("seed", range(6))
def test_without_anything_that_tells_how_hard_it_is_no_label_explains_its_own_error(seed):
    """By one model, as in an audit: not even the time is a column. What the others say of a label tells what it was."""
    epoch = next(real_heavy.heavy_tailed(1000, 0.8, False, seed))
    _, verdict = judged([dataclasses.replace(epoch, times=np.zeros(1000))], at_once=True)
    assert not suspects(verdict).any()


# --- planted ---------------------------------------------------------------------------------------------------------

SIGMA, FORCE = 0.01, 0.1  # eV/atom, eV/A: right labels


class Planted:
    """Three epochs of a model whose error is a readout of its features, which moves on, and noise; and wrong labels."""

    def __init__(self, size=600, seed=0):
        self.rng, self.size = np.random.default_rng(seed), size
        self.features = self.rng.normal(size=(size, FEATURES)) * np.exp(self.rng.normal(size=FEATURES))
        self.difficulty = np.exp(0.2 * self.rng.normal(size=size))
        self.off, self.factor = np.zeros(size), np.ones(size)  # of energies in SIGMA, of forces
        self.known = {}

    def some(self, share):
        """A share of the configurations, at random."""
        return np.isin(np.arange(self.size), self.rng.permutation(self.size)[: round(share * self.size)])

    def epochs(self, count=3):
        standard = self.features / self.features.std(axis=0)
        for epoch in range(count):
            explained = standard @ self.rng.normal(size=FEATURES) * 5 * SIGMA / (1 + epoch)
            energy = explained + SIGMA * (self.difficulty * self.rng.normal(size=self.size) + self.off)
            force = FORCE * self.difficulty * self.factor * np.exp(0.1 * self.rng.normal(size=self.size))
            yield seen_of({"energy": energy, "forces": force}, self.features, **self.known)


def assert_found(found, wrong):
    recall, precision = (found & wrong).sum() / wrong.sum(), (found & wrong).sum() / max(found.sum(), 1)
    assert recall >= 0.95, (recall, precision)
    assert precision >= 0.95, (recall, precision)


def test_two_epochs_have_to_agree_however_few_steps_they_have():
    """Of one step, as of LBFGS, all have the same time; one look is enough only where there won't be another."""
    planted = Planted()
    wrong = planted.some(0.15)
    planted.off = 20.0 * wrong * planted.rng.choice([-1, 1], planted.size)
    epochs = [dataclasses.replace(epoch, times=np.full(planted.size, 0.999)) for epoch in planted.epochs()]
    _, verdict = judged(epochs[:1])
    assert not suspects(verdict).any()
    for found in (judged(epochs), judged(epochs[:1], at_once=True)):
        assert_found(suspects(found[1]), wrong)


def test_labels_that_are_not_trained_on_any_more_are_forgotten():
    """As after a restart with another base loss; what is known of the others goes on."""
    planted = Planted()
    planted.off = 20.0 * planted.some(0.15)
    *before, last = planted.epochs(4)
    judge, _ = judged(before)
    assert judge.some_are_wrong
    forces = {"forces": last.errors["forces"]}
    _, verdict = judge.refit(np.arange(planted.size), dataclasses.replace(last, errors=forces), planted.size)
    assert list(verdict.by_property) == list(judge.evidence.values.own) == list(judge.populations.by_name) == ["forces"]
    assert (judge.evidence.epochs.own["forces"] == 4).all()
    assert not suspects(verdict).any()


@pytest.mark.parametrize("seed", range(3))
def test_energies_that_are_off_to_both_sides(seed):
    planted = Planted(seed=seed)
    wrong = planted.some(0.15)
    planted.off = 6.0 * wrong * planted.rng.choice([-1, 1], planted.size)
    judge, verdict = judged(planted.epochs())
    assert_found(suspects(verdict), wrong)
    assert judge.some_are_wrong
    assert (verdict.by_property["forces"] > 0.5).mean() > 0.95  # not theirs


@pytest.mark.parametrize("share", [0.30, 0.43])
@pytest.mark.parametrize("seed", range(3))
def test_energies_that_are_off_to_one_side(share, seed):
    planted = Planted(seed=seed)
    wrong = planted.some(share)
    planted.off = 5.0 * wrong
    _, verdict = judged(planted.epochs())
    assert_found(suspects(verdict), wrong)


@pytest.mark.parametrize("seed", range(3))
def test_forces_that_are_off(seed):
    planted = Planted(seed=seed)
    wrong = planted.some(0.20)
    planted.factor = np.where(wrong, 3.0, 1.0)
    _, verdict = judged(planted.epochs())
    assert_found(suspects(verdict), wrong)
    assert (verdict.by_property["energy"] > 0.5).mean() > 0.95


@pytest.mark.parametrize("size", [60, 300, 600])
@pytest.mark.parametrize("seed", range(5))
def test_clean_labels_keep_their_weight(size, seed):
    judge, verdict = judged(Planted(size, seed).epochs())
    assert not suspects(verdict).any()
    assert not judge.some_are_wrong


def test_gross_errors_of_few_are_found_at_once_and_leave_the_others_alone():
    planted = Planted()
    planted.off[[3, 77]] = 1e6, -1e9
    planted.factor[150] = 1e7
    _, verdict = judged(planted.epochs(1))
    assert np.flatnonzero(suspects(verdict)).tolist() == [3, 77, 150]


def test_gross_errors_do_not_hide_others():
    planted = Planted()
    wrong = planted.some(0.15)
    planted.off = 6.0 * wrong * planted.rng.choice([-1, 1], planted.size)
    planted.off[[3, 77]] = 1e6, -1e9
    _, verdict = judged(planted.epochs())
    assert_found(suspects(verdict), planted.off != 0)


@pytest.mark.parametrize("seed", range(3))
def test_a_harder_region_keeps_its_weight(seed):
    planted = Planted(seed=seed)
    planted.difficulty = planted.difficulty * np.where(planted.features[:, 0] > 0, 3.0, 1.0)
    assert not suspects(judged(planted.epochs())[1]).any()


@pytest.mark.parametrize("seed", range(3))
def test_another_charge_state_keeps_its_weight(seed):
    """All of its energies are elsewhere, which no feature says."""
    planted = Planted(seed=seed)
    charge = planted.some(0.25).astype(float)
    planted.known["conditions"] = charge[:, None]
    planted.off = 8.0 * charge
    assert not suspects(judged(planted.epochs())[1]).any()


def test_wrong_labels_are_acted_on_once_two_epochs_agree():
    planted = Planted()
    wrong = planted.some(0.15)
    planted.off = 6.0 * wrong * planted.rng.choice([-1, 1], planted.size)
    epochs = list(planted.epochs())
    first, verdict = judged(epochs[:1])
    assert not suspects(verdict).any()
    assert first.undecided == pytest.approx(0.15, abs=0.02)
    assert not first.some_are_wrong
    assert judged(epochs[:2])[0].some_are_wrong


def test_the_zscore_tells_wrong_labels_apart_before_they_lose_weight():
    """From right labels, whose place is not where both kinds together are on average."""
    planted = Planted()
    wrong = planted.some(0.35)
    planted.off = 6.0 * wrong
    _, verdict = judged(planted.epochs(1))
    assert not suspects(verdict).any()
    assert np.median(verdict.zscore[~wrong]) < 1.0
    assert np.median(verdict.zscore[wrong]) > 4.0


def test_a_label_needs_two_epochs_and_a_gross_one_a_single_epoch():
    planted = Planted()
    wrong = planted.some(0.15)
    planted.off = 6.0 * wrong * planted.rng.choice([-1, 1], planted.size)
    late, gross = np.flatnonzero(~wrong)[:2]
    epochs = list(planted.epochs(3))
    epochs[2].errors["energy"][late] += 30 * SIGMA
    epochs[2].errors["energy"][gross] += 1e5 * SIGMA
    judge, verdict = judged(epochs)
    assert judge.looked.own[""][late] < 0.01
    assert verdict.weight[late] > 0.5
    assert verdict.weight[gross] < 1e-3
    assert verdict.by_property["energy"][gross] < 1e-3
    rows = np.arange(planted.size)
    _, again = judge.refit(rows, epochs[2], planted.size)
    assert again.weight[late] < 0.01


@pytest.mark.parametrize(("size", "some_are_found"), [(45, False), (60, True)])
def test_in_small_heads_only_gross_errors_are_found(size, some_are_found):
    planted = Planted(size=size)
    wrong, gross = planted.some(0.2), np.arange(size) == 0
    planted.off = np.where(gross, 1e5, 12.0 * wrong)
    _, verdict = judged(planted.epochs(4))
    assert suspects(verdict)[0]
    assert suspects(verdict)[1:].any() == some_are_found


def test_more_than_half_that_look_wrong_are_left_alone():
    """They are off by different amounts, so that the right ones are the densest."""
    planted = Planted()
    wrong = planted.some(0.65)
    planted.off = wrong * planted.rng.uniform(6, 400, planted.size) * planted.rng.choice([-1, 1], planted.size)
    _, verdict = judged(planted.epochs())
    assert suspects(verdict).mean() <= 0.5


def test_forces_that_vanish_by_symmetry_say_nothing():
    planted = Planted()
    symmetric = planted.some(0.1)
    planted.factor = np.where(symmetric, 1e-6, 1.0)
    planted.known["label_force"] = np.where(symmetric, 0.0, 1.0)
    assert not suspects(judged(planted.epochs())[1]).any()


def forces_of_another_sign(known):
    """Predictions have a cosine of 0.5 to 0.95 with right labels; every fifth label has the wrong sign."""
    rng, wrong = np.random.default_rng(0), np.arange(300) % 5 == 0
    cosine = rng.uniform(0.5, 0.95, 300) * np.where(wrong, -1, 1)
    size = np.exp(0.3 * rng.normal(size=300))
    errors = {"forces": size * np.sqrt(2 - 2 * cosine) * np.exp(0.02 * rng.normal(size=300))}
    return seen_of(errors, predicted_force=size, label_force=size if known else np.zeros(300)), wrong


def test_forces_that_point_against_their_labels_are_further_off():
    apart = {}
    for known in (True, False):
        seen, wrong = forces_of_another_sign(known)
        _, verdict = judged([seen, seen])
        assert suspects(verdict).tolist() == wrong.tolist()
        apart[known] = verdict.zscore[wrong].min() - verdict.zscore[~wrong].max()
    assert apart[True] > 2 * apart[False]


def test_too_few_are_not_compared():
    judge = HeadJudge(Settings())
    seen = next(Planted(7).epochs())
    assert judge.refit(np.arange(7), seen, 7) is None
    assert judge.judge(np.arange(7), seen, 7) is None


def test_a_validation_set_is_judged_beside_the_training_set():
    both = Planted(900)
    wrong = both.some(0.2)
    both.off = 6.0 * wrong * both.rng.choice([-1, 1], both.size)
    judge, others = HeadJudge(Settings()), None
    for seen in both.epochs():
        judge.refit(np.arange(600), seen.part(np.arange(600)), 600)
        _, others = judge.judge(np.arange(300), seen.part(np.arange(600, 900)), 300)
    assert_found(suspects(others), wrong[600:])
