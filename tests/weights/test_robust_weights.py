"""RobustWeights, the weights for other training loops: what is found, from what, and what is refused."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mace_outlier import RobustWeights

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples"))
N, BATCH = 300, 20
WRONG = torch.arange(N) % 6 == 0


def errors(wrong=WRONG, seed=0):
    """Features, and errors that they explain in part; wrong energies are off by 50 meV/atom, their forces by 0.4."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(N, 6, generator=generator, dtype=torch.float64)
    energy = 0.01 * features[:, 0] + 0.003 * torch.randn(N, generator=generator, dtype=torch.float64) + 0.05 * wrong
    force = (0.1 + 0.4 * wrong) * (0.2 * torch.randn(N, generator=generator, dtype=torch.float64)).exp()
    return {"energy_error": energy, "force_error": force, "features": features}


def trained(weights, values, epochs=4, order=None):
    """Factors of the last epoch (N,), by batches in the same order in each."""
    order = torch.arange(N).roll(7) if order is None else order
    factors = torch.zeros(N, dtype=torch.float64)
    for _ in range(epochs):
        for ids in order.split(BATCH):
            factors[ids] = weights(ids, **{name: own[ids] for name, own in values.items()})
        weights.end_epoch()
    return factors


GIVEN = {
    "energies and forces": ("energy_error", "force_error", "features"),
    "energies": ("energy_error", "features"),
    "forces, without features": ("force_error",),
    "losses": ("loss", "features"),
}


@pytest.mark.parametrize("given", GIVEN)
def test_wrong_labels_are_found_and_right_ones_kept(given):
    values = errors()
    values["loss"] = 100 * values["energy_error"].square() + values["force_error"].square()
    weights = RobustWeights(N, formulas=["CH4"] * N)
    factors = trained(weights, {name: values[name] for name in GIVEN[given]})
    assert (factors[WRONG] < 0.25).double().mean() > 0.95
    assert (factors[~WRONG] < 0.25).double().mean() < 0.01
    table = weights.table([f"frame-{i}" for i in range(N)])
    assert set(table.index[:40]) <= {f"frame-{i}" for i in range(0, N, 6)}
    assert table.times_seen.eq(4).all()
    assert ("energy_error" in table) == ("energy_error" in GIVEN[given])
    report = weights.report([f"frame-{i}" for i in range(N)], most=2)
    assert f"{int((table.weight < 0.5).sum())} of {N} configurations have a weight below 0.5." in report
    assert " look wrong (" in report
    assert f"\n{table.index[0]} " in report


def test_where_no_label_is_wrong_all_factors_are_exactly_one():
    weights = RobustWeights(N)
    factors = trained(weights, errors(wrong=torch.zeros(N)))
    assert factors.eq(1).all()
    assert "no wrong labels found" in weights.report()


def test_gross_errors_lose_their_weight_at_once_and_infinite_ones_all_of_it():
    values = errors(wrong=torch.zeros(N))
    values["energy_error"][[50, 290]] = torch.tensor([27.0, torch.inf], dtype=torch.float64)
    values["energy_error"][100] = values["force_error"][100] = torch.nan  # no label at all
    factors = trained(RobustWeights(N), values, epochs=1, order=torch.arange(N))
    assert factors[50] < 1e-6
    assert factors[290] == 0
    assert factors[100] == 1
    assert factors.eq(1).sum() == N - 2


def test_heads_are_judged_each_by_itself():
    """The second one has errors ten times larger, right ones and wrong ones: one head would have hidden the first's."""
    first, second = errors(), errors(seed=1)
    values = {name: torch.cat((own, 10 * second[name])) for name, own in first.items()}
    weights = RobustWeights(2 * N, heads=[0] * N + [1] * N)
    order = torch.randperm(2 * N, generator=torch.Generator().manual_seed(0))
    for _ in range(4):
        for ids in order.split(BATCH):
            weights(ids, **{name: own[ids] for name, own in values.items()})
        weights.end_epoch()
    found = torch.from_numpy(weights.table().sort_index().weight.to_numpy() < 0.5)
    assert found[:N].eq(WRONG).double().mean() > 0.99
    assert found[N:].eq(WRONG).double().mean() > 0.99
    assert "head 1: " in weights.report()


def test_a_restart_continues_as_if_nothing_had_happened(tmp_path):
    values, whole = errors(), RobustWeights(N)
    expected = trained(whole, values, epochs=5)
    first, second = RobustWeights(N), RobustWeights(N)
    trained(first, values, epochs=2)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    only = not torch.__version__.startswith("1.")  # which reads no numbers then
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=only))
    assert trained(second, values, epochs=3).equal(expected)
    assert second.report() == whole.report()
    with pytest.raises(ValueError, match="of 10 training configurations"):
        RobustWeights(10).load_state_dict(first.state_dict())


def test_processes_agree_with_one():
    """Two that see half of the batches each; what they sum is recorded in one, and handed to the other."""
    from threading import Barrier, Thread

    values, barrier, mail, results = errors(), Barrier(2, timeout=60), {}, {}

    def run(rank):
        def share(own):
            mail[rank] = own.clone()
            barrier.wait()
            total = mail[0] + mail[1]
            barrier.wait()
            return total

        weights = RobustWeights(N, sum_over_ranks=share)
        for _ in range(4):
            for number, ids in enumerate(torch.arange(N).split(10)):
                if number % 2 == rank:
                    weights(ids, **{name: own[ids] for name, own in values.items()})
            weights.end_epoch()
        results[rank] = weights.table().sort_index().weight.to_numpy()

    threads = [Thread(target=run, args=(rank,)) for rank in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    np.testing.assert_array_equal(results[0], results[1])
    assert ((results[0] < 0.5) == WRONG.numpy()).mean() > 0.99


def test_what_can_not_be_used_is_refused_by_name():
    weights, ids = RobustWeights(N), torch.arange(5)
    with pytest.raises(ValueError, match="give at least one of energy_error, force_error"):
        weights(ids, features=torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"force_error has shape \(5, 3\), ids \(5,\)"):
        weights(ids, force_error=torch.zeros(5, 3))
    weights(ids, energy_error=torch.ones(5))
    with pytest.raises(ValueError, match="given force_error, but energy_error before"):
        weights(ids, force_error=torch.ones(5))
    with pytest.raises(ValueError, match="formulas: 1 given for 300 configurations"):
        RobustWeights(N, formulas=["H2O"])
    with pytest.raises(ValueError, match="label_forces: 2 given for 300"):
        RobustWeights(N, label_forces=[0.1, 0.2])


def test_forces_that_point_against_their_labels_count_for_more():
    """Every sixth label is -1 times what is predicted: told from a hard geometry by the sizes of the labels."""
    values = errors()
    size = np.random.default_rng(1).uniform(0.5, 2.0, N)
    values["predicted_force"] = torch.as_tensor(size)
    values["force_error"] = torch.where(WRONG, 2 * values["predicted_force"], 0.5 * values["force_error"])
    far = {}
    for name, sizes in (("with", size), ("without", None)):
        weights = RobustWeights(N, label_forces=sizes)
        trained(weights, values, epochs=1)
        far[name] = weights.table().sort_index().zscore.to_numpy()
    wrong = WRONG.numpy()
    assert np.median(far["with"][wrong]) > 1.3 * np.median(far["without"][wrong])
    assert np.median(far["with"][~wrong]) < 2


def test_mace_is_not_needed():
    import subprocess

    code = "import sys; from mace_outlier import RobustWeights; RobustWeights(3); sys.exit('mace' in sys.modules)"
    assert subprocess.run([sys.executable, "-S", "-c", PATHS + code]).returncode == 0  # -S: no .pth is read


PATHS = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}; "


def test_the_example_of_a_plain_loop(capsys):
    import plain_torch

    found = plain_torch.main()
    assert found["with weights"] < 0.4 * found["all labels"]
    hits, wrong, suspects = map(
        int, re.search(r"found (\d+) of (\d+) .* (\d+) suspects", capsys.readouterr().out).groups()
    )
    assert hits >= 0.9 * wrong
    assert suspects - hits <= 3
