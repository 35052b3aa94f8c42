"""Activation: a one-shot import hook that applies the plugin when MACE's training code is loaded.

Runs at every Python start (from `mace_outlier.pth`), so it imports nothing but what the interpreter already holds, and
costs a program that never imports MACE one string comparison for each module that it imports.

Why `mace.tools.scripts_utils`: it is the one module that every way of starting a training loads (`mace_run_train`,
`python -m mace.cli.run_train`, torchrun of either, `mace.cli.run_train.run(args)`), that is fully imported after all
modules we wrap, and before `run_train` binds names from it. `mace.cli.run_train` itself is often `__main__`.
"""

import os
import sys

TRIGGER = "mace.tools.scripts_utils"
DISABLE = "MACE_OUTLIER_DISABLE"


def disabled() -> bool:
    """True where the user switched the plugin off with `MACE_OUTLIER_DISABLE=1`."""
    return os.environ.get(DISABLE, "") not in ("", "0")


def install() -> None:
    """Arrange for the plugin to be applied once MACE's training code is imported; harmless when called again."""
    if disabled():
        return
    if TRIGGER in sys.modules:
        _apply()
    elif not any(isinstance(finder, _Trigger) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Trigger())


def _apply() -> None:
    """Apply the plugin; a fault of ours becomes a warning and leaves MACE as it was."""
    try:
        from mace_outlier import plugin

        plugin.apply()
    except Exception as error:
        import warnings

        warnings.warn(f"mace-outlier is not active, plain MACE is untouched: {error}", stacklevel=2)


class _Trigger:
    """Meta path finder that steps aside as soon as `TRIGGER` is asked for, and has the plugin applied after its import."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Return the real spec of `TRIGGER`, with its loader set to apply the plugin afterwards; None for the rest."""
        if name != TRIGGER:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Trigger)]
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):  # type: ignore[no-untyped-def]
                execute(module)
                _apply()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
