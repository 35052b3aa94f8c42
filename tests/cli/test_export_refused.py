"""`mace_outlier export` refuses what would lose data or doesn't fit, and then writes nothing."""

import re
from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from frames import row, run_export, save
from structures import molecules

from mace_outlier.cli import export, exported
from mace_outlier.results.reading import read_results


@pytest.fixture
def trained(tmp_path, monkeypatch) -> Path:
    """A folder with the results of a training on train.xyz (4 frames), where the command is run."""
    monkeypatch.chdir(tmp_path)
    frames = molecules(4)
    ase.io.write(tmp_path / "train.xyz", frames)
    save(tmp_path, [row("train.xyz", i, atoms) for i, atoms in enumerate(frames)])
    ase.io.write(tmp_path / "demo_run-1_outliers.xyz", frames)
    return tmp_path


def change(path: Path, frames: list[Atoms]) -> None:
    path.unlink()
    if frames:
        ase.io.write(path, frames)


REFUSED = {
    "exists": (lambda path: (path / "s.xyz").touch(), [], "--suspects s.xyz exists: .*--force"),
    "trusted exists": (lambda path: (path / "t.xyz").touch(), [], "--trusted t.xyz exists"),
    "one file": (None, ["--trusted", "../{folder}/s.xyz"], "same file"),
    "format": (None, ["--suspects", "s.db"], "--suspects s.db: only extended XYZ is written; name it s.xyz"),
    "folder": (lambda path: (path / "d.xyz").mkdir(), ["--suspects", "d.xyz", "--force"], "is a folder"),
    "this folder": (None, ["--trusted", "."], "--trusted . is a folder: name a file"),
    "folder without suffix": (lambda path: (path / "d").mkdir(), ["--trusted", "d"], "--trusted d is a folder"),
    "source": (None, ["--trusted", "train.xyz", "--force"], "train.xyz is a file of the training"),
    "link": (
        lambda path: (path / "t.xyz").hardlink_to(path / "train.xyz"), ["--force"], "t.xyz is a file of the training"
    ),
    "sample": (None, ["--suspects", "demo_run-1_outliers.xyz", "--force"], "is a file of the training"),
    "weight": (None, ["--below", "1.5"], "--below: '1.5' is not a weight between 0 and 1"),
    "no weight": (None, ["--below", "nan"], "--below: 'nan' is not a weight"),
    "head": (None, ["--head", "dft"], "--head dft: the training had Default"),
    "no source": (lambda path: change(path / "train.xyz", []), [], "there is no training file train.xyz in"),
    "few frames": (
        lambda path: change(path / "train.xyz", molecules(2)), [],
        "train.xyz has 2 frames, but the training used frame 2",
    ),
    "other frames": (
        lambda path: change(path / "train.xyz", molecules(5)[1:]), [],
        "train.xyz: frame 0 is H2O, but was H6O in the training",
    ),
    "no results": (lambda path: (path / "demo_run-1_outliers.json").unlink(), [], "no .*_outliers.json"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_nothing_is_written(trained, capsys, case):
    spoil, flags, message = REFUSED[case]
    if spoil:
        spoil(trained)
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    flags = [flag.format(folder=trained.name) for flag in flags]
    with pytest.raises(SystemExit) as refused:
        run_export(".", "--suspects", "s.xyz", "--trusted", "t.xyz", *flags)
    output = f"{refused.value} {capsys.readouterr().err}"
    assert re.search(f"mace_outlier export: error: .*{message}", output), output
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_existing_files_are_refused_before_anything_is_read(trained, monkeypatch):
    (trained / "t.xyz").touch()
    monkeypatch.setattr(export, "read_results", lambda run: pytest.fail("read"))
    with pytest.raises(SystemExit, match=r"--trusted t\.xyz exists"):
        run_export(".", "--suspects", "s.xyz", "--trusted", "t.xyz")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_export_leaves_what_was_there(trained, monkeypatch, error):
    (trained / "s.xyz").write_text("old")
    write_frame, written = exported.write_frame, []

    def interrupted(file, atoms):
        written.append(atoms)
        if len(written) == 3:
            raise error("stop")
        return write_frame(file, atoms)

    monkeypatch.setattr(exported, "write_frame", interrupted)
    before = sorted(trained.iterdir())
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run_export(".", "--suspects", "s.xyz", "--trusted", "t.xyz", "--force")
    assert (trained / "s.xyz").read_text() == "old"
    assert sorted(trained.iterdir()) == before


def test_force_replaces_both_files(trained):
    for name in ("s.xyz", "t.xyz"):
        (trained / name).write_text("old")
    run_export(".", "--suspects", "s.xyz", "--trusted", "t.xyz", "--force")
    written = ase.io.read("s.xyz", ":") + ase.io.read("t.xyz", ":")
    assert len(written) == len(read_results(trained).table)
