"""Wrapping functions of a host program, all or none. Knows no MACE: `plugin` says which functions, and what to do.

A seam is a place "module:name", "module:Class.name" or "module:dictionary.key" that holds a function. Its wrapper is
called as `wrapper(original, *args, **kwargs)`; for a method, the first of `args` is the object or the class.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from . import MARK

Function = Callable[..., Any]


class UnsupportedHostError(RuntimeError):
    """The host lacks a function that is to be wrapped, or is too old; the message names it."""


def registry() -> tuple[Callable[..., Callable[[Function], Function]], dict[str, Function]]:
    """Return a decorator `seam(*places)` that registers a wrapper, and the registered wrappers by place."""
    wrappers: dict[str, Function] = {}

    def seam(*places: str) -> Callable[[Function], Function]:
        def register(wrapper: Function) -> Function:
            wrappers.update(dict.fromkeys(places, wrapper))
            return wrapper

        return register

    return seam, wrappers


def wrap_all(wrappers: dict[str, Function]) -> None:
    """Wrap every place, or raise UnsupportedHostError before any is touched; places that are wrapped already stay."""
    found = [(*locate(place), wrapper) for place, wrapper in wrappers.items()]
    for holder, name, original, wrapper in found:
        if not hasattr(original, MARK):
            _put(holder, name, _bind(original, wrapper))


def locate(place: str) -> tuple[Any, str, Function]:
    """Return the object that holds a seam, the seam's name in it, and what is there now."""
    module_name, _, path = place.partition(":")
    try:
        importlib.import_module(module_name)
        holder: Any = sys.modules[module_name]  # `import a.b as c` would give a function b of a, if there is one
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        found: Any = holder[name] if isinstance(holder, dict) else inspect.getattr_static(holder, name)
        return holder, name, getattr(found, "__func__", found)  # of a static or class method, the function itself
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


def arguments_of(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments
