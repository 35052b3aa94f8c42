"""Every way of starting MACE's training knows the loss; nothing else notices the plugin."""

import os
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import mace as mace_installed
import pytest
import warm_python
from conftest import command_line

import mace_outlier
from mace_outlier import _boot

ROOT = Path(__file__).parents[2]
FLAGS = ("--loss=ema_robust", "--max_num_epochs=1", "--plot=False")


def python(code, executable=sys.executable, cwd=None):
    command = [str(executable), "-c", textwrap.dedent(code)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900)


def warm(code, *arguments, env=None, cwd=None):
    return warm_python.run("-c", textwrap.dedent(code), *arguments, env=env, cwd=cwd)


# --- every start route -----------------------------------------------------------------------------------------------

RUN_FROM_PYTHON = """
import sys
from mace.tools import build_default_arg_parser
arguments = build_default_arg_parser().parse_args(sys.argv[1:])
from mace.cli.run_train import run
run(arguments)
"""


def scripts(name):
    return str(Path(sys.executable).with_name(name))


NEW_PYTHON = {
    "mace_run_train": [scripts("mace_run_train")],
    "torchrun": [scripts("torchrun"), "--nproc_per_node=1", "--master_port=29731", "-m", "mace.cli.run_train"],
    "isolated Python": [sys.executable, "-I", "-m", "mace.cli.run_train"],
}
WARM_PYTHON = {
    "python -m mace.cli.run_train": ["-m", "mace.cli.run_train"],
    "python run_train.py": [Path(mace_installed.__file__).with_name("cli") / "run_train.py"],
    "run(args) from Python": ["-c", RUN_FROM_PYTHON],
    "python -m mace_outlier train": ["-m", "mace_outlier", "train"],
}


@pytest.mark.parametrize("route", [*NEW_PYTHON, *WARM_PYTHON])
def test_start_route(route, mace):
    arguments = command_line("run", FLAGS)
    if route in NEW_PYTHON:
        done = mace.start(*NEW_PYTHON[route], *arguments)
    else:
        done = warm_python.run(*WARM_PYTHON[route], *arguments, cwd=mace.folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Epoch 0: head: Default, ema_robust: mean_weight=" in done.stdout


def test_the_yaml_file_turns_it_on(mace):
    (mace.folder / "config.yaml").write_text("loss: ema_robust\nema_robust_threshold: 1.25\n")
    arguments = command_line("run", ("--config=config.yaml", "--max_num_epochs=1"))
    done = warm_python.run("-m", "mace.cli.run_train", *arguments, cwd=mace.folder)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "threshold: 1.25 sigma" in done.stdout


# --- switching it off, applying it twice -----------------------------------------------------------------------------


def test_disable_switch():
    code = """
    import sys
    import mace.cli.run_train
    from mace.tools import build_default_arg_parser
    assert "ema_robust" not in build_default_arg_parser().format_help()
    assert not [name for name in sys.modules if name.startswith("mace_outlier.mace")]
    """
    done = warm(code, env={"MACE_OUTLIER_DISABLE": "1"})
    assert done.returncode == 0, done.stderr
    assert warm(code, env={"MACE_OUTLIER_DISABLE": "0"}).returncode == 1
    done = subprocess.run(
        [sys.executable, "-m", "mace_outlier", "train"], env={**os.environ, "MACE_OUTLIER_DISABLE": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "MACE_OUTLIER_DISABLE is set" in done.stderr


@pytest.mark.parametrize(
    ("value", "off"), [("1", 1), ("true", 1), ("yes", 1), ("", 0), ("0", 0), ("false", 0), ("No", 0), ("OFF", 0)]
)
def test_what_the_switch_understands(value, off, monkeypatch):
    monkeypatch.setenv("MACE_OUTLIER_DISABLE", value)
    assert _boot.disabled() == bool(off)


def test_applying_it_twice_is_harmless():
    done = warm("""
        import sys
        from mace_outlier import _boot
        _boot.install(); _boot.install()
        assert sum(type(finder).__name__ == "_Trigger" for finder in sys.meta_path) == 1
        import mace.cli.run_train as run_train
        from mace_outlier.mace import applying, seams
        functions = [seams.locate(place)[2] for place in applying.of_this_mace()]
        applying.apply(); _boot.install()
        assert functions == [seams.locate(place)[2] for place in applying.of_this_mace()]
        assert run_train.get_loss_fn.__wrapped__.__module__ == "mace.tools.scripts_utils"
        assert not hasattr(run_train.get_loss_fn.__wrapped__, "__wrapped__")
        text = run_train.tools.build_default_arg_parser().format_usage()
        assert text.count("--ema_robust_alpha") == 1, text
    """)
    assert done.returncode == 0, done.stderr


def test_looking_for_maces_modules_does_not_use_the_hook_up():
    done = warm("""
        from importlib.util import find_spec
        for name in ("mace.tools.arg_parser", "mace.tools.scripts_utils"):
            assert find_spec(name)
        import mace.cli.run_train as run_train
        assert "ema_robust" in run_train.tools.build_default_arg_parser().format_help()
    """)
    assert done.returncode == 0, done.stderr


def test_a_late_installation_works():
    """`import mace_outlier` after MACE was loaded without the start-up hook, as under `python -S` or `--target`."""
    done = warm(
        """
        import mace.tools.scripts_utils, os
        del os.environ["MACE_OUTLIER_DISABLE"]
        from mace_outlier import _boot
        _boot.install()
        import mace.cli.run_train as run_train
        assert "ema_robust" in run_train.tools.build_default_arg_parser().format_help()
        """,
        env={"MACE_OUTLIER_DISABLE": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_does_not_use_mace_loads_nothing():
    done = python("""
        import sys
        ours = sorted(name for name in sys.modules if name.startswith("mace_outlier"))
        assert ours == ["mace_outlier", "mace_outlier._boot"], ours
        assert not {"torch", "numpy", "importlib.util", "argparse", "dataclasses"} & set(sys.modules)
        import ase
        assert "mace_outlier.mace" not in sys.modules
    """)
    assert done.returncode == 0, done.stderr


# --- faults of ours, and a MACE that we don't know -------------------------------------------------------------------

FAULTS = {
    "missing seam": (
        "vars(sys.modules['mace.tools.train']).pop('take_step_lbfgs')",
        "there is no mace.tools.train.take_step_lbfgs",
    ),
    "no reducer": ("del mace.modules.loss.reduce_loss", "there is no mace.modules.loss.reduce_loss"),
    "old version": ("mace.__version__ = '0.3.12'", "ema_robust needs mace-torch >= 0.3.13, found 0.3.12"),
    "our own fault": ("sys.modules['mace_outlier.run.options'] = None", "mace_outlier.run.options"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_mace_untouched_and_is_named(fault, mace):
    """A plain run goes on after a warning; a run that asks for ema_robust ends with an error."""
    change, message = FAULTS[fault]
    code = f"""
        import argparse, os, sys
        import mace, mace.modules.loss, mace.tools.scripts_utils
        ours = lambda: [name for name in sys.modules if name.startswith("mace.")]
        exchanged = {{"check_args": None, "build_default_arg_parser": None}}
        stock = lambda: [{{**vars(sys.modules[name]), **exchanged}} for name in ours()]
        {change}
        before = stock()
        del os.environ["MACE_OUTLIER_DISABLE"]
        from mace_outlier import _boot
        _boot.install()
        assert before == stock()
        plain = argparse.Namespace(**vars(mace.tools.build_default_arg_parser().parse_args(sys.argv[1:])))
        assert mace.tools.check_args(plain)[0] is plain
        try:
            mace.tools.check_args(argparse.Namespace(**{{**vars(plain), "loss": "ema_robust"}}))
        except RuntimeError as error:
            print(error)
        from mace.cli.run_train import main
        sys.argv.append("--loss=ema_robust")
        main()
        """
    done = warm(code, *command_line("run", ()), env={"MACE_OUTLIER_DISABLE": "1"}, cwd=mace.folder)
    assert "--loss=ema_robust: mace-outlier is not active: " in done.stdout, done.stderr
    assert message in done.stdout
    assert message in done.stderr
    assert "plain MACE is untouched" in done.stderr
    assert done.returncode == 1
    assert "RuntimeError: --loss=ema_robust: mace-outlier is not active: " in done.stderr


def test_plain_mace_goes_on_where_our_warning_is_an_error():
    code = """
        import argparse, sys, warnings
        import mace.modules.loss
        del mace.modules.loss.reduce_loss
        warnings.simplefilter("error", UserWarning)
        import mace.tools.scripts_utils
        from mace.tools import build_default_arg_parser, check_args
        print(build_default_arg_parser().parse_args(["--name=x", "--train_file=y", "--loss=ema_robust"]).loss)
        check_args(argparse.Namespace(loss="ema_robust"))
        """
    done = warm(code)
    assert done.stdout == "ema_robust\n", done.stderr
    assert "RuntimeError: --loss=ema_robust: mace-outlier is not active: mace-torch" in done.stderr
    assert done.stderr.endswith("there is no mace.modules.loss.reduce_loss\n")


def test_the_parser_works_where_the_training_code_cannot_be_imported():
    done = warm("""
        import sys
        sys.modules["mace.tools.scripts_utils"] = None
        from mace.tools.arg_parser import build_default_arg_parser
        assert build_default_arg_parser().parse_args(["--name=x", "--train_file=y"]).name == "x"
    """)
    assert done.returncode == 0, done.stderr


# --- installation ----------------------------------------------------------------------------------------------------

FAKE_MACE = {
    "mace/__init__.py": "__version__ = '0.3.99'",
    "mace/tools/__init__.py": "from .arg_parser import build_default_arg_parser",
    "mace/tools/arg_parser.py": "def build_default_arg_parser(): return 'stock parser'",
    "mace/tools/scripts_utils.py": "",
}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Our wheel, built as pip builds it, and the editable one."""
    from hatchling.builders.wheel import WheelBuilder

    folder = tmp_path_factory.mktemp("wheels")
    return {
        kind: next(iter(WheelBuilder(str(ROOT)).build(directory=str(folder / kind), versions=[kind])))
        for kind in ("standard", "editable")
    }


@pytest.mark.parametrize("kind", ["standard", "editable"])
def test_a_fresh_environment_is_active_after_installing_the_wheel(kind, wheels, tmp_path):
    """In a venv with a MACE of which we know nothing: found, refused by name, and left alone; then cleanly removed."""
    venv.create(tmp_path / "venv", with_pip=True)
    executable = tmp_path / "venv" / "bin" / "python"
    pip = [str(executable), "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheels[kind]], check=True)
    packages = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    assert {path.name for path in packages.glob("mace_outlier*") if path.is_file()} == {
        "mace_outlier.pth", "mace_outlier.start",
    }  # fmt: skip
    for name, text in FAKE_MACE.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(text)
    done = python(
        "from mace.tools import build_default_arg_parser; print(build_default_arg_parser())",
        executable=executable, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "stock parser\n"
    assert "mace-outlier is not active, plain MACE is untouched" in done.stderr
    subprocess.run([*pip, "uninstall", "-y", "mace-outlier"], check=True)
    assert not list(packages.glob("*mace_outlier*"))


def test_the_wheel_holds_the_package_and_nothing_else(wheels):
    import zipfile

    names = zipfile.ZipFile(wheels["standard"]).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "mace_outlier", "mace_outlier.pth", "mace_outlier.start",
    }  # fmt: skip
    assert "mace_outlier/py.typed" in names
    assert Path(wheels["standard"]).stat().st_size < 420_000


def test_wheel_and_source_archive_pass_the_checks_of_pypi(wheels, tmp_path):
    import tarfile

    from hatchling.builders.sdist import SdistBuilder

    sdist = next(iter(SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])))
    check = [sys.executable, "-m", "twine", "check", "--strict", sdist, wheels["standard"]]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2].split("/")[0] for name in archive.getnames()}
    more = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert names - {""} == {"mace_outlier"} | more


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {mace_outlier.__version__}\n" in citation
    assert "arXiv:2602.08849" in citation
