import json
import re
import shlex
from pathlib import Path

import pytest
from ase.io import write
from conftest import within
from made_up_checks import check, series
from structures import molecules, spoil

PAGE = Path(__file__).parents[2] / "docs" / "pages" / "checks.md"


@pytest.fixture
def folder(tmp_path):
    train = series(12) + molecules(20)
    train[6].info["REF_energy"] += 3.0
    write(tmp_path / "train.xyz", train)
    write(tmp_path / "valid.xyz", molecules(6, seed=1))
    return tmp_path


def test_what_is_certainly_wrong_is_told_and_makes_the_exit_code_1(folder, capsys):
    assert check(folder / "train.xyz", "--json", folder / "f.json") == 1
    shown = capsys.readouterr().out
    assert "1 certainly wrong" in shown
    assert "train.xyz: frame 6 (1)" in shown
    content = json.loads((folder / "f.json").read_text())
    (finding,) = content["findings"]
    assert (finding["check"], finding["certainty"]) == ("work", "certain")
    assert finding["frames"] == {str(folder / "train.xyz"): [6]}
    assert content["files"][0]["frames"] == 32


def test_nothing_found(folder, capsys):
    assert check(folder / "valid.xyz") == 0
    assert "nothing found" in capsys.readouterr().out


def test_an_empty_file_and_nothing_else(folder, capsys):
    (folder / "empty.xyz").write_text("")
    assert check(folder / "empty.xyz") == 1
    assert "the file holds no frame" in capsys.readouterr().out


def test_only_and_skip(folder, capsys):
    assert check(folder / "train.xyz", "--skip", "work") == 0
    assert check(folder / "train.xyz", "--only", "labels", "geometry") == 0
    assert "Checks: labels, geometry." in capsys.readouterr().out


def test_the_options_of_a_training(folder, capsys):
    (folder / "train.yaml").write_text(
        "name: water\ntrain_file: train.xyz\nvalid_file: train.xyz\nE0s: '{1: -1.0}'\nmodel: MACE\n"
    )
    with within(folder):
        assert check("--config", "train.yaml", "--only", "settings") == 1
        shown = capsys.readouterr().out
        assert "no E0 of O, Cu" in shown
        assert "one file is --train_file and --valid_file" in shown
        assert (
            check("--config", "train.yaml", "--valid_file", "valid.xyz", "--E0s", "average", "--only", "settings") == 0
        )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["nothing.xyz"], "no training file nothing.xyz"),
        ([], "nothing to check"),
        (["train.xyz", "--only", "wrk"], "no check wrk: there are labels"),
        (["train.xyz", "--workers", "0"], "--workers 0"),
        (["--config", "nothing.yaml"], "nothing.yaml"),
        (["broken.xyz"], "frame 0"),
    ],
)
def test_what_is_refused(folder, capsys, arguments, match):
    (folder / "broken.xyz").write_text("three\n")
    with within(folder):
        assert check(*arguments) == 2
    assert match in capsys.readouterr().err


def test_names_out_of_a_file_do_not_reach_the_terminal(tmp_path, capsys):
    frames = molecules(20)
    for atoms in frames:
        atoms.info["config_type"] = "\x1b[31mred"
    spoil(frames, [3], energy=-900.0)
    write(tmp_path / "a.xyz", frames)
    check(tmp_path / "a.xyz")
    assert "\x1b" not in capsys.readouterr().out


def test_commands_of_the_page_as_they_stand_there(folder, capsys):
    (folder / "water.yaml").write_text("train_file: train.xyz\nvalid_file: valid.xyz\nE0s: average\n")
    commands = re.findall(r"^mace_outlier (check\b.*?)(?: +#.*)?$", PAGE.read_text(), flags=re.M)
    assert len(commands) >= 4
    with within(folder):
        for command in commands:
            assert check(*shlex.split(command)[1:]) in (0, 1), command
    assert "labels" in capsys.readouterr().out
