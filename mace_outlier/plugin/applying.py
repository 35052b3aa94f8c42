"""Wrapping the seams: by exchanging MACE's functions, or through MACE's own seam for plugins where it has one."""

import argparse
import importlib
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import seams
from ..options import LOSS_NAME
from .shared import SEAMS

OLDEST_MACE = (0, 3, 13)
USED = {  # functions that are not wrapped, but exchanged for the time of a loss
    "mace.modules.loss:reduce_loss": seams.Seam(None, takes=("raw_loss", "ddp"), called_in="mace.modules.loss")
}

applied = False  # True once all seams are wrapped


def all_seams() -> dict[str, seams.Seam]:
    """What is wrapped, and what is used."""
    return SEAMS | USED


def apply() -> None:
    """Exchange all seams, or none: raises UnsupportedHostError where one has changed or MACE is too old."""
    global applied
    check_host()
    seams.wrap_all(all_seams())
    applied = True


def register(extend: Callable[[str, Callable[..., Any]], None]) -> None:
    """Wrap all seams through those of MACE, where it has some, see patches/: `extend(function, wrapper)`.

    Where MACE has changed, the loss is refused and nothing else is touched.
    """
    global applied
    if applied:
        return
    try:
        check_host()
    except seams.UnsupportedHostError as error:
        logging.warning(f"{LOSS_NAME} is not active, plain MACE is untouched: {error}")
        extend("mace.tools.arg_parser_tools.check_args", partial(refuse, str(error)))
        return
    for name, wrapper in seams.by_name(SEAMS).items():
        extend(name, wrapper)
    applied = True


def refuse(reason: str, original: Callable[..., Any], args: argparse.Namespace) -> Any:
    """Stop a run that asks for our loss: MACE would silently train another loss under an unknown name."""
    if getattr(args, "loss", None) == LOSS_NAME:
        raise RuntimeError(f"--loss={LOSS_NAME}: mace-outlier is not active: {reason}")
    return original(args)


def check_host() -> None:
    """Raise UnsupportedHostError where MACE is too old, or a seam has changed."""
    check_version()
    try:
        seams.check_all(all_seams())
    except seams.UnsupportedHostError as error:
        raise seams.UnsupportedHostError(f"mace-torch {mace_version()} is unknown to {LOSS_NAME}: {error}") from None


def check_version() -> None:
    """Raise UnsupportedHostError where MACE is too old."""
    found = mace_version()
    if tuple(int(part) for part in re.findall(r"\d+", found)[:3]) < OLDEST_MACE:  # forks: 0.3.14+site, 0.4.0rc1
        oldest = ".".join(map(str, OLDEST_MACE))
        raise seams.UnsupportedHostError(f"{LOSS_NAME} needs mace-torch >= {oldest}, found {found}")


def mace_version() -> str:
    """Of the MACE that is imported."""
    return str(importlib.import_module("mace").__version__)
