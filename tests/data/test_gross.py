"""Gross errors of labels: left out of what MACE derives from them before a training, which clean data don't notice."""

import pickle
import re
from functools import partial

import numpy as np
import pytest
from mace import data, tools
from structures import molecules, write_xyz

from mace_outlier.data.gross import (
    Limits,
    Plausible,
    collate_selected,
    limits,
    plausible_energies,
    selected_batches,
)  # fmt: skip

E0S = np.array([[-1.0, -2.0]])
KEYS = data.KeySpecification(info_keys={"energy": "REF_energy"}, arrays_keys={"forces": "REF_forces"})


def samples(frames):
    table = tools.AtomicNumberTable([1, 8])
    return [data.AtomicData.from_config(data.config_from_atoms(f, KEYS), z_table=table, cutoff=3.0) for f in frames]


def loader(dataset, size=4):
    return tools.torch_geometric.dataloader.DataLoader(dataset, batch_size=size)


def test_limits_are_wide_and_not_moved_by_gross_errors():
    rng = np.random.default_rng(0)
    energies, forces = rng.normal(-3, 0.2, 500), np.exp(rng.normal(0, 0.5, 500))
    assert limits(energies, forces) == Limits(pytest.approx(-3, abs=0.05), 10.0, pytest.approx(np.exp(5), rel=0.5))
    energies[:50], forces[:50] = 1e6, 1e7
    assert limits(energies, forces) == Limits(pytest.approx(-3, abs=0.1), 10.0, pytest.approx(np.exp(5), rel=1))
    assert limits(np.array([np.nan]), np.zeros(3)) == Limits(0.0, 10.0, 50.0)


def test_samples_are_judged_by_finite_and_plausible_labels():
    frames = molecules(40)
    frames[3].arrays["REF_forces"][0, 0] = np.nan
    frames[5].arrays["REF_forces"] *= 1e6
    frames[7].info["REF_energy"] = frames[7].info["REF_energy"] * 27.2 - 300
    del frames[9].info["REF_energy"], frames[11].arrays["REF_forces"]
    dataset = samples(frames)
    plausible = pickle.loads(pickle.dumps(Plausible(dataset, E0S)))
    assert [i for i, sample in enumerate(dataset) if not plausible(sample)] == [3, 5, 7]
    assert (plausible.rejected, plausible.examined) == (3, 40)


def test_batches_lose_what_is_rejected_and_nothing_else():
    items = samples(molecules(6))
    bad = {id(items[i]) for i in (1, 4, 5)}
    loader_ = loader(items)
    collate = loader_.collate_fn
    batches = list(selected_batches(loader_, lambda sample: id(sample) not in bad))
    assert [batch.num_graphs for batch in batches] == [3]  # the second batch had none left
    assert loader_.collate_fn is collate
    assert batches[0].forces.equal(collate([items[i] for i in (0, 2, 3)]).forces)
    for ours, stock in zip(selected_batches(loader(items), lambda _: True), loader(items), strict=True):
        assert ours.forces.equal(stock.forces)
    assert pickle.loads(pickle.dumps(partial(collate_selected, collate, bool)))([]) is None


def test_energies_of_another_unit_are_found_by_composition():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9, (200, 2)).astype(float)
    energies = counts @ [-13.0, -2000.0] + rng.normal(0, 0.1, 200) * counts.sum(1)
    assert plausible_energies(energies, counts).all()
    energies[3] /= 27.2114
    energies[7] = np.nan
    assert np.flatnonzero(~plausible_energies(energies, counts)).tolist() == [3, 7]
    assert plausible_energies(energies[:8], counts[:8]).sum() == 7  # too few to tell: the finite ones


def test_two_gross_errors_that_stock_mace_does_not_survive(mace):
    """One force component of 1e7 eV/A and one energy in another unit; the reference is trained without these frames."""
    train, flags = molecules(100), ["--E0s=average", "--batch_size=10", "--max_num_epochs=6", "--lr=0.02"]
    write_xyz(mace.folder, train[2:], molecules(20, seed=1))
    reference = mace.train("reference", "--loss=ema_robust", "--ema_robust_distribution=mixture", *flags)
    train[0].arrays["REF_forces"][0, 0] = 1e7
    train[1].info["REF_energy"] = 27.2114 * (train[1].info["REF_energy"] - 300)
    write_xyz(mace.folder, train, molecules(20, seed=1))
    ours = mace.train("ours", "--loss=ema_robust", "--ema_robust_distribution=mixture", *flags)
    stock = mace.train("stock", "--loss=weighted", *flags)
    errors = {run.name: validation_errors(run.log) for run in (reference, ours, stock)}
    assert (errors["ours"] < 1.5 * errors["reference"]).all()
    assert (errors["stock"] > 3 * errors["reference"]).any()
    assert "1 of 100 configurations have labels that are not finite or far from all others: E0s=average" in ours.log
    assert "2 of 100 configurations have labels that are not finite or far from all others: the model's" in ours.log
    assert "far from all others" not in reference.log
    weight = ours.state["records"]["weight"]
    assert weight[:2].max() < 0.01
    assert weight[2:].mean() > 0.95


def validation_errors(log):
    """RMSE of energy (meV/atom) and forces (meV/A) of the last epoch."""
    return np.array(re.findall(r"RMSE_E_per_atom=\s*([\d.]+) meV, RMSE_F=\s*([\d.]+)", log)[-1], dtype=float)


def test_samples_are_looked_at_one_at_a_time():
    """Data that are made when they are asked for hold their edges: ten thousand of them would take gigabytes."""
    import weakref

    alive, most = weakref.WeakSet(), []

    class Made:
        def __len__(self):
            return 30

        def __getitem__(self, i):
            (sample,) = samples(molecules(1, seed=i))
            most.append(len(alive))
            alive.add(sample)
            return sample

    assert Plausible(Made(), E0S).examined == 30
    assert max(most) <= 1


def test_E0s_that_have_taken_gross_errors_in_are_told_from_others():  # noqa: N802
    frames = molecules(60)
    for i in (3, 10):
        frames[i].info["REF_energy"] -= 900.0
    counts = np.array([[(frame.numbers == z).sum() for z in (1, 8)] for frame in frames], dtype=float)
    energies = np.array([frame.info["REF_energy"] for frame in frames])
    right = [i for i in range(60) if i not in (3, 10)]
    every, better = (np.linalg.lstsq(counts[own], energies[own], rcond=None)[0] for own in (range(60), right))
    ((head, (found, off)),) = Plausible(samples(frames), every[None]).averages().items()
    assert head == 0
    assert found == pytest.approx(better)
    assert off > 1  # eV/atom
    for other in (better, E0S[0], [0.0, 0.0]):
        assert not Plausible(samples(frames), other).averages()
    assert not Plausible(samples(molecules(60)), every).averages()


def test_where_no_label_is_finite_the_scale_is_that_of_stock_mace(mace):
    """Case 1803 of tests/fuzz: nothing was left for MACE to make one from, which ended the training."""
    train = molecules(20)
    for frame in train:
        frame.arrays["REF_forces"][0, 0] = np.nan
    write_xyz(mace.folder, train, molecules(5, seed=1))
    run = mace.train("nan", "--loss=ema_robust", "--max_num_epochs=1")
    assert "No configuration has labels that are finite and like others: scale and shift are stock MACE's" in run.log
    assert (mace.folder / "nan.model").exists()
