"""Files that others made: nothing in them is run, is more than text to a terminal or a spreadsheet, or names a path."""

import csv
import json
import re

import ase.io
import numpy as np
import pytest
import torch
from frames import row, run_export, save
from structures import molecules

from mace_outlier.__main__ import main
from mace_outlier.data.provenance import Part, Provenance
from mace_outlier.results.reading import read_results

FORMULAS = ("=1+1", "+1", "-2", "@cmd", "\tx", "\rx", "\nx", "'quoted", "a=b", "", '=HYPERLINK("http://x";"y")')
RED = "\x1b[31mred\u202e"
UNSEEN = re.compile(r"[^\n\x20-\x7e…]")


def test_a_text_is_no_formula_for_a_spreadsheet_and_comes_back_as_it_was(tmp_path):
    rows = [row(text or "x", i, config_type=text, zscore=-1.5) for i, text in enumerate(FORMULAS)]
    prefix = save(tmp_path, rows)
    with (tmp_path / "demo_run-1_outliers.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    for cell in cells:
        for name in ("source", "config_type"):
            assert not cell[name].startswith(tuple("=+-@\t\r\n"))
        assert cell["zscore"] == "-1.5"  # numbers stay numbers
    table = read_results(prefix).table
    assert table["config_type"].tolist() == list(FORMULAS)
    assert table["source"].tolist() == [text or "x" for text in FORMULAS]
    assert (table["zscore"] == -1.5).all()


def test_errors_and_notes_show_what_cannot_be_seen(tmp_path, capsys):
    frames = molecules(2)
    frames[0].info[RED] = None
    frames[0].info["sp ace\x1b"] = 1
    ase.io.write(tmp_path / "train.traj", frames)
    prefix = save(tmp_path, [row(tmp_path / "train.traj", i, head=f"a{RED}\nb") for i in range(2)])
    with pytest.raises(SystemExit) as error:
        run_export(prefix, "--suspects", tmp_path / "s.xyz", "--trusted", tmp_path / "t.xyz", "--head", "none")
    assert not UNSEEN.search(str(error.value).rstrip("\n"))
    assert len(str(error.value).splitlines()) == 1
    run_export(prefix, "--suspects", tmp_path / "s.xyz", "--trusted", tmp_path / "t.xyz")
    assert not UNSEEN.search(capsys.readouterr().out)
    (tmp_path / "odd.xyz").write_text(f"{RED}\n\nH 0 0 0\n", encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        main(["check", str(tmp_path / "odd.xyz"), "--workers=1"])
    assert error.value.code == 2
    said = capsys.readouterr().err
    assert "odd.xyz" in said
    assert not UNSEEN.search(said)


def test_the_log_names_files_by_what_can_be_seen():
    rows = Provenance(["Default"], [[Part(f"{RED}.xyz", np.arange(1))]])
    assert rows.name(0) == "\\x1b[31mred\\u202e.xyz frame 0"


def test_names_out_of_the_data_are_no_paths(tmp_path, capsys):
    """Heads and config_types as in a folder above, or anywhere."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    ase.io.write(folder / "train.xyz", molecules(4))
    names = ("../../up", "/tmp/mace_outlier_evil", "..\\up", "C:evil")
    rows = [row(folder / "train.xyz", i, head=names[i], config_type=names[-i - 1]) for i in range(4)]
    prefix = save(folder, rows)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    main(["report", str(prefix), "--figures", str(folder / "figures")])
    run_export(prefix, "--suspects", folder / "s.xyz", "--trusted", folder / "t.xyz")
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    asked = {folder / name for name in ("s.xyz", "t.xyz", "demo_run-1_outliers.html")}
    assert {path for path in written if path.parent != folder / "figures"} == asked
    assert all(re.fullmatch(r"[a-z_]+\.(png|svg)", path.name) for path in written - asked)


@pytest.mark.parametrize("broken", ["[" * 5000, "{'a': __import__('os')}", "{"])
def test_options_in_results_are_read_not_run(tmp_path, broken):
    ase.io.write(tmp_path / "train.xyz", molecules(1))
    prefix = save(tmp_path, [row(tmp_path / "train.xyz", 0, cause="")], arguments={"heads": broken})
    outputs = ["--suspects", tmp_path / "s.xyz", "--trusted", tmp_path / "t.xyz", "--repaired", tmp_path / "r.xyz"]
    with pytest.raises(SystemExit, match="heads: can't be read"):
        run_export(prefix, *outputs)


def test_a_sample_that_someone_edited_is_said_not_fatal(tmp_path, capsys):
    ase.io.write(tmp_path / "train.xyz", molecules(3))
    prefix = save(tmp_path, [row(tmp_path / "train.xyz", i) for i in range(3)])
    frames = molecules(1)
    frames[0].info["row"] = "none"
    ase.io.write(tmp_path / "demo_run-1_outliers.xyz", frames, format="extxyz")
    main(["report", str(prefix)])
    page = (tmp_path / "demo_run-1_outliers.html").read_text(encoding="utf-8")
    assert "demo_run-1_outliers.xyz can&#39;t be read" in page


def test_audit_says_what_loading_a_model_means_and_runs_no_code_of_other_files(tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit):
        main(["audit", "--help"])
    assert "can run any code" in capsys.readouterr().out
    ase.io.write(tmp_path / "data.xyz", molecules(1))
    checkpoint = {"model": {"weight": torch.zeros(3)}, "epochs": 3, "mace_outlier": {"options": {"alpha": 0.9}}}
    torch.save(checkpoint, tmp_path / "run.pt")
    loaded, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: loaded.append(k["weights_only"]) or load(*a, **k))
    with pytest.raises(
        SystemExit, match=r"run\.pt holds numbers and no model, as a checkpoint does: give <name>\.model"
    ):
        main(["audit", "--model", str(tmp_path / "run.pt"), "--data", str(tmp_path / "data.xyz"), "--device=cpu"])
    assert loaded == [True]


def test_results_are_json_without_markup_for_scripts(tmp_path, capsys):
    text = "</script><!--\u2028"
    ase.io.write(tmp_path / "train.xyz", molecules(3))
    prefix = save(tmp_path, [row(tmp_path / "train.xyz", i, config_type=text, force_rmse=0.1) for i in range(3)])
    main(["report", str(prefix)])
    page = (tmp_path / "demo_run-1_outliers.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert any("</script><!--" in point[-1] for point in json.loads(data)["points"])
    assert not {"<", ">", "&", "\u2028"} & set(data)
