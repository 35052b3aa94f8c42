"""Whether `mace_run_train --loss=ema_robust` works with this Python, and if not, why.

    mace_outlier doctor

Versions, how the plugin is activated, which of MACE's functions ("seams") it has found. Exit code 0: a run would work.
"""

import argparse
import filecmp
import importlib
import os
import platform
import re
import shutil
import site
import sys
import sysconfig
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import __file__ as package_file
from .. import __version__, _boot
from .._boot import PLUGINS

HOOK = "mace_outlier.pth"  # runs at every start of Python
COMMAND = "mace_run_train"
PATHS = re.compile(r"""(?<=["'])/[^"']+(?=["'])|(?<=[!\s])/[^"'\s]+""")  # in a line of shell: in quotes, or a word


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(arguments: argparse.Namespace) -> None:
    """Print what was found; exits with 1 where a run would not work."""
    from ..run.about import versions

    here = {
        "python": f"{platform.python_version()}, {sys.executable}",
        "mace-outlier": f"{__version__}, {Path(package_file).parent}",
    }
    for name, number in (versions() | here).items():
        print(f"{name:13} {number}")
    waiting = _boot.waiting()
    faults = check_host()
    why_not = inactive(waiting)
    print(f"activated     {'no: ' + why_not if why_not else 'by ' + hook()}")
    start = command()
    no_command = "" if start else f"no {COMMAND} of this Python: install MACE with it"
    faults += [fault for fault in (why_not, no_command) if fault and fault not in faults]
    for fault in faults:
        print(f"fault         {fault}")
    if faults:
        sys.exit(f"--loss=ema_robust would NOT work with this Python: {faults[0]}")
    print(f"{start} --loss=ema_robust works with this Python.")


def inactive(waiting: bool) -> str:
    """Why the MACE that has been imported does not know the loss, and what to do; empty where it does.

    `waiting`: the start-up hook was there before MACE was imported.
    """
    if _boot.disabled():
        return f"{_boot.DISABLE}={os.environ[_boot.DISABLE]} is set, which switches the plugin off; unset it"
    if _boot.host_loads_plugins():
        sys.modules[PLUGINS].load_plugins()
    context = sys.modules.get("mace_outlier.mace.context")
    if context is not None and context.CONTEXT.applied:
        return ""
    if _boot.refused:
        return _boot.refused
    if _boot.host_loads_plugins():
        return f"MACE loads plugins, but no entry point of the group {PLUGINS} names mace-outlier"
    if not waiting:
        return (
            f"{HOOK} was not run at the start of this Python (python -S, PYTHONPATH, pip --target?); "
            f"use `mace_outlier train` in place of {COMMAND}, with the same options"
        )
    return f"MACE was imported, but the plugin was not applied ({_boot.TRAINING})"


def hook() -> str:
    """What activates the plugin."""
    if _boot.host_loads_plugins():
        return f"MACE itself, which loads plugins by their entry points ({PLUGINS})"
    folders = map(Path, (*site.getsitepackages(), site.getusersitepackages()))
    return next((str(folder / HOOK) for folder in folders if (folder / HOOK).exists()), HOOK)


def command() -> str:
    """Print where MACE's command is; return how to call that of this Python, empty where there is none."""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts")), Path(site.getuserbase()) / "bin"]
    start = next((str(folder / COMMAND) for folder in folders if is_of_this_python(folder / COMMAND)), "")
    on_path = shutil.which(COMMAND)
    if on_path is None:
        where = f"{start} (not on PATH)" if start else f"no {COMMAND} on PATH, nor beside this Python"
    elif is_of_this_python(Path(on_path)):
        where, start = on_path, COMMAND
    else:
        instead = f"give the path of this one's, {start}" if start else "install MACE with this one"
        where = f"{on_path}, which is of ANOTHER Python: ask that one, or {instead}"
    print(f"command       {where}")
    return start


def is_of_this_python(script: Path) -> bool:
    """Whether a command starts this Python, by its first line; where the path is long, it is in the second."""
    if not script.exists():
        return False
    with script.open(encoding="utf-8", errors="replace") as file:
        first, second = file.readline(), file.readline()
    return any(is_this_python(path) for line in (first, second) for path in PATHS.findall(line))


def is_this_python(path: str) -> bool:
    """Whether a file is this Python under any name of its folder: python, python3 ..., but not another version's.

    Its folder has to be the same one: links of all environments of a Python lead to the same file.
    """
    if not os.path.exists(path) or not os.path.samefile(os.path.dirname(path), os.path.dirname(sys.executable)):
        return False
    return filecmp.cmp(path, sys.executable)


def check_host() -> list[str]:
    """Compare MACE with what the plugin relies on; print what of it is as expected, return what is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MACE's on optional packages; ours says what is returned here
            importlib.import_module(_boot.TRAINING)
            applying = importlib.import_module("mace_outlier.mace.applying")
    except Exception as error:
        return [f"MACE can't be imported: {type(error).__name__}: {error}"]
    from ..mace.seams import check_all

    seams = applying.of_this_mace()
    changed = [fault for place, seam in seams.items() for fault in _faults(check_all, {place: seam})]
    good = len(seams) - len(changed)
    print(f"seams         {good} of {len(seams)} functions of MACE {applying.mace_version()} are as expected")
    return _faults(applying.check_version) + changed + ([] if changed else check_losses())


def check_losses() -> list[str]:
    """Print which losses of MACE can be weighed; return a fault where the one that we take by default can't."""
    from ..mace.base_loss import base_losses, unsupported_losses
    from ..run.options import Options

    losses, unsupported = base_losses(), unsupported_losses()
    print(f"losses        {len(losses) - len(unsupported)} of {len(losses)} losses of MACE can be weighed")
    for name, why in unsupported.items():
        print(f"not weighed   --ema_robust_base_loss={name}: {why}")
    default = Options().base_loss
    return [f"{default}: {unsupported[default]}"] if default in unsupported else []


def _faults(check: Callable[..., None], *arguments: Any) -> list[str]:
    """What a check of the host says is wrong; [] where nothing is."""
    from ..mace.seams import UnsupportedHostError

    try:
        check(*arguments)
    except UnsupportedHostError as error:
        return [str(error)]
    return []
