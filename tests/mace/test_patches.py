"""patches/: MACE with a seam for plugins trains the same numbers, and is the same MACE when it is taken away."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import mace
import pytest
import torch
import warm_python
from conftest import command_line, load_checkpoint

ROOT = Path(__file__).parents[2]
VERSIONS = [path.stem.removeprefix("mace-torch-") for path in sorted((ROOT / "patches").glob("*.patch"))]
JUDGED = "Validation: ema_robust loss="
NEW = {"mace/plugins.py", "tests/test_plugins.py"}
SAFELY = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12 has Python 3.11.2, which hasn't it
ROBUST = ("--loss=ema_robust", "--max_num_epochs=4", "--swa", "--start_swa=2", "--ema_robust_threshold=1")


def apply_patch(*arguments):
    command = [sys.executable, ROOT / "scripts" / "apply_patch.py", *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)


def python(code, package, **more):
    """Run it with that MACE."""
    return warm_python.run("-c", code, env={"PYTHONPATH": str(package.parent), **more})


def content(folder):
    ignored = ("__pycache__", ".pytest_cache")
    files = (path for path in folder.rglob("*") if path.is_file() and not set(ignored) & set(path.parts))
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode) for path in files}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """The sources of every version that there is a patch for, as PyPI has them."""
    folder = tmp_path_factory.mktemp("sources")
    for version in VERSIONS:
        command = ["pip", "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--quiet"]
        subprocess.run(
            [sys.executable, "-m", *command, f"mace-torch=={version}", "-d", folder], check=True, timeout=900
        )
        with tarfile.open(folder / f"mace_torch-{version}.tar.gz") as archive:
            archive.extractall(folder, **SAFELY)
    return {version: folder / f"mace_torch-{version}" for version in VERSIONS}


@pytest.fixture
def checkout(sources, tmp_path):
    """Return a function that copies the sources of a version."""

    def copied(version, name="checkout"):
        return Path(shutil.copytree(sources[version], tmp_path / name))

    return copied


def test_there_is_a_patch_for_every_version_that_is_supported():
    assert VERSIONS == ["0.3.13", "0.3.14", "0.3.15", "0.3.16"]
    assert mace.__version__ in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_patch_applies_is_refused_twice_and_reverses_to_the_same_files(version, checkout):
    folder = checkout(version)
    before = content(folder)
    assert apply_patch("--mace", folder, "--check").returncode == 0
    assert content(folder) == before
    done = apply_patch("--mace", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"mace-torch-{version}.patch applied: 14 files in ")
    after = content(folder)
    assert set(after) - set(before) == NEW
    assert {name for name in before if before[name] != after[name]} >= {"mace/modules/loss.py", "README.md"}
    twice = apply_patch("--mace", folder)
    assert twice.returncode == 1
    assert "has this patch: nothing to do" in twice.stderr
    assert content(folder) == after
    assert apply_patch("--mace", folder / "mace", "--reverse").returncode == 0
    assert content(folder) == before
    assert "does not have this patch" in apply_patch("--mace", folder, "--reverse").stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_the_patch_is_what_make_patch_makes(version, sources, tmp_path):
    archive = sources[version].parent / f"mace_torch-{version}.tar.gz"
    command = [sys.executable, ROOT / "patches" / "make_patch.py", archive, "--out", tmp_path]
    subprocess.run([str(part) for part in command], check=True)
    name = f"mace-torch-{version}.patch"
    assert (tmp_path / name).read_text() == (ROOT / "patches" / name).read_text()


def test_all_patches_add_and_remove_the_same_lines():
    """But for `estimate_e0s_from_foundation`, which MACE has since 0.3.15."""
    texts = [(ROOT / "patches" / f"mace-torch-{version}.patch").read_text().splitlines() for version in VERSIONS]
    edits = [[line for line in text if line[:1] in "+-" and line[:3] not in ("+++", "---")] for text in texts]
    old, new = edits[VERSIONS.index("0.3.14")], edits[-1]
    assert edits == [new if version >= "0.3.15" else old for version in VERSIONS]
    assert [line for line in new if line != "+@extensible"] == [line for line in old if line != "+@extensible"]
    assert len(new) == len(old) + 1


@pytest.mark.parametrize("version", [VERSIONS[0], VERSIONS[-1]])
def test_the_tests_that_come_with_the_patch_pass(version, checkout):
    folder = checkout(version)
    assert apply_patch("--mace", folder).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_plugins.py", "-p", "no:cacheprovider", "-c", os.devnull],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("version", sorted({VERSIONS[0], VERSIONS[-1], mace.__version__}))
def test_the_seam_trains_the_same_numbers_as_the_hook(version, checkout, mace):
    """Stage two, checkpoints and a weighted selection included; and stock MACE as well.

    The oldest version, the newest, and the one that is installed: all patches add and remove the same lines.
    """
    folders = {"hook": checkout(version, "plain"), "seam": checkout(version, "patched")}
    assert apply_patch("--mace", folders["seam"]).returncode == 0
    checkpoints, judged = {}, {}
    losses = {"robust": ROBUST} | ({"stock": ("--loss=weighted", *ROBUST[1:-1])} if version == VERSIONS[-1] else {})
    for loss, flags in losses.items():
        for way, folder in folders.items():
            name = f"{loss}_{way}"
            command = ["-m", "mace.cli.run_train", *command_line(name, flags)]
            done = warm_python.run(*command, env={"PYTHONPATH": str(folder)}, cwd=mace.folder)
            assert done.returncode == 0, done.stderr[-2000:]
            assert ("ema_robust: mean_weight=" in done.stdout) == (loss == "robust")
            assert f"MACE version: {version}" in done.stdout
            last = max(mace.folder.glob(f"checkpoints/{name}_run-1_epoch-*.pt"), key=os.path.getmtime)
            checkpoints[loss, way] = load_checkpoint(last)
            judged[loss, way] = [line.partition(" INFO: ")[2] for line in done.stdout.splitlines() if JUDGED in line]
        one, other = (checkpoints[loss, way] for way in folders)
        assert one.keys() == other.keys()
        assert ("mace_outlier" in one) == (loss == "robust")
        assert one["model"].keys() == other["model"].keys()
        assert all(torch.equal(one["model"][key], other["model"][key]) for key in one["model"])
    assert judged["robust", "hook"] == judged["robust", "seam"]  # in every epoch, but not for the error tables
    assert len(judged["robust", "hook"]) >= 4
    weights = [checkpoints["robust", way]["mace_outlier"]["records"]["weight"] for way in folders]
    assert torch.equal(*weights)
    assert weights[0].min() < 0.9


def test_the_start_up_hook_does_nothing_where_mace_has_a_seam(copied_mace):
    assert apply_patch("--mace", copied_mace).returncode == 0
    code = """
import sys
import mace.tools.scripts_utils as utils
assert "mace_outlier.mace" not in sys.modules
assert not hasattr(utils.get_loss_fn, "__mace_outlier__")
from mace.tools import build_default_arg_parser
text = build_default_arg_parser().format_help()
assert "ema_robust_threshold" in text
from mace_outlier.mace.context import CONTEXT
assert CONTEXT.applied
build_default_arg_parser()
"""
    done = python(code, copied_mace)
    assert done.returncode == 0, done.stderr
    off = python(code, copied_mace, MACE_OUTLIER_DISABLE="1")
    assert "line 8, in <module>\nAssertionError" in off.stderr  # the loss is not known


@pytest.mark.parametrize("found", [False, True])
def test_mace_outlier_train_registers_where_the_entry_point_is_not_found(found, copied_mace):
    """As under `pip install --target`, which leaves no metadata where Python looks for them; else it is left alone."""
    assert apply_patch("--mace", copied_mace).returncode == 0
    no_entry_points = "" if found else "plugins._entry_points = lambda: []"
    code = f"""
from mace import plugins
{no_entry_points}
from mace_outlier import __main__
from mace_outlier.mace import hooks
hooks.start_training = print
__main__.main(["train", "--loss=ema_robust"])
from mace.tools import build_default_arg_parser
assert "ema_robust_threshold" in build_default_arg_parser().format_help()
"""
    done = python(code, copied_mace)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['--loss=ema_robust']\n"


def test_a_patched_mace_that_has_changed_refuses_the_loss_only(copied_mace):
    assert apply_patch("--mace", copied_mace).returncode == 0
    path = copied_mace / "tools" / "train.py"
    path.write_text(path.read_text().replace("data_loader: ", "loader: ").replace("data_loader=", "loader="))
    code = """
import argparse
import mace.tools
from mace.tools import build_default_arg_parser, check_args
build_default_arg_parser()
try:
    check_args(argparse.Namespace(loss="ema_robust"))
except RuntimeError as error:
    print(error)
"""
    done = python(code, copied_mace)
    assert "--loss=ema_robust: mace-outlier is not active" in done.stdout, done.stderr
    assert "has no argument 'data_loader'" in done.stdout
    assert "plain MACE is untouched" in done.stderr


LOST = """
import argparse
from mace.tools import build_default_arg_parser, check_args
print(build_default_arg_parser().parse_args(["--name=x", "--train_file=y", "--loss=huber"]).loss)
for arguments in ({"loss": "ema_robust"}, {"loss": "huber", "ema_robust_alpha": 0.5}):
    try:
        check_args(argparse.Namespace(**arguments))
    except RuntimeError as error:
        print(error)
from mace_outlier.__main__ import main
main(["doctor"])
"""


def test_a_seam_that_was_lost_in_part_is_named_and_the_loss_refused(copied_mace):
    """As by a merge in a fork."""
    assert apply_patch("--mace", copied_mace).returncode == 0
    path = copied_mace / "tools" / "scripts_utils.py"
    path.write_text(path.read_text().replace("@extensible\ndef get_swa", "def get_swa"))
    done = python(LOST, copied_mace)
    said = "MACE loads plugins, but mace.tools.scripts_utils.get_swa can't be extended"
    assert done.stdout.startswith("huber\n--loss=ema_robust: mace-outlier is not active: " + said), done.stderr
    assert done.stdout.count(f"is not active: {said}") == 2
    assert "plain MACE is untouched" in done.stderr
    assert done.returncode == 1
    assert f"fault         {said}" in done.stdout


@pytest.mark.parametrize("stray", ["plugins.py", "plugins/__init__.py"])
def test_a_module_of_that_name_that_mace_does_not_use_is_no_seam(stray, copied_mace):
    """As pip leaves it behind when it upgrades a patched MACE."""
    (copied_mace / stray).parent.mkdir(exist_ok=True)
    (copied_mace / stray).write_text((ROOT / "patches" / "plugins.py").read_text())
    code = """
from mace.tools import build_default_arg_parser
from mace_outlier.__main__ import main
print("ema_robust_alpha" in build_default_arg_parser().format_help())
main(["doctor"])
"""
    done = python(code, copied_mace)
    assert done.stdout.startswith("True\n"), done.stdout + done.stderr
    assert "activated     by /" in done.stdout


def test_inference_with_a_patched_mace_does_not_load_us(copied_mace):
    assert apply_patch("--mace", copied_mace).returncode == 0
    code = """
import sys
from ase import Atoms
from mace import data
from mace.data.utils import KeySpecification
data.config_from_atoms(Atoms("H"), KeySpecification())
print([name for name in sys.modules if name.startswith("mace_outlier.")])
"""
    done = python(code, copied_mace)
    assert done.stdout == "['mace_outlier._boot']\n", done.stderr


def test_what_is_refused_changes_nothing(copied_mace, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "there is no mace/__version__.py in it" in apply_patch("--mace", tmp_path / "empty").stderr
    version, loss = copied_mace / "__version__.py", copied_mace / "modules" / "loss.py"
    stock = version.read_text()
    version.write_text('__version__ = "0.3.99"\n')
    assert "is MACE 0.3.99, and there are patches for 0.3.13, 0.3.14" in apply_patch("--mace", copied_mace).stderr
    version.write_text(stock)
    loss.write_text(loss.read_text().replace("def reduce_loss(", "def my_reduce_loss("))
    before = content(copied_mace)
    done = apply_patch("--mace", copied_mace)
    assert done.returncode == 1
    assert "differs from the released version" in done.stderr
    assert "mace/modules/loss.py" in done.stderr
    assert content(copied_mace) == before


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import apply_patch

    return apply_patch


def failing_at(number, error):
    """`os.replace`, which fails from that call on."""
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) >= number:
            raise error
        replace(source, target)

    return failing


@pytest.mark.parametrize("number", [1, 5])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_interrupted_half_way_is_taken_back(number, error, reverse, copied_mace, script, monkeypatch):
    if reverse:
        assert apply_patch("--mace", copied_mace).returncode == 0
    patch = ROOT / "patches" / f"mace-torch-{mace.__version__}.patch"
    change, before = script.changes(copied_mace.parent, patch, reverse), content(copied_mace)
    monkeypatch.setattr(script.os, "replace", failing_at(number, error))
    refused = (script.RefusedError, "disk full; everything is as it was")
    expected, said = refused if isinstance(error, OSError) else (KeyboardInterrupt, "")
    with pytest.raises(expected, match=said):
        script.replace_all(copied_mace.parent, change.content)
    assert content(copied_mace) == before


def test_a_disk_that_is_full_from_the_first_file_on(copied_mace, script, monkeypatch):
    patch = ROOT / "patches" / f"mace-torch-{mace.__version__}.patch"
    change, before = script.changes(copied_mace.parent, patch, False), content(copied_mace)

    def full(path, data):
        raise OSError("disk full")

    monkeypatch.setattr(script.Path, "write_bytes", full)
    with pytest.raises(script.RefusedError, match="disk full; everything is as it was"):
        script.replace_all(copied_mace.parent, change.content)
    assert content(copied_mace) == before


@pytest.mark.parametrize("reverse", [False, True])
def test_after_a_kill_half_way_mace_works_and_the_same_command_completes_it(reverse, copied_mace, script, monkeypatch):
    stock = content(copied_mace)
    assert apply_patch("--mace", copied_mace).returncode == 0
    patched = content(copied_mace)
    if not reverse:
        assert apply_patch("--mace", copied_mace, "--reverse").returncode == 0
    patch = ROOT / "patches" / f"mace-torch-{mace.__version__}.patch"
    change = script.changes(copied_mace.parent, patch, reverse)
    monkeypatch.setattr(script.os, "replace", failing_at(5, KeyboardInterrupt()))
    monkeypatch.setattr(script, "take_back", lambda target: None)  # as if killed
    with pytest.raises(KeyboardInterrupt):
        script.replace_all(copied_mace.parent, change.content)
    assert content(copied_mace) not in (stock, patched)
    done = python("import mace.cli.run_train", copied_mace, MACE_OUTLIER_DISABLE="1")
    assert done.returncode == 0, done.stderr
    done = apply_patch("--mace", copied_mace, *["--reverse"] * reverse)
    assert done.returncode == 0, done.stderr
    assert content(copied_mace) == (stock if reverse else patched)


def test_the_result_does_not_depend_on_umask_git_and_where_temporary_files_lie(copied_mace, tmp_path, monkeypatch):
    """On a shared installation: plugins.py as readable as the rest, what was write-protected stays so."""
    before = content(copied_mace)
    protected = copied_mace / "modules" / "loss.py"
    protected.chmod(0o444)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "tmp").mkdir()
    (tmp_path / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    mask = os.umask(0o077)
    try:
        assert apply_patch("--mace", copied_mace).returncode == 0
        assert (copied_mace / "plugins.py").stat().st_mode == (copied_mace / "__init__.py").stat().st_mode
        assert protected.stat().st_mode & 0o777 == 0o444
        assert not [path for path in copied_mace.rglob("*.py") if b"\r" in path.read_bytes()]
        assert apply_patch("--mace", copied_mace, "--reverse").returncode == 0
    finally:
        os.umask(mask)
    protected.chmod(before["modules/loss.py"][1] & 0o777)
    assert content(copied_mace) == before


def test_a_readme_of_your_own_is_left_alone_and_links_are_followed(checkout, tmp_path):
    folder = checkout(VERSIONS[-1])
    (folder / "README.md").write_text("# Our fork\n")
    elsewhere = (folder / "mace" / "modules" / "loss.py").rename(tmp_path / "loss.py")
    (folder / "mace" / "modules" / "loss.py").symlink_to(elsewhere)
    before = content(folder)
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "apply_patch.py", "--mace", "."],
        cwd=folder / "mace", capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "left out, because they differ from the release: README.md" in done.stdout
    assert "extensible" not in (folder / "README.md").read_text()
    assert "_reduction" in elsewhere.read_text()
    assert apply_patch("--mace", folder, "--reverse").returncode == 0
    assert content(folder) == before
    assert (folder / "mace" / "modules" / "loss.py").is_symlink()
