"""Wrapping functions of a host program, all or none. Knows no MACE: its neighbours say which functions, and what to do.

A seam is a place "module:name", "module:Class.name" or "module:dictionary.key" that holds a function. Its wrapper is
called as `wrapper(original, *args, **kwargs)`; for a method, the first of `args` is the object or the class. What a
wrapper relies on is checked before anything is wrapped, so that a host that has changed is told from one that is known.
"""

import ast
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

from .. import MARK

Function = Callable[..., Any]


class UnsupportedHostError(RuntimeError):
    """The host has changed, or is too old; the message says what is missing."""


class Seam(NamedTuple):
    """A wrapper, and what it relies on."""

    wrapper: Function | None  # None: nothing is wrapped, but the function is used
    takes: tuple[str, ...] = ()  # the function's first parameters, in this order
    needs: tuple[str, ...] = ()  # parameters that are read by their names
    called_in: str = ""  # a module, some function of which calls it by its name
    since: str = ""  # the first version of the host that has it


def wrap_all(seams: dict[str, Seam]) -> None:
    """Wrap every place, see `check_all` for whether that can be done; places that are wrapped already stay."""
    for place, seam in seams.items():
        holder, name, original = locate(place)
        if seam.wrapper is not None and not hasattr(original, MARK):
            _put(holder, name, _bind(original, seam.wrapper))


def by_name(seams: dict[str, Seam]) -> dict[str, Function]:
    """Wrappers by the full name of the function that they wrap, wherever else it is to be found."""
    wrappers = {}
    for place, seam in seams.items():
        if seam.wrapper is not None:
            function = locate(place)[2]
            wrappers[f"{function.__module__}.{function.__qualname__}"] = seam.wrapper
    return wrappers


def check_all(seams: dict[str, Seam]) -> None:
    """Compare the host with what the wrappers rely on; raises UnsupportedHostError that names what has changed."""
    for place, seam in seams.items():
        _, name, original = locate(place)
        if hasattr(original, MARK):
            continue
        function, parameters = place.replace(":", "."), list(inspect.signature(original).parameters)
        known = ", ".join(parameters)
        if tuple(parameters[: len(seam.takes)]) != seam.takes:
            raise UnsupportedHostError(f"{function} takes ({known}), not ({', '.join(seam.takes)}, ...)")
        for missing in (parameter for parameter in seam.needs if parameter not in parameters):
            raise UnsupportedHostError(f"{function} has no argument '{missing}', only ({known})")
        if seam.called_in and name not in calls_in(source_of(seam.called_in)):
            raise UnsupportedHostError(f"{seam.called_in} no longer calls {name}")


def source_of(module: str) -> str:
    """The source of a module, without importing it. Raises UnsupportedHostError where there is none."""
    spec = find_spec(module)
    source = spec.loader.get_source(module) if spec and spec.loader and hasattr(spec.loader, "get_source") else None
    if source is None:
        raise UnsupportedHostError(f"there is no source of {module}")
    return source


@functools.cache
def calls_in(source: str) -> frozenset[str]:
    """Names of the functions and methods that some source calls; `a.b.c()` counts as a call of c."""
    called = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return frozenset(name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "") for name in called)


def locate(place: str) -> tuple[Any, str, Function]:
    """Return the object that holds a seam, the seam's name in it, and what is there now."""
    module_name, _, path = place.partition(":")
    try:
        importlib.import_module(module_name)
        holder: Any = sys.modules[module_name]  # `import a.b as c` would give a function b of a, if there is one
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        attribute: Any = holder[name] if isinstance(holder, dict) else inspect.getattr_static(holder, name)
        return (
            holder,
            name,
            getattr(attribute, "__func__", attribute),
        )  # of a static or class method, the function itself
    except (ImportError, AttributeError, KeyError):
        raise UnsupportedHostError(f"there is no {place.replace(':', '.')}") from None


def _bind(original: Function, wrapper: Function) -> Function:
    """Bind `original` as the first argument of `wrapper`, under the original's name and signature."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(call, MARK, True)
    return call


def _put(holder: Any, name: str, function: Function) -> None:
    """Set a seam; a static or class method stays one."""
    if isinstance(holder, dict):
        holder[name] = function
        return
    kind = type(inspect.getattr_static(holder, name))
    setattr(holder, name, kind(function) if kind in (staticmethod, classmethod) else function)


def call_with(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any], **other: Any) -> Any:
    """Call a function with these arguments, but others for some that it has by name."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.arguments.update(other)
    return function(*bound.args, **bound.kwargs)


def arguments_of(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
