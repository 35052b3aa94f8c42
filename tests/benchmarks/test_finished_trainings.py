"""benchmarks/finished_trainings.py: what an earlier checkout has measured counts until it is measured again."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas
import pytest
from scipy.integrate import trapezoid

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks", "benchmarks/ablation", "benchmarks/spice"):
    sys.path.insert(0, str(ROOT / folder))

import demo_arms  # noqa: E402
import finished_trainings  # noqa: E402
import measure  # noqa: E402
import spice_figures  # noqa: E402


def measured(runs, arm, seed, energy, **more):
    folder = runs / f"unconverged-0.3-seed-{seed}{more.get('round', '')}" / arm
    folder.mkdir(parents=True)
    row = {"arm": arm, "kind": "unconverged", "share": 0.3, "seed": seed, "energy": energy, "key": {"of": "it"}}
    (folder / "result.json").write_text(json.dumps(row | more))


@pytest.fixture
def committed(tmp_path):
    """A table of an earlier checkout: an oracle, two trainings, and a round of refinement."""
    rows = [
        ("oracle", 1, 5.0, None),
        ("weighted", 1, 10.0, None),
        ("default", 1, 7.0, None),
        ("published", 1, 9.5, None),
        ("refinement, round 1", 1, 9.0, 1),
    ]
    table = pandas.DataFrame(rows, columns=["arm", "seed", "energy", "round"])
    table = table.assign(kind="unconverged", share=0.3, commit="0123456", ratio=99.0)
    table.loc[table.arm == "default", "commit"] = "89abcde"
    table.to_csv(tmp_path / "trainings.csv", index=False)
    return tmp_path / "trainings.csv"


def test_a_training_here_replaces_the_committed_one_and_leaves_the_others(tmp_path, committed):
    runs = tmp_path / "runs"
    measured(runs, "default", 1, 6.0, commit="fedcba9")
    measured(runs, "weighted", 1, 8.0, round=1)
    measured(runs, "weighted", 2, 12.0)
    rows = finished_trainings.finished_trainings(runs, committed).set_index(["arm", "seed"])
    assert rows.energy.to_dict() == {
        ("oracle", 1): 5.0,
        ("weighted", 1): 10.0,
        ("weighted", 2): 12.0,
        ("default", 1): 6.0,
        ("published", 1): 9.5,
        ("refinement, round 1", 1): 8.0,
    }
    assert rows.commit["default", 1] == "fedcba9"
    assert rows.commit["oracle", 1] == "0123456"
    assert "key" not in rows
    ratios = finished_trainings.over_the_oracle(rows.reset_index(), None, {"energy": "ratio"}).set_index(
        ["arm", "seed"]
    )
    assert ratios.ratio["default", 1] == pytest.approx(1.2)  # not that of the table
    assert np.isnan(ratios.ratio["weighted", 2])  # no oracle of this seed


def test_nothing_but_the_table_or_no_table(tmp_path, committed):
    rows = finished_trainings.finished_trainings(tmp_path / "none", committed)
    assert len(rows) == 5
    measured(tmp_path / "runs", "default", 1, 6.0)
    assert len(finished_trainings.finished_trainings(tmp_path / "runs", tmp_path / "none.csv")) == 1


@pytest.mark.parametrize(
    ("arm", "seed", "as_arm", "is_there"),
    [
        ("default", 1, None, True),
        ("published", 1, None, False),  # by other code
        ("default", 2, None, False),
        ("universal", 1, None, False),
        ("weighted", 1, "refinement, round 1", True),
        ("weighted", 1, "refinement, round 2", False),
    ],
)
def test_what_of_a_table_holds(monkeypatch, committed, arm, seed, as_arm, is_there):
    """Stock trainings of any code, ours of the code that is here."""
    monkeypatch.setattr(finished_trainings, "gives_these_weights", lambda commit, arm: commit == "89abcde")
    training = SimpleNamespace(arm=arm, seed=seed, data=Path(f"data/unconverged-0.3-seed-{seed}"))
    assert finished_trainings.is_committed(training, committed, as_arm) == is_there
    assert not finished_trainings.is_committed(training, committed.with_name("none.csv"), as_arm)


class Wanted(NamedTuple):
    """A training, as far as it matters here."""

    share: float
    arm: str
    seed: int

    @property
    def data(self):
        return Path(f"unconverged-{self.share:g}-seed-{self.seed}")


def test_mini_spice_trains_what_the_table_lacks(monkeypatch, committed):
    spec = importlib.util.spec_from_file_location("spice_run", ROOT / "benchmarks" / "spice" / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    monkeypatch.setattr(finished_trainings, "gives_these_weights", lambda commit, arm: True)
    ran, refined = [], []
    for name, value in {
        "training": Wanted,
        "finished_result": lambda one: None,
        "STRETCHED": [],
        "OF_MAP": [],
        "run_all": lambda trainings, *rest: ran.extend((one.arm, one.seed) for one in trainings),
        "refine": lambda stock, *rest: refined.extend(one.seed for one in stock.values()),
    }.items():
        monkeypatch.setattr(run, name, value)
    monkeypatch.setattr(run.spice_results, "TRAININGS", committed)
    monkeypatch.setattr(run.spice_results, "main", lambda: None)

    def called(*arguments):
        ran.clear(), refined.clear()
        monkeypatch.setattr(sys, "argv", ["run.py", "--shares", "0.3", "--arms", "default", "weighted", *arguments])
        run.main()
        return list(ran), list(refined)

    assert called("--seeds", "1", "2") == ([("default", 2), ("weighted", 2)], [2])
    both = [(arm, seed) for seed in (1, 2) for arm in ("default", "weighted")]
    assert called("--seeds", "1", "2", "--again") == (both, [1, 2])
    # the second round needs the stock model, which was left in another checkout
    assert called("--seeds", "1", "--rounds", "2") == ([("weighted", 1)], [1])


# --- detection curves of mini-SPICE -----------------------------------------------------------------------------------


def test_detection_curves_of_what_is_here_else_those_that_are_committed(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    bad = rng.random(400) < 0.3
    weight = np.where(bad, rng.random(400) ** 2, rng.random(400) ** 0.1)
    wrongness = np.where(bad, rng.uniform(0, 100, 400), 0.0)
    monkeypatch.setattr(spice_figures, "how_wrong", lambda: wrongness)
    monkeypatch.setattr(spice_figures, "weights", lambda share, seed, arm: (weight, bad))
    monkeypatch.setattr(spice_figures, "WORK", tmp_path)
    rows = pandas.DataFrame([{"arm": "default", "share": share, "seed": 1} for share in (0.15, 0.3)])
    spice_figures.run_folder(0.3, 1, "default").mkdir(parents=True)
    earlier = {"arm": "default", "share": 0.15, "seeds": [1, 2]}
    committed = tmp_path / "detection.json"
    committed.write_text(json.dumps({"curves": [earlier, earlier | {"share": 0.3, "seeds": [1]}]}))
    kept, new = spice_figures.detection_curves(rows, committed)
    assert kept == earlier
    assert new["seeds"] == [1]
    false, true = new["right_labels_called_wrong"], new["wrong_labels_found"]
    assert (false[0], true[-1], false[-1]) == (0.0, 1.0, 1.0)
    area = trapezoid(true, false)
    ranks = (weight[~bad][:, None] > weight[bad][None]).mean()
    assert area == pytest.approx(ranks, abs=0.01)
    inside = bad & (wrongness >= 20) & (wrongness < 40)
    assert new["recall_by_label_error"][4] == pytest.approx((weight[inside] < 0.5).mean())


def test_a_training_is_of_the_commit_that_it_began_with(tmp_path, monkeypatch):
    """One that is made while it trains says nothing of it."""
    data = tmp_path / "unconverged-0.15-seed-1"
    data.mkdir()
    for name in ("train", "valid", "test"):
        (data / f"{name}.xyz").write_text("")
    training = demo_arms.Training("weighted", 1, 1, data, tmp_path / "run", "average")
    monkeypatch.setattr(demo_arms, "commit_of", lambda *paths: "then")
    monkeypatch.setattr(demo_arms, "launch", lambda command, log: None)
    demo_arms.start(training)
    monkeypatch.setattr(demo_arms, "commit_of", lambda *paths: "now")
    monkeypatch.setattr(measure, "read", lambda *which: [])
    monkeypatch.setattr(measure, "errors_on_test_set", lambda *which: {})
    assert measure.collect(training, 1.0)["commit"] == "then"
