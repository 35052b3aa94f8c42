"""RobustWeights in another training code, by its own trainer: the example of the documentation, made short."""

import sys
from pathlib import Path

import numpy as np
import pytest
from structures import molecules

pytest.importorskip("graph_pes.models")  # benchmarks/graph_pes is no such package
sys.path.append(str(Path(__file__).parents[2] / "docs" / "examples"))

WRONG, EPOCHS = range(5, 60, 10), 6


def frames_with_wrong_energies():
    """60 molecules, 6 of them with energies that are 3 eV/atom too high: gross, so that a short training finds them."""
    frames = molecules(60, seed=4)
    for i in WRONG:
        frames[i].info["REF_energy"] += 3.0 * len(frames[i])
    return frames


def test_graph_pes_trains_with_our_weights_and_finds_what_is_wrong(tmp_path, monkeypatch):
    import graph_pes_training

    monkeypatch.chdir(tmp_path)  # lightning writes its log where it runs
    frames = frames_with_wrong_energies()
    weights = graph_pes_training.RobustWeights(len(frames), formulas=[str(atoms.symbols) for atoms in frames])
    robust = graph_pes_training.train(frames, molecules(10, seed=5), weights, EPOCHS, seed=1)
    table = weights.table().sort_index()
    assert (table.times_seen == EPOCHS).all()
    assert np.flatnonzero(table.weight < 0.5).tolist() == list(WRONG)
    stock = graph_pes_training.train(frames, molecules(10, seed=5), None, EPOCHS, seed=1)
    assert not all(bool((a == b).all()) for a, b in zip(robust.parameters(), stock.parameters(), strict=True))
