"""The commit that results name."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "scripts"))
import source_commit  # noqa: E402


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of two files, each with a commit of its own, and the function that runs git there."""
    monkeypatch.setattr(source_commit, "REPOSITORY", tmp_path)
    source_commit.git("init", "-q")
    for name in ("plugin", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_text(name)
        source_commit.git("add", name)
        source_commit.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", name)
    return tmp_path


def test_the_commit_is_that_of_the_paths_or_of_the_checkout(repository):
    newest, oldest = source_commit.git("log", "--format=%h").split()
    assert source_commit.commit_of() == newest == source_commit.commit_of(repository / "other")
    assert source_commit.commit_of(repository / "plugin") == oldest
    assert source_commit.commit_of(repository / "plugin", repository / "other") == newest


@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_changes_of_the_paths_are_said(repository, name):
    (repository / "plugin" / name).write_text("changed")
    assert source_commit.commit_of(repository / "plugin").endswith("-dirty")
    assert not source_commit.commit_of(repository / "other").endswith("-dirty")
    assert source_commit.commit_of().endswith("-dirty") == (name == "code.py")  # a new file elsewhere doesn't count


@pytest.mark.parametrize("git", [True, False])
def test_outside_of_git_there_is_none(tmp_path, monkeypatch, git):
    monkeypatch.setattr(source_commit, "REPOSITORY", tmp_path)
    if not git:
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError("git")))
    assert source_commit.commit_of() == source_commit.commit_of(tmp_path) == ""
