"""Activation: an import hook that applies the plugin when MACE's training code is loaded.

Runs at every Python start (from `mace_outlier.pth`), so it imports nothing but what the interpreter already holds, and
costs a program that never imports MACE one dictionary look-up for each module that it imports.

Why `mace.tools.scripts_utils`: it is the one module that every way of starting a training loads (`mace_run_train`,
`python -m mace.cli.run_train`, torchrun of either, `mace.cli.run_train.run(args)`), that is fully imported after all
modules we wrap, and before `run_train` binds names from it. `mace.cli.run_train` itself is often `__main__`.

Why `mace.tools.arg_parser` as well: a Python program may bind `build_default_arg_parser` before it imports the rest.
"""

import os
import sys

from . import MARK

DISABLE = "MACE_OUTLIER_DISABLE"
TRAINING, PARSER = "mace.tools.scripts_utils", "mace.tools.arg_parser"


def disabled() -> bool:
    """True where the user switched the plugin off with `MACE_OUTLIER_DISABLE=1`."""
    return os.environ.get(DISABLE, "") not in ("", "0")


def install() -> None:
    """Arrange for the plugin to be applied once MACE's training code is imported; harmless when called again."""
    if disabled():
        return
    if TRAINING in sys.modules:
        _apply(sys.modules[TRAINING])
    elif not waiting():
        sys.meta_path.insert(0, _Trigger())


def waiting() -> bool:
    """True where the plugin will be applied once MACE's training code is imported."""
    return any(isinstance(finder, _Trigger) for finder in sys.meta_path)


def host_loads_plugins() -> bool:
    """True where MACE has a seam for plugins (see patches/), and loads them itself."""
    from importlib.util import find_spec

    try:
        return find_spec("mace.plugins") is not None
    except Exception:  # there is no MACE, or none that can be imported
        return False


def register(extend):  # type: ignore[no-untyped-def]
    """Entry point of the group `mace.plugins`, for a MACE with a seam for plugins."""
    if not disabled():
        from mace_outlier.plugin import applying

        applying.register(extend)


def _apply(_module: object) -> None:
    """Apply the plugin; a fault of ours becomes a warning and leaves MACE as it was."""
    if host_loads_plugins():
        return
    try:
        from mace_outlier import plugin

        plugin.apply()
    except Exception as error:
        import warnings

        warnings.warn(f"mace-outlier is not active, plain MACE is untouched: {error}", stacklevel=2)
        _refuse(str(error))


def _refuse(reason: str) -> None:
    """Stop a run that asks for our loss all the same: MACE would silently train another loss under an unknown name."""
    tools = sys.modules.get("mace.tools")
    original = getattr(tools, "check_args", None)
    if original is None:
        return

    def check_args(args):  # type: ignore[no-untyped-def]
        if getattr(args, "loss", None) == "ema_robust":
            raise RuntimeError(f"--loss=ema_robust: mace-outlier is not active: {reason}")
        return original(args)

    vars(tools)["check_args"] = check_args


def _extend_parser_when_called(module):  # type: ignore[no-untyped-def]
    """Have MACE's parser apply the plugin when it is first built, and take its options where that worked."""
    if host_loads_plugins():
        return
    original = module.build_default_arg_parser

    def build_default_arg_parser(*args, **kwargs):  # type: ignore[no-untyped-def]
        import importlib

        importlib.import_module(TRAINING)
        plugin = sys.modules.get("mace_outlier.plugin")
        if plugin is None or not plugin.applying.applied:
            return original(*args, **kwargs)
        return plugin.build_default_arg_parser(original, *args, **kwargs)

    build_default_arg_parser.__dict__.update({"__wrapped__": original, MARK: True})
    module.build_default_arg_parser = build_default_arg_parser


class _Trigger:
    """Meta path finder that finds nothing itself, but has something done after a module of MACE was imported."""

    def __init__(self) -> None:
        self.pending = {PARSER: _extend_parser_when_called, TRAINING: _apply}

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Return the real spec of a module we wait for, with a loader that calls us afterwards; None for the rest."""
        if name not in self.pending:
            return None
        then = self.pending.pop(name)  # first, because the real finders are asked through this one
        if name == TRAINING:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):  # type: ignore[no-untyped-def]
                execute(module)
                then(module)

            spec.loader.exec_module = exec_module
        return spec
