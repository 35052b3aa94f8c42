"""Of a distributed run, each process does its share of the judgement, and all come to what one alone does."""

import numpy as np
import pytest
from test_judgement import Planted, seen_of
from threads import in_threads

from mace_outlier.method import sample
from mace_outlier.method.judge import HeadJudge
from mace_outlier.method.sample import in_sample
from mace_outlier.method.settings import Settings


def epochs_of(size, seed=0, count=3):
    """A tenth of the energies and of the forces is wrong; a third of the configurations has no forces; molecules."""
    planted = Planted(size, seed)
    planted.off = 8.0 * planted.some(0.1)
    planted.factor = np.where(planted.some(0.1), 3.0, 1.0)
    planted.known = {"molecules": planted.rng.integers(0, size // 20, size) << 40, "atoms": np.full(size, 9.0)}
    for seen in planted.epochs(count):
        seen.errors["forces"][::3] = np.nan
        yield seen


def judged_by(number, epochs, size, once=False):
    """Verdicts of the last epoch and of a validation set, in each of so many processes."""
    rng = np.random.default_rng(1)

    def work(processes):
        judge, validation = HeadJudge(Settings()), next(epochs_of(300, seed=5))
        for order, seen in epochs:
            rows = np.sort(order[processes.rank :: processes.number])
            judged = judge.refit(rows, seen.part(rows), size, processes)
        own = np.arange(300)[::-1][processes.rank :: processes.number]  # in whatever order they come
        own = np.append(own, own[:1])  # a sampler repeats some
        of_all, validated = judge.judge(own, validation.part(own), 300, processes)
        assert of_all.tolist() == list(range(300))
        return judge, judged, validated

    epochs = [(rng.permutation(size), seen) for seen in epochs]
    return in_threads(number, work)


@pytest.mark.parametrize(("most", "numbers"), [(400, (2, 4, 7)), (10_000, (3,))], ids=["a sample", "all"])
def test_any_number_of_processes_thinks_the_same(most, numbers, monkeypatch):
    monkeypatch.setattr(sample, "MOST", most)
    size, epochs = 1200, list(epochs_of(1200))
    [(alone, (rows, verdict), validated)] = judged_by(1, epochs, size)
    assert alone.some_are_wrong
    assert (verdict.weight < 0.5).sum() > 150
    for number in numbers:
        judged = judged_by(number, epochs, size)
        assert np.array_equal(np.concatenate([own_rows for _, (own_rows, _), _ in judged]), rows)
        for judge, (own_rows, own), own_validated in judged:
            share = verdict.part(np.isin(rows, own_rows))
            assert len(own_rows) <= size // number + 1
            assert np.abs(own.weight - share.weight).max() < 1e-6
            assert np.array_equal(own.weight < 0.5, share.weight < 0.5)
            for name, weights in share.by_property.items():
                assert np.abs(own.by_property[name] - weights).max() < 1e-6
            np.testing.assert_allclose(own.zscore, share.zscore, rtol=2e-3)
            np.testing.assert_allclose(own_validated.weight, validated.weight, atol=1e-6)
            assert judge.gain == pytest.approx(alone.gain, rel=1e-6)
            assert judge.describe()["properties"].keys() == alone.describe()["properties"].keys()


def test_a_process_that_saw_nothing(monkeypatch):
    monkeypatch.setattr(sample, "MOST", 50)
    seen = next(epochs_of(200))

    def work(processes):
        rows = np.arange(200) if processes.rank else np.zeros(0, dtype=np.int64)
        return HeadJudge(Settings()).refit(rows, seen.part(rows), 200, processes)

    (rows, one), (others, other) = in_threads(2, work)
    assert np.concatenate((rows, others)).tolist() == list(range(200))
    assert len(one.weight) == len(other.weight) == 100


def test_where_one_process_fails_all_do():
    seen = seen_of({"energy": np.random.default_rng(0).normal(size=100)})

    def work(processes):
        own = seen if processes.rank == 0 else None
        with pytest.raises((RuntimeError, AttributeError)):
            processes.agree(lambda: HeadJudge(Settings()).refit(np.arange(100), own, 100, processes))

    in_threads(2, work)


# --- the sample ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [np.arange(200_000), 7 * np.arange(200_000), np.arange(200_000) << 20])
def test_a_sample_is_of_the_size_it_is_meant_to_have_and_spread_evenly(rows):
    chosen = in_sample(rows, len(rows))
    assert abs(chosen.sum() - sample.MOST) < 5 * np.sqrt(sample.MOST)
    tenths = np.add.reduceat(chosen, np.arange(0, len(rows), len(rows) // 10))
    assert np.abs(tenths - sample.MOST / 10).max() < 5 * np.sqrt(sample.MOST / 10)
    part = np.random.default_rng(0).permutation(len(rows))[:1000]
    assert np.array_equal(in_sample(rows[part], len(rows)), chosen[part]), "whoever asks"


def test_few_are_all_in_the_sample():
    assert in_sample(np.arange(sample.MOST), sample.MOST).all()


@pytest.mark.parametrize("most", [300, 1000])
def test_others_are_judged_by_a_sample_as_well_as_if_they_were_in_it(most, monkeypatch):
    size, found = 4000, {}
    for known in (most, size):
        monkeypatch.setattr(sample, "MOST", known)
        judge = HeadJudge(Settings())
        for seen in epochs_of(size, seed=3):
            _, verdict = judge.refit(np.arange(size), seen, size)
        found[known] = verdict.weight < 0.5
    differ = (found[most] != found[size]).mean()
    assert differ < 0.01, differ
    assert found[size].mean() > 0.15
