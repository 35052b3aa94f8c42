"""benchmarks/one_code.py: which committed results are by other code than what is here."""

import json
import subprocess
import sys
from pathlib import Path

import pandas
import pytest

ROOT = Path(__file__).parents[2]
for folder in ("scripts", "benchmarks"):
    sys.path.insert(0, str(ROOT / folder))

import finished_trainings  # noqa: E402
import one_code  # noqa: E402
import source_commit  # noqa: E402


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Of two benchmarks; what is here is commit "new"."""
    for module in (one_code, finished_trainings):
        monkeypatch.setattr(module, "is_present", lambda commit, *paths: commit == "new")
    monkeypatch.setattr(one_code, "HERE", tmp_path)
    monkeypatch.setattr(one_code, "TRAININGS", ("real",))
    monkeypatch.setattr(one_code, "OTHERS", {"speed.json": (), "causes.csv": ("causes",)})
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
    with pytest.raises(SystemExit, match=r"True|1"):
        one_code.main()
    assert capsys.readouterr().out.splitlines() == [
        "real/trainings.csv: 2 of 3 trainings, of old, older",
        "speed.json: an unknown commit",
        "causes.csv: old",
    ]


def test_a_commit_is_present_while_what_it_had_is_not_changed(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    monkeypatch.setattr(source_commit, "REPOSITORY", tmp_path)
    source_commit.is_present.cache_clear()
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
        source_commit.is_present.cache_clear()
        weighing.write_text(text)
        assert source_commit.is_present(first, weighing) == present
    source_commit.is_present.cache_clear()
    weighing.write_text("w = 1")
    assert source_commit.is_present(first, weighing)
    (tmp_path / "new.py").write_text("")
    git("add", ".")
    source_commit.is_present.cache_clear()
    assert not source_commit.is_present(first, tmp_path)
