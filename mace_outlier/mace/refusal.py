"""Where the plugin can't be active, the name of its loss stays known, and a run that asks for it stops and says why.

Without that, `--loss=ema_robust` would be an invalid choice for no reason given, and a Python program that skips MACE's
parser would silently train another loss: MACE takes a default for a name that it doesn't know. Loads nothing of ours
that could be at fault; plain MACE goes on.
"""

import contextlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import MARK

LOSS_NAME = "ema_robust"
Function = Callable[..., Any]


def exchange(reason: str) -> None:
    """Put both wrappers in the place of MACE's functions, from where MACE's training calls them."""
    tools = sys.modules.get("mace.tools")
    for name, wrapper in wrappers(reason).items():
        original = getattr(tools, name, None)
        if original is not None and not hasattr(original, MARK):  # the start-up hook may have wrapped the parser
            setattr(tools, name, partial(wrapper, original))


def register(reason: str, extend: Callable[[str, Function], None]) -> None:
    """Put both wrappers around MACE's functions through a seam for plugins, see patches/."""
    places = {"check_args": "mace.tools.arg_parser_tools", "build_default_arg_parser": "mace.tools.arg_parser"}
    for name, wrapper in wrappers(reason).items():
        with contextlib.suppress(ValueError):  # the seam has gone there, too
            extend(f"{places[name]}.{name}", wrapper)


def wrappers(reason: str) -> dict[str, Function]:
    """By name of the function that they wrap; each is called with the original first."""
    return {"check_args": partial(_refuse, reason), "build_default_arg_parser": parser_with_the_name}


def parser_with_the_name(original: Function, *args: Any, **kwargs: Any) -> Any:
    """MACE's parser; where that can be done, one that takes our loss and its options, so that a reason can be given."""
    parser = original(*args, **kwargs)
    try:
        from ..run.options import add_arguments

        add_arguments(parser)
    except Exception:  # the fault may lie there
        with contextlib.suppress(Exception):
            parser._option_string_actions["--loss"].choices.append(LOSS_NAME)
    return parser


def _refuse(reason: str, original: Function, args: Any, *rest: Any, **kwargs: Any) -> Any:
    """Raise RuntimeError where a run asks for our loss, or gives one of its options."""
    asked = getattr(args, "loss", None) == LOSS_NAME
    if asked or any(name.startswith(f"{LOSS_NAME}_") for name in getattr(args, "__dict__", {})):
        raise RuntimeError(f"--loss={LOSS_NAME}: mace-outlier is not active: {reason}")
    return original(args, *rest, **kwargs)
