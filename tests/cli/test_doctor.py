"""`mace_outlier doctor`: would a run work, and if not, why?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import mace
import warm_python

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SITE = Path(mace.__file__).parent.parent


def doctor(**env):
    done = warm_python.run("-m", "mace_outlier", "doctor", env=env)
    return done.returncode, done.stdout, done.stderr


def doctor_without_the_hook(*before, after=()):
    """Python -S, with these first and last on its path."""
    before, after = ([str(path) for path in paths] for paths in (before, after))
    code = f"import sys; sys.path[:0] = {before!r}; sys.path += {after!r}; "
    code += "from mace_outlier.__main__ import main; main(['doctor'])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout, done.stderr


def test_all_is_well():
    done, out, err = doctor(PATH=f"{BIN}:{os.environ['PATH']}")
    assert done == 0, err
    assert re.search(r"^activated +by /.*/mace_outlier.pth$", out, re.M)
    assert re.search(rf"^command +{BIN}/mace_run_train$", out, re.M)
    found = re.search(r"^seams +(\d+) of (\d+) functions of MACE (\S+) are as expected$", out, re.M)
    assert found[1] == found[2]
    assert found[3] == mace.__version__
    assert re.search(rf"^mace-torch +{mace.__version__}$", out, re.M)
    assert re.search(r"^losses +(\d+) of \1 losses of MACE can be weighed$", out, re.M)
    assert out.endswith("\nmace_run_train --loss=ema_robust works with this Python.\n")


def test_switched_off():
    done, out, err = doctor(MACE_OUTLIER_DISABLE="1")
    assert done == 1
    assert "activated     no: MACE_OUTLIER_DISABLE=1 is set" in out
    assert "would NOT work with this Python: MACE_OUTLIER_DISABLE=1 is set, which switches the plugin off; unset" in err


def test_without_the_start_up_hook():
    """As installed by `pip --target`, or found by PYTHONPATH."""
    done, _, err = doctor_without_the_hook(ROOT, SITE)
    assert done == 1
    assert "mace_outlier.pth was not run" in err
    assert "use `mace_outlier train` in place of mace_run_train" in err


def test_without_the_hook_a_patched_mace_loads_us_by_its_entry_point(copied_mace):
    """As installed by `pip --target` beside a MACE of one's own, see patches/."""
    patch = [sys.executable, ROOT / "scripts" / "apply_patch.py", "--mace", copied_mace]
    subprocess.run([str(part) for part in patch], check=True, capture_output=True)
    done, out, err = doctor_without_the_hook(copied_mace.parent, ROOT, after=[SITE])
    assert done == 0, out + err
    assert "activated     by MACE itself, which loads plugins by their entry points (mace.plugins)" in out


def test_a_command_is_of_the_python_that_it_starts(tmp_path):
    from mace_outlier.cli.doctor import is_of_this_python

    for line, mine in (
        (f"#!{sys.executable}", True),
        (f"#!{sys.executable} -E", True),
        ("#!/bin/sh\n" + f'\'\'\'exec\' "{sys.executable}" "$0" "$@"', True),
        (f"#!{sys.executable}9", False),
        ("#!/usr/bin/python", False),
    ):
        (tmp_path / "x").write_text(f"{line}\nprint()\n")
        assert is_of_this_python(tmp_path / "x") == mine, line
    assert not is_of_this_python(tmp_path / "nothing")


def test_names_of_a_python_are_those_in_its_own_folder(tmp_path, monkeypatch):
    """All environments of a Python link to the same file."""
    from mace_outlier.cli.doctor import is_of_this_python

    folders = [tmp_path / name for name in ("real", "mine", "o'ther")]
    for folder in folders:
        folder.mkdir()
    real, mine, other = folders
    for version in ("3.11", "3.12"):
        (real / f"python{version}").write_text(f"it is {version}")
    for folder, version in ((mine, "3.11"), (other, "3.11")):
        (folder / "python").symlink_to(real / f"python{version}")
        (folder / "python3").symlink_to("python")
    (mine / "python3.11").write_text("it is 3.11")  # a copy
    (mine / "python3.12").symlink_to(real / "python3.12")
    (tmp_path / "link").symlink_to(mine)
    monkeypatch.setattr(sys, "executable", str(mine / "python3"))
    script = tmp_path / "x"
    for python, same in (
        (mine / "python", True),
        (mine / "python3", True),
        (mine / "python3.11", True),
        (mine / "python3.12", False),
        (mine / "python4", False),
        (tmp_path / "link" / "python", True),
        (real / "python3.11", False),
        (other / "python", False),
    ):
        for line in (f"#!{python}\n", f"#!{python} -E\n", f'#!/bin/sh\n\'\'\'exec\' "{python}" "$0" "$@"\n'):
            script.write_text(line)
            assert is_of_this_python(script) == same, line


def test_the_command_of_another_python(tmp_path):
    other = tmp_path / "mace_run_train"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    done, out, _ = doctor(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done == 0
    assert f"command       {other}, which is of ANOTHER Python: ask that one, or give the path of this one's, " in out
    assert out.endswith(f"\n{BIN}/mace_run_train --loss=ema_robust works with this Python.\n")


def test_a_mace_that_is_too_old_and_has_changed(copied_mace):
    (copied_mace / "__version__.py").write_text("__version__ = '0.3.12'\n")
    path = copied_mace / "tools" / "train.py"
    path.write_text(path.read_text().replace("def take_step_lbfgs(", "def lbfgs_step("))
    done, out, err = doctor(PYTHONPATH=str(copied_mace.parent))
    assert done == 1
    assert "fault         ema_robust needs mace-torch >= 0.3.13, found 0.3.12" in out
    assert "fault         there is no mace.tools.train.take_step_lbfgs" in out
    assert "NOT work" in err


def test_losses_that_do_not_reduce_their_terms_as_expected(copied_mace):
    """One that isn't asked for is named only; the default one is a fault."""
    path = copied_mace / "modules" / "loss.py"
    stock = path.read_text()
    for name, loss, fault in (("weighted", "WeightedEnergyForcesLoss", 1), ("forces_only", "WeightedForcesLoss", 0)):
        path.write_text(stock + f"\n{loss}.forward = lambda self, ref, pred, ddp=None: pred['energy'].mean()\n")
        done, out, err = doctor(PYTHONPATH=str(copied_mace.parent))
        assert done == fault, out + err
        assert f"not weighed   --ema_robust_base_loss={name}: UnsupportedLossError" in out
        assert ("fault         weighted: UnsupportedLossError" in out) == fault


def test_a_mace_that_cannot_be_imported(tmp_path):
    (tmp_path / "mace").mkdir()
    (tmp_path / "mace" / "__init__.py").write_text("raise OSError('libcuda is missing')\n")
    done, _, err = doctor(PYTHONPATH=str(tmp_path))
    assert done == 1
    assert "MACE can't be imported: OSError: libcuda is missing" in err
