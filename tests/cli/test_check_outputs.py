"""Where `mace_outlier check` writes: nothing that is read is replaced, and nothing but files."""

import json
import os
import threading

import pytest
from ase.io import write
from made_up_checks import check
from structures import molecules

from mace_outlier.files import replacing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write(tmp_path / "train.xyz", molecules(6))
    write(tmp_path / "page.html", molecules(6), format="extxyz")
    (tmp_path / "link.xyz").symlink_to("train.xyz")
    (tmp_path / "E0s.json").write_text('{"1": -1.0, "8": -2.0}')
    (tmp_path / "w.yaml").write_text("train_file: train.xyz\nE0s: E0s.json\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["train.xyz", "--json", "train.xyz"], "--json train.xyz is a file that is checked"),
        (["train.xyz", "--json", "link.xyz"], "--json link.xyz is a file that is checked"),
        (["link.xyz", "--json", "./train.xyz"], "--json train.xyz is a file that is checked"),
        (["train.xyz", "page.html", "--html", "page.html"], "--html page.html is a file that is checked"),
        (["--config", "w.yaml", "--json", "train.xyz"], "--json train.xyz is a file that is checked"),
        (["--config", "w.yaml", "--json", "w.yaml"], "--json w.yaml is a file that is checked"),
        (["--config", "w.yaml", "--json", "E0s.json"], "--json E0s.json is a file that is checked"),
        (["train.xyz", "--json", "a.html", "--html", "a.html"], "--json and --html are the same file"),
        (["train.xyz", "--json", "."], "--json . is a folder"),
    ],
)
def test_what_is_read_is_never_replaced(folder, capsys, monkeypatch, arguments, match):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("mace_outlier.checks.survey_files.survey", None)  # it is refused before that
    assert check(*arguments) == 2
    assert match in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_link_stays_one_and_its_target_is_replaced(folder):
    (folder / "results").mkdir()
    (folder / "results" / "f.json").write_text("old")
    (folder / "f.json").symlink_to("results/f.json")
    assert check("train.xyz", "--json", "f.json") == 0
    assert (folder / "f.json").is_symlink()
    assert json.loads((folder / "results" / "f.json").read_text())["files"][0]["frames"] == 6
    assert [path.name for path in (folder / "results").iterdir()] == ["f.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_a_pipe_is_written_to(folder):
    os.mkfifo(folder / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((folder / "pipe").read_text()), daemon=True)
    reader.start()
    with replacing(folder / "pipe") as itself:
        itself.write_text("all of it")
    reader.join(timeout=10)
    assert read == ["all of it"]
    assert (folder / "pipe").is_fifo()
