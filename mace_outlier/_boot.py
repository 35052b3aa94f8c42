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
TRAINING, PARSER, PLUGINS = "mace.tools.scripts_utils", "mace.tools.arg_parser", "mace.plugins"

refused = ""  # why the plugin is not active, although it was to be applied


def disabled() -> bool:
    """True where the user switched the plugin off with `MACE_OUTLIER_DISABLE=1`."""
    return os.environ.get(DISABLE, "").lower() not in ("", "0", "false", "no", "off")


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
    """True where the MACE that is imported has a seam for plugins (see patches/), and uses it."""
    return hasattr(sys.modules.get(PLUGINS), "load_plugins")


def register(extend):  # type: ignore[no-untyped-def]
    """Wrap MACE's functions by its own `extend`, for a MACE with a seam for plugins, see `mace.entry_point`."""
    if disabled():
        return
    try:
        from .mace import applying

        applying.register(extend, sys.modules[PLUGINS].extensible_functions)
    except Exception as error:
        from .mace import refusal

        refusal.register(str(error), extend)
        _warn(str(error))


def _apply(_module: object) -> None:
    """Apply the plugin; a fault of ours becomes a warning, leaves MACE as it was, and stops a run that asks for us."""
    if host_loads_plugins():
        return
    try:
        from .mace import applying

        applying.apply()
    except Exception as error:
        from .mace import refusal

        refusal.exchange(str(error))
        _warn(str(error))


def _warn(reason: str) -> None:
    """Say why the plugin is not active; where warnings are errors, plain MACE goes on all the same."""
    global refused
    refused = reason
    import contextlib
    import warnings

    with contextlib.suppress(Warning):
        warnings.warn(f"mace-outlier is not active, plain MACE is untouched: {reason}", stacklevel=3)


def _extend_parser_when_called(module):  # type: ignore[no-untyped-def]
    """Have MACE's parser apply the plugin when it is first built, and take its options where that worked."""
    if host_loads_plugins():
        return
    original = module.build_default_arg_parser

    def build_default_arg_parser(*args, **kwargs):  # type: ignore[no-untyped-def]
        import importlib

        try:
            importlib.import_module(TRAINING)
        except Exception:  # then there is no training, and stock MACE says so where it matters
            return original(*args, **kwargs)
        if refused:
            from .mace.refusal import parser_with_the_name

            return parser_with_the_name(original, *args, **kwargs)
        return sys.modules["mace_outlier.mace.hooks"].build_default_arg_parser(original, *args, **kwargs)

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
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):  # type: ignore[no-untyped-def]
                execute(module)
                self.imported(module)

            spec.loader.exec_module = exec_module
        return spec

    def imported(self, module) -> None:  # type: ignore[no-untyped-def]
        """Do what was waiting for a module, once; the last is that of the training."""
        then = self.pending.pop(module.__name__, None)
        if module.__name__ == TRAINING:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        if then is not None:
            then(module)
