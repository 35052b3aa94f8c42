"""
Plugins: how other packages take part in a training.

A package that wants to names an entry point of the group ``mace.plugins`` in its
metadata, a module that is imported once, at the begin of a training, for its side
effects::

    [project.entry-points."mace.plugins"]
    my_package = "my_package.mace_plugin"

It says what to put around which function of MACE::

    from mace.plugins import extend

    def get_loss_fn(original, args, *rest, **kwargs):
        if args.loss != "my_loss":
            return original(args, *rest, **kwargs)
        return MyLoss()

    extend("mace.tools.scripts_utils.get_loss_fn", get_loss_fn)

A plugin that raises is left out, with a line in the log.

To be known to ``--loss``, extend ``mace.tools.arg_parser.build_default_arg_parser``;
to keep something in checkpoints, ``CheckpointBuilder.create_checkpoint`` and
``load_checkpoint``. ``mace.modules.loss.reduction`` gives the loss of each
configuration. Without plugins, MACE does what it does without this module.
An example is https://pypi.org/project/mace-outlier.
"""

import functools
import logging
from importlib.metadata import entry_points
from typing import Any, Callable, Dict, List

ENTRY_POINT_GROUP = "mace.plugins"

_wrappers: Dict[str, List[Callable]] = {}  # of each extensible function, by its name
_loaded = False
_logger = logging.getLogger(__name__)  # the root logger is not set up yet


def extensible(function: Callable) -> Callable:
    """Let plugins wrap a function, by its full name, see ``extend``."""
    wrappers = _wrappers.setdefault(_full_name(function), [])

    @functools.wraps(function)
    def call(*args, **kwargs):
        extended = function
        for wrapper in wrappers:
            extended = _bind(wrapper, extended)
        return extended(*args, **kwargs)

    return call


def extensible_start(function: Callable) -> Callable:
    """The same for a function with which a training or its workers begin: it loads the plugins."""
    extended = extensible(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        load_plugins()
        return extended(*args, **kwargs)

    return call


def extensible_functions() -> List[str]:
    """Full names of the functions that can be extended, of the modules that are imported."""
    return list(_wrappers)


def extend(name: str, wrapper: Callable) -> None:
    """
    Have ``wrapper(original, *args, **kwargs)`` called in place of a function.

    ``original`` is the function, or what an earlier plugin has put around it; the
    first of ``args`` of a method is its object or class. Raises ValueError if there
    is no extensible function of that name.
    """
    if name not in _wrappers:
        raise ValueError(f"{name} is not an extensible function of MACE")
    _wrappers[name].append(wrapper)


def load_plugins() -> None:
    """Import the plugins that are installed, once."""
    global _loaded  # pylint: disable=global-statement
    if _loaded:
        return
    _loaded = True
    for entry_point in sorted(_entry_points(), key=lambda one: one.name):
        before = {name: list(wrappers) for name, wrappers in _wrappers.items()}
        try:
            entry_point.load()
        except Exception as error:  # pylint: disable=broad-except
            for name, wrappers in _wrappers.items():
                wrappers[:] = before.get(name, [])
            _logger.warning(f"The plugin {entry_point.name} is not active: {error}")


def _full_name(function: Callable) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _entry_points() -> List[Any]:
    found = entry_points()
    if hasattr(found, "select"):
        return list(found.select(group=ENTRY_POINT_GROUP))
    return list(found.get(ENTRY_POINT_GROUP, []))  # Python 3.9


def _bind(wrapper: Callable, original: Callable) -> Callable:
    @functools.wraps(original)
    def extended(*args, **kwargs):
        return wrapper(original, *args, **kwargs)

    return extended
