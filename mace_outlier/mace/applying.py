"""Wrapping the seams: by exchanging MACE's functions, or through MACE's own seam for plugins where it has one."""

import importlib
import re
from collections.abc import Callable
from typing import Any

from ..run.options import LOSS_NAME
from . import data, hooks, scales, seams  # noqa: F401 (register their seams)
from .context import CONTEXT, SEAMS

OLDEST_MACE = "0.3.13"


def apply() -> None:
    """Exchange all seams, or none: raises UnsupportedHostError where one has changed or MACE is too old."""
    check_host()
    seams.wrap_all(of_this_mace())
    CONTEXT.applied = True


def register(extend: Callable[[str, Callable[..., Any]], None], extensible: Callable[[], list[str]]) -> None:
    """Wrap all seams, or none, through those of MACE, where it has some, see patches/: `extend(function, wrapper)`.

    `extensible` returns the names of the functions that can be wrapped so, of the modules that are imported.

    Raises UnsupportedHostError where MACE has changed, or its seam has gone from one of the functions.
    """
    check_host()
    wrappers = seams.by_name(of_this_mace())
    missing = sorted(set(wrappers) - set(extensible()))
    if missing:
        raise seams.UnsupportedHostError(
            f"MACE loads plugins, but {', '.join(missing)} can't be extended: was a part of the patch lost?"
        )
    for name, wrapper in wrappers.items():
        extend(name, wrapper)
    CONTEXT.applied = True


def check_host() -> None:
    """Raise UnsupportedHostError where MACE is too old, or a seam has changed."""
    check_version()
    try:
        seams.check_all(of_this_mace())
    except seams.UnsupportedHostError as error:
        raise seams.UnsupportedHostError(f"mace-torch {mace_version()} is unknown to {LOSS_NAME}: {error}") from None


def check_version() -> None:
    """Raise UnsupportedHostError where MACE is too old."""
    version = mace_version()
    if in_numbers(version) < in_numbers(OLDEST_MACE):
        raise seams.UnsupportedHostError(f"{LOSS_NAME} needs mace-torch >= {OLDEST_MACE}, found {version}")


def of_this_mace() -> dict[str, seams.Seam]:
    """The seams that the MACE that is imported has to have."""
    return {place: seam for place, seam in SEAMS.items() if in_numbers(seam.since) <= in_numbers(mace_version())}


def in_numbers(version: str) -> tuple[int, ...]:
    """A version as it is compared; forks have 0.3.14+site or 0.4.0rc1."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def mace_version() -> str:
    """Of the MACE that is imported."""
    return str(importlib.import_module("mace").__version__)
