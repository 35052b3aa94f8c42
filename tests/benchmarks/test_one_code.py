"""benchmarks/one_code.py: which committed results are by other code than what is here."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks"):
    sys.path.insert(0, str(ROOT / folder))

import finished_trainings  # noqa: E402
import one_code  # noqa: E402
import same_weights  # noqa: E402
import source_commit  # noqa: E402


def is_new(commit, arm=""):
    return commit == "new"


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Of two benchmarks; what is here is commit "new"."""
    monkeypatch.setattr(finished_trainings, "gives_these_weights", is_new)
    monkeypatch.setattr(one_code, "HERE", tmp_path)
    monkeypatch.setattr(one_code, "TRAININGS", ("real/trainings.csv",))
    monkeypatch.setattr(one_code, "OTHERS", {"speed.json": (is_new,), "causes.csv": (is_new, bool)})
    (tmp_path / "real").mkdir()
    rows = [("weighted", "old"), ("oracle, batch 32", "old"), ("refinement, round 1", "old"), ("ema_robust", "new")]
    write(tmp_path / "real" / "trainings.csv", rows)
    write(tmp_path / "causes.csv", [("", "new")])
    (tmp_path / "speed.json").write_text(json.dumps({"commit": "new"}))
    return tmp_path


def write(file, rows):
    pandas.DataFrame(rows, columns=["arm", "commit"]).to_csv(file, index=False)


def test_what_is_by_the_present_code_or_by_none_of_ours_holds(results, capsys):
    with pytest.raises(SystemExit, match=r"False|0"):
        one_code.main()
    assert capsys.readouterr().out == "All results are by the code that is here.\n"


def test_what_is_by_other_code_is_named(results, capsys):
    write(results / "real" / "trainings.csv", [("weighted", "old"), ("published", "old"), ("ema_robust", "older")])
    write(results / "causes.csv", [("", "new"), ("", "old")])
    (results / "speed.json").write_text("{}")
    rows = [{"commit": "new"}, {"commit": "old"}, {}]
    for name, content in (("rows", {"rows": rows}), ("list", rows), ("files", {"commits": {"a": "old", "b": "new"}})):
        one_code.OTHERS[f"{name}.json"] = (is_new,)
        (results / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r"True|1"):
        one_code.main()
    assert capsys.readouterr().out.splitlines() == [
        "real/trainings.csv: 2 of 3 trainings, of old, older",
        "speed.json: an unknown commit",
        "causes.csv: old",
        "rows.json: an unknown commit, old",
        "list.json: an unknown commit, old",
        "files.json: old",
    ]


def test_a_training_that_was_trained_twice_and_one_that_was_simulated_count_as_well(results, capsys, monkeypatch):
    twice = pandas.DataFrame({"arm": ["weighted", "ema_robust"], "commit": "new", "commit_again": "old"})
    twice.to_csv(results / "twice.csv", index=False)
    models = [{"arm": "weighted", "commit": "old"}, {"arm": "default", "commit": "older"}]
    (results / "liquid.json").write_text(json.dumps({"models": models}))
    monkeypatch.setattr(one_code, "TRAININGS", ("twice.csv", "liquid.json"))
    with pytest.raises(SystemExit, match=r"True|1"):
        one_code.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["twice.csv: 1 of 4 trainings, of old", "liquid.json: 1 of 2 trainings, of older"]


def test_no_file_of_results_is_left_out():
    """A new benchmark has to say which code its results depend on."""
    here = ROOT / "benchmarks"
    found = {path.relative_to(here).as_posix() for kind in ("json", "csv", "npz") for path in here.rglob(f"*.{kind}")}
    judged = {*one_code.TRAININGS, *one_code.OTHERS}
    assert found == judged | set(one_code.UNJUDGED)
    assert not judged & set(one_code.UNJUDGED)


def test_a_commit_is_present_while_what_it_had_is_not_changed(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    monkeypatch.setattr(source_commit, "REPOSITORY", tmp_path)
    source_commit.do_the_same.cache_clear()
    git("init", "-q")
    weighing, words = tmp_path / "weighing.py", tmp_path / "words.py"
    weighing.write_text("w = 1"), words.write_text("say = 'one'")
    git("add", "."), git("commit", "-qm", "first")
    first = source_commit.git("rev-parse", "--short", "HEAD")
    words.write_text("say = 'two'")
    git("commit", "-qam", "words")
    assert source_commit.is_present(first, weighing)
    assert not source_commit.is_present(first, words)
    assert not source_commit.is_present(f"{first}-dirty", weighing)
    for present, text in [
        (True, '"""What it is."""\n\nw = (1)  # always\n'),
        (False, "w = 2"),
        (False, "w = 1\n'a text that is no docstring'"),
    ]:
        source_commit.do_the_same.cache_clear()
        weighing.write_text(text)
        assert source_commit.is_present(first, weighing) == present
    source_commit.do_the_same.cache_clear()
    weighing.write_text("w = 1")
    assert source_commit.is_present(first, weighing)
    (tmp_path / "new.py").write_text("")
    git("add", ".")
    source_commit.do_the_same.cache_clear()
    assert not source_commit.is_present(first, tmp_path)


# --- trainings by other code, which weighs as that here does ---------------------------------------------------------


def finished(folder, weight=0.25, parameter=1.0):
    """A training as MACE and this plugin leave it, by a commit "before"."""
    (folder / "results").mkdir(parents=True), (folder / "weights").mkdir()
    table = pandas.DataFrame({"source": [str(folder)], "head": ["Default"], "weight": [weight]})
    table.to_csv(folder / "results" / "run_outliers.csv", index=False)
    np.savez(folder / "weights" / "epoch-000.npz", train_weight=np.array([weight], dtype=np.float32))
    model = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, parameter), torch.nn.init.constant_(model.bias, parameter)
    torch.save(model, folder / "run.model")
    (folder / "result.json").write_text(json.dumps({"commit": "before", "arm": "published, clean validation"}))
    (folder / "key.json").write_text(json.dumps({"command": [f"{folder}"]}))
    return folder


@pytest.mark.parametrize(
    ("other", "differ"),
    [
        ({}, []),
        ({"weight": 0.25000001}, ["results/run_outliers.csv"]),
        ({"weight": 0.26}, ["results/run_outliers.csv", "weights/epoch-000.npz"]),
        ({"parameter": 1.0000001}, ["run.model"]),
    ],
)
def test_trainings_are_compared_to_the_last_bit(tmp_path, other, differ):
    found, numbers = same_weights.differences(finished(tmp_path / "one"), finished(tmp_path / "two", **other))
    assert found == differ
    assert numbers == {"table": 2, "epochs": 1, "model": 2}


def test_a_column_that_is_new_makes_no_difference_and_one_that_is_missing_does(tmp_path):
    one, other = finished(tmp_path / "one"), finished(tmp_path / "other")
    table = pandas.read_csv(other / "results" / "run_outliers.csv").assign(suspect_since=-1)
    table.to_csv(other / "results" / "run_outliers.csv", index=False)
    assert same_weights.differences(one, other)[0] == []
    assert same_weights.differences(other, one)[0] == ["results/run_outliers.csv"]


def test_what_is_said_of_causes_is_no_weight(tmp_path):
    folders = finished(tmp_path / "one"), finished(tmp_path / "other")
    for folder, cause in zip(folders, ("forces of the wrong sign", ""), strict=True):
        path = folder / "results" / "run_outliers.csv"
        pandas.read_csv(path).assign(cause=cause, cause_certainty=0.9, cause_value=1.0).to_csv(path, index=False)
    assert same_weights.differences(*folders)[0] == []


def test_a_training_that_left_nothing_is_not_the_same(tmp_path):
    (tmp_path / "one").mkdir()
    found, _ = same_weights.differences(tmp_path / "one", tmp_path / "one")
    assert found == ["table", "model"]


@pytest.mark.parametrize("other", [{}, {"weight": 0.26}], ids=["the same", "another one"])
def test_commits_of_the_same_weights_hold_as_the_present_one(tmp_path, monkeypatch, other):
    """Those whose code does what that did which was compared with code that does what is done here."""
    noted = tmp_path / "same_weights.json"
    monkeypatch.setattr(source_commit, "SAME_WEIGHTS", noted)
    monkeypatch.setattr(source_commit, "do_the_same", lambda paths, one, two: {one, two or "now"} in SAME)
    monkeypatch.setattr(same_weights, "commit_of", lambda: "after")
    monkeypatch.setattr(same_weights, "repeated", lambda run, folder: finished(folder / "again", **other))
    run = finished(tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["same_weights.py", str(run), "--out", str(noted)])
    assert [source_commit.gives_these_weights(commit) for commit in ("after", "before", "earlier")] == [
        True,
        False,
        False,
    ]
    if other:
        with pytest.raises(SystemExit, match="doesn't come to the weights of before"):
            same_weights.main()
        assert not noted.exists()
        return
    same_weights.main()
    for commit, holds in [("after", True), ("before", True), ("earlier", True), ("oldest", False)]:
        assert source_commit.gives_these_weights(commit) == holds, commit
    assert not source_commit.is_present("before")


def test_what_is_known_of_code_holds_for_what_was_the_same_before_it(tmp_path, monkeypatch):
    noted = tmp_path / "same_weights.json"
    steps = [("oldest", "older"), ("older", "before"), ("before", "after"), ("before", "oldest"), ("lost", "gone")]
    noted.write_text(json.dumps([{"before": before, "after": after} for before, after in steps]))
    monkeypatch.setattr(source_commit, "SAME_WEIGHTS", noted)
    same = [*SAME, {"oldest"}, {"older"}, {"lost"}]
    monkeypatch.setattr(source_commit, "do_the_same", lambda paths, one, two: {one, two or "now"} in same)
    for commit, holds in [("oldest", True), ("older", True), ("earlier", True), ("lost", False), ("gone", False)]:
        assert source_commit.gives_these_weights(commit) == holds, commit


def test_what_is_the_same_in_one_arm_says_nothing_of_others(tmp_path, monkeypatch):
    """As where the judgement is not that of before, and the published scheme is."""
    noted = tmp_path / "same_weights.json"
    monkeypatch.setattr(source_commit, "SAME_WEIGHTS", noted)
    monkeypatch.setattr(source_commit, "do_the_same", lambda paths, one, two: {one, two or "now"} in SAME)
    monkeypatch.setattr(same_weights, "commit_of", lambda: "after")
    monkeypatch.setattr(same_weights, "repeated", lambda run, folder: finished(folder / "again"))
    run = str(finished(tmp_path / "run"))
    monkeypatch.setattr(sys, "argv", ["same_weights.py", run, "--arm=default", "--out", str(noted)])
    with pytest.raises(SystemExit):
        same_weights.main()
    monkeypatch.setattr(sys, "argv", ["same_weights.py", run, "--arm=published", "--out", str(noted)])
    same_weights.main()
    arms = ["published", "published, clean validation", "default", "default", "weighted"]
    rows = pandas.DataFrame({"arm": arms, "commit": ["before", "earlier", "before", "now", "before"]})
    assert finished_trainings.holding(rows).tolist() == [True, True, False, False, True]
    rows.loc[3, "commit"] = "after"
    assert finished_trainings.holding(rows)[3]


SAME = [{"after", "now"}, {"before"}, {"before", "earlier"}]


def test_a_training_that_was_made_in_another_folder_is_not_repeated_over_it(tmp_path):
    (tmp_path / "key.json").write_text('{"command": ["mace_run_train", "--work_dir=/elsewhere/run"]}')
    with pytest.raises(SystemExit, match="was trained in another folder"):
        same_weights.repeated(tmp_path, tmp_path)
