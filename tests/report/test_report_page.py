"""The page of a report: what it says, that no string in it acts, and that a browser asks for nothing."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from made_up_results import (
    made_up_about,
    made_up_sample,
    made_up_table,
    slab_among_clusters,
    write_hostile_run,
    write_run,
)
from page_reader import Reader

from mace_outlier.__main__ import main
from mace_outlier.report import text

BAD = list(range(0, 99, 3))  # 33 rows


def printed(capsys, *arguments: object) -> str:
    main(["report", *map(str, arguments)])
    return capsys.readouterr().out


def test_the_page_answers_the_questions(tmp_path, capsys):
    table = slab_among_clusters()
    table["source"] = "data/tr&in.xyz"
    run = write_run(tmp_path, table, sample=made_up_sample(table[table["n_atoms"] != 37], 30))
    out = printed(capsys, run, "--top", 5)
    assert out.rstrip().endswith(f"page: {tmp_path}/demo_run-1_outliers.html")
    read = Reader((tmp_path / "demo_run-1_outliers.html").read_text())
    for shown in (
        "60 of 2,000 configurations (3.0\u00a0%) look wrong", "Over-represented", "config_type slab", "false alarm",
        'ase.io.read("data/tr&in.xyz", ', "times the median", "base_loss", "mace-torch", "2.13.0", "/work/water",
        "H14O7", "18 atoms", "epoch 59",
    ):  # fmt: skip
        assert shown in read.text
    drawings = [address for address in read.addresses if address.startswith("data:image/")]
    assert len(drawings) == 4 + 5  # figures and structures


def test_files_are_named_within_the_folder_that_they_share(tmp_path, capsys):
    table = made_up_table(60, [0, 1, 40, 41])
    table["source"] = ["/data/water/a/train.xyz"] * 30 + ["/data/water/b/train.xyz"] * 30
    run = write_run(tmp_path, table, sample=made_up_sample(table, 10))
    out = printed(capsys, run)
    assert out.count(" a/train.xyz ") == out.count(" b/train.xyz ") == 2
    assert "files are in /data/water/" in out
    page = (tmp_path / "demo_run-1_outliers.html").read_text()
    assert page.count('<td class="file">a/train.xyz</td>') == page.count('<td class="file">b/train.xyz</td>') == 2
    assert "The files are in <code>/data/water/</code>" in page
    assert page.count("ase.io.read(&#34;/data/water/a/train.xyz&#34;, ") == 2  # to copy: in full


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["/a/b/x.xyz"], "/a/b/"),
        (["/a/b/x.xyz", "/a/c/x.xyz"], "/a/"),
        (["/a/bc/x.xyz", "/a/bd/x.xyz"], "/a/"),
        (["/a/x.xyz", "/b/x.xyz"], ""),
        (["a/x.xyz", "a/y.xyz"], ""),
        (["/a/x.xyz", "y.xyz"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_common_folder(paths, folder):
    assert text.common_folder(paths) == folder


def test_suspects_of_the_validation_set_are_marked(tmp_path, capsys):
    table = made_up_table(60, [0, 1, 40, 41])
    table.loc[30:, "split"], table.loc[30:, "source"] = "valid", "valid.xyz"
    run = write_run(tmp_path, table, sample=made_up_sample(table[:30], 10))
    out = printed(capsys, run)
    assert "2 of 30 training configurations (6.7 %) and 2 of 30 validation configurations (6.7 %) look wrong" in out
    splits = [line.split()[1:3] for line in out.splitlines() if line.startswith((" 1 ", " 2 ", " 3 ", " 4 "))]
    assert sorted(splits) == [["train", "train.xyz"]] * 2 + [["valid", "valid.xyz"]] * 2
    page = (tmp_path / "demo_run-1_outliers.html").read_text()
    assert page.count('<span class="badge">validation</span>') == 2
    assert page.count("no drawing: not in the sample") >= 2
    assert page.count("<td>valid</td>") == page.count("<td>train</td>") == 2
    assert page.count("<th>evaluated in epoch</th>") == page.count("<th>seen, last in epoch</th>") == 2
    assert "the 2 worst training suspects and 10 other training configurations at random" in page
    assert "Right: the latest weights, with those of the validation set; two separate" in page
    assert "Errors of all configurations at their last visit or the last validation" in page
    plain = printed(capsys, write_run(tmp_path, table[:30]))
    assert "validation" not in plain + (tmp_path / "demo_run-1_outliers.html").read_text()
    assert "split" not in plain


def test_hostile_strings_stay_text_on_the_page(tmp_path, capsys):
    hostile_run = write_hostile_run(tmp_path)
    printed(capsys, hostile_run)
    html = hostile_run.with_name("demo_run-1_outliers.html").read_text()
    read = Reader(html)
    assert not {"iframe", "object", "embed", "form", "base", "button"} & set(read.tags)
    data, script = read.scripts
    assert not {"<", ">", "&"} & set(data)  # nothing ends the block
    said = [text for *_, text in json.loads(data)["points"]]
    assert any("<script>alert(1)</script>" in text for text in said)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:;" in html
    assert all(address.startswith(("data:", "#")) for address in read.addresses)
    assert "<script>alert(1)</script>" in read.text
    assert "{{ 7 * 7 }}" in read.text
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_a_killed_run_has_a_page_without_history_and_sample(tmp_path, capsys):
    run = write_run(tmp_path, made_up_table(400, BAD), {})
    printed(capsys, run)
    read = Reader((tmp_path / "demo_run-1_outliers.html").read_text())
    for shown in ("33 of 400", "history was not recorded", "was not written", "not in the sample", "not recorded"):
        assert shown in read.text


def test_a_broken_sample_is_said_not_fatal(tmp_path, capsys):
    run = write_run(tmp_path, made_up_table(50, BAD[:5]))
    (tmp_path / "demo_run-1_outliers.xyz").write_text("not a number\n")
    printed(capsys, run)
    assert "can&#39;t be read" in (tmp_path / "demo_run-1_outliers.html").read_text()


@pytest.mark.parametrize("nothing", ["energy_error_per_atom", "force_rmse", "loss"])
def test_tiny_tables_without_labels_and_suspects_are_drawn(tmp_path, capsys, nothing):
    table = made_up_table(3)
    table["weight"], table["config_type"] = 0.97, ""
    table[nothing] = 0.0 if nothing == "loss" else np.nan
    out = printed(capsys, write_run(tmp_path, table, made_up_about(epochs=1), made_up_sample(table)))
    assert "None of 3 configurations looks wrong" in out
    assert ("(none)" in out) == (nothing != "loss")  # a group of what was judged
    assert ("3 configurations were not judged" in out) == (nothing == "loss")
    assert (tmp_path / "demo_run-1_outliers.html").exists()


def test_a_page_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    run = write_run(tmp_path, made_up_table(50, BAD[:5]))
    old = tmp_path / "demo_run-1_outliers.html"
    old.write_text("old")
    monkeypatch.setattr(Path, "write_text", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(SystemExit, match="disk full"):
        main(["report", str(run)])
    assert old.read_text() == "old"
    assert not list(tmp_path.glob(".*tmp*"))


def test_figures_are_written_for_a_paper(tmp_path, capsys):
    run = write_run(tmp_path, made_up_table(100, BAD[:9]))
    printed(capsys, run, "--no-page", "--figures", tmp_path / "figures", "--top", 1)
    names = {"loss_distribution", "weights", "residuals", "parity", "groups"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{n}.{k}" for n in names for k in ("png", "svg")
    }
    assert (tmp_path / "figures/parity.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "figures/parity.svg").read_text()


# --- the whole -------------------------------------------------------------------------------------------------------


def test_torch_and_mace_are_not_imported(tmp_path):
    write(tmp_path / "train.xyz", [Atoms("H", info={"bad": i < 3}) for i in range(6)])
    run = write_run(tmp_path, made_up_table(6, [0, 1]), made_up_about() | {"directory": str(tmp_path)})
    code = (
        "import sys; from mace_outlier.__main__ import main; main(sys.argv[1:]); "
        "print({'torch', 'mace', 'e3nn', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, "report", str(run), "--truth", "bad"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_the_page_is_written_when_nobody_reads_the_table_to_its_end(tmp_path):
    run = write_run(tmp_path, slab_among_clusters())
    command = f"{sys.executable} -m mace_outlier report {run} | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "demo_run-1_outliers.html").exists()


def test_chromium_shows_the_page_and_asks_for_nothing(tmp_path, capsys):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    hostile_run = write_hostile_run(tmp_path)
    printed(capsys, hostile_run)
    log, url = tmp_path / "net.json", hostile_run.with_name("demo_run-1_outliers.html").as_uri()
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--dump-dom"]
    done = subprocess.run([chromium, *flags, url], capture_output=True, text=True, timeout=900, check=True)
    assert "CONSOLE" not in done.stderr
    assert "evil.example" not in log.read_text()
    read = Reader(done.stdout)  # the document as the browser made it
    assert read.tags.count("script") == 2  # data, and the script of the page, which made these:
    assert {"input", "select", "button", "svg"} <= set(read.tags)
    assert not {"iframe", "object", "embed", "form", "base"} & set(read.tags)
    assert all(address.startswith(("data:", "#")) for address in read.addresses)
    assert "13 of 40 training configurations" in read.text
