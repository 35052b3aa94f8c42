"""benchmarks/real: what a training saw is judged again as it was judged then."""

import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_seen import remembered

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks", "benchmarks/real"):
    sys.path.insert(0, str(ROOT / folder))

import observed_training  # noqa: E402
import real_replays  # noqa: E402

from mace_outlier.method.judge import HeadJudge  # noqa: E402
from mace_outlier.method.settings import Settings  # noqa: E402

SIZE = 200
WRONG = np.arange(SIZE) % 10 == 0


@pytest.fixture
def judged(tmp_path):
    """The folder of a replay, and how many were found and lost in each of its epochs."""
    folder, rng, judge, known = tmp_path / "made-up-1", np.random.default_rng(0), HeadJudge(Settings()), []
    (folder / "seen").mkdir(parents=True)
    np.savez(folder / "truth.npz", wrong=WRONG.astype(int))
    for epoch in range(4):
        errors = rng.normal(0, 0.002, SIZE) + np.where(WRONG, 0.1, 0.0)  # eV/atom
        seen = remembered(SIZE, {"energy": errors})
        flat = observed_training.flat(seen.seen)
        np.savez(folder / "seen" / f"epoch-{epoch:03d}.npz", rows=seen.rows, size=SIZE, **flat)
        rows, verdict = judge.refit(seen.rows, seen.seen, SIZE)
        below = np.zeros(SIZE, dtype=bool)
        below[rows] = verdict.weight < 0.5
        known.append((judge.some_are_wrong, int((below & WRONG).sum()), int((below & ~WRONG).sum())))
    return folder, known


def test_a_replay_judges_as_the_training_did(judged):
    folder, known = judged
    replayed = list(real_replays.replay(folder, Settings()))
    assert [(one["acts"], one["found"], one["false"]) for one in replayed] == known
    assert known[-1] == (True, 20, 0)
    assert replayed[-1]["auroc"] == replayed[-1]["auroc_held_back"] == 1.0
    line = real_replays.summary(folder, Settings())
    assert (line["replay"], line["epochs"], line["found"], line["wrong"]) == ("made-up-1", 4, 20, 20)
