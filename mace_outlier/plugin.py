"""The only module that knows MACE: it wraps MACE's own functions ("seams") so that `--loss=ema_robust` works.

Every seam is a function below, named after the MACE function that it wraps and called with the original first. A seam
does nothing but pass the call on unless the run asked for `ema_robust`. What was checked in MACE's sources, version by
version, is in CONTRIBUTING.md ("When MACE moves").
"""

import argparse
import copy
import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch

from ._boot import MARK
from .dataset import FiniteBatches, TaggedDataset
from .loss import RobustLoss
from .options import LOSS_NAME, Options, add_arguments, refuse_stray_options
from .training import RobustTraining

OLDEST_MACE = (0, 3, 13)
CHECKPOINT_KEY = "mace_outlier"

applied = False  # True once all seams are wrapped
_run: RobustTraining | None = None  # the robust training in progress, if any; set anew by check_args for every run


class UnsupportedMACEError(RuntimeError):
    """This MACE lacks a function that the plugin wraps, or is older than the oldest version that works."""


# --- the seams -------------------------------------------------------------------------------------------------------

SEAMS: dict[str, Callable[..., Any]] = {}


def seam(*places: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a wrapper for the MACE function at `places`, "module:name" or "module:Class.name" each."""

    def register(wrapper: Callable[..., Any]) -> Callable[..., Any]:
        SEAMS.update(dict.fromkeys(places, wrapper))
        return wrapper

    return register


@seam("mace.tools.arg_parser:build_default_arg_parser", "mace.tools:build_default_arg_parser")
def build_default_arg_parser(original: Callable[..., Any], *args: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Make the loss and its options known to `mace_run_train` and to the YAML file of `--config`."""
    parser = original(*args, **kwargs)
    loss = parser._option_string_actions["--loss"]
    base_losses = list(loss.choices)
    loss.choices = [*base_losses, LOSS_NAME]
    add_arguments(parser, base_losses)
    return parser


@seam("mace.tools.arg_parser_tools:check_args", "mace.tools:check_args")
def check_args(original: Callable[..., Any], args: argparse.Namespace) -> Any:
    """Translate `--loss=ema_robust` into its base loss, so that all of MACE that looks at `args.loss` goes on working.

    The caller's namespace stays as it is: `run` may be called with it again.
    """
    global _run
    _run = None
    if getattr(args, "loss", None) == LOSS_NAME:
        options = Options.from_arguments(args, base_losses())
        args = copy.copy(args)
        args.loss = options.base_loss
        _run = RobustTraining(options)
    else:
        refuse_stray_options(args)
    return original(args)


@seam("mace.tools.scripts_utils:get_loss_fn")
def get_loss_fn(original: Callable[..., Any], args: argparse.Namespace, *rest: Any, **kwargs: Any) -> torch.nn.Module:
    """Put the robust loss around the loss of stage one."""
    base = original(args, *rest, **kwargs)
    if _run is None:
        return base
    _run.note_base_loss(args.loss)  # multi-head fine-tuning sets "universal" after check_args
    return _run.wrap(base, sys.modules["mace.modules.loss"], "stage_one")


@seam("mace.tools.scripts_utils:get_swa")
def get_swa(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Put the robust loss around the loss of stage two, with statistics of its own."""
    swa, swas = original(*args, **kwargs)
    if _run is not None:
        swa.loss_fn = _run.wrap(swa.loss_fn, sys.modules["mace.modules.loss"], "stage_two")
    return swa, swas


@seam("mace.tools.train:train", "mace.tools:train")
def train(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Tag the training samples, and only them, for the time of the training; report at its end."""
    run = _run
    if run is None:
        return original(*args, **kwargs)
    given = arguments_of(original, args, kwargs)
    loader = given["train_loader"]
    run.refuse_unsupported(distributed=given["distributed"], optimizer=given["optimizer"])
    tagged = TaggedDataset(loader.dataset)
    run.start(tagged, heads=list(given["valid_loaders"]), device=given["device"], wandb=given["log_wandb"])
    # DataLoader refuses `loader.dataset = ...`; this keeps its sampler, generator and order
    loader.__dict__["dataset"] = tagged
    try:
        result = original(*args, **kwargs)
    finally:
        loader.__dict__["dataset"] = tagged.dataset
    run.finish()
    return result


@seam("mace.tools.train:train_one_epoch")
def train_one_epoch(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Tell the run which epoch it is, and log the weights after it."""
    given = arguments_of(original, args, kwargs) if _run is not None else {}
    if _run is None or not isinstance(given["loss_fn"], RobustLoss):
        return original(*args, **kwargs)
    _run.begin_epoch(given["epoch"])
    result = original(*args, **kwargs)
    _run.end_epoch(given["loss_fn"])
    return result


@seam("mace.tools.train:take_step_lbfgs")
def take_step_lbfgs(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Hold the weights while LBFGS evaluates the loss over and over within one step."""
    loss = arguments_of(original, args, kwargs)["loss_fn"] if _run is not None else None
    if not isinstance(loss, RobustLoss):
        return original(*args, **kwargs)
    with loss.frozen_weights():
        return original(*args, **kwargs)


@seam("mace.tools.checkpoint:CheckpointBuilder.create_checkpoint")
def create_checkpoint(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Add our state to MACE's checkpoint, under one key."""
    checkpoint = original(*args, **kwargs)
    if _run is not None and _run.started:
        checkpoint[CHECKPOINT_KEY] = _run.state_dict()
    return checkpoint


@seam("mace.tools.checkpoint:CheckpointBuilder.load_checkpoint")
def load_checkpoint(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Keep our part of a checkpoint that MACE continues from."""
    result = original(*args, **kwargs)
    if _run is not None:
        _run.remember_checkpoint(arguments_of(original, args, kwargs)["checkpoint"].get(CHECKPOINT_KEY))
    return result


@seam("mace.data:compute_average_E0s", "mace.data.utils:compute_average_E0s")
def compute_average_e0s(original: Callable[..., Any], collections_train: Any, *args: Any, **kwargs: Any) -> Any:
    """Leave configurations without a finite energy out of the regression for E0s=average."""
    if _run is not None:
        collections_train = [
            configuration for configuration in collections_train if is_finite(configuration.properties.get("energy"))
        ]
    return original(collections_train, *args, **kwargs)


@seam(
    "mace.modules:scaling_classes.std_scaling",
    "mace.modules:scaling_classes.rms_forces_scaling",
)
def scaling(original: Callable[..., Any], data_loader: Any, *args: Any, **kwargs: Any) -> Any:
    """Leave configurations with non-finite labels out of the model's scale and shift."""
    return original(data_loader if _run is None else FiniteBatches(data_loader), *args, **kwargs)


# --- applying them ---------------------------------------------------------------------------------------------------


def apply() -> None:
    """Wrap all seams, or none: raises UnsupportedMACEError, with MACE untouched, where one is missing."""
    global applied
    check_version()
    found = [(*locate(place), wrapper) for place, wrapper in SEAMS.items()]
    if not hasattr(importlib.import_module("mace.modules.loss"), "reduce_loss"):
        raise UnsupportedMACEError(describe("mace.modules.loss:reduce_loss"))
    for holder, name, original, wrapper in found:
        if not hasattr(original, MARK):
            put(holder, name, wrapped(original, wrapper))
    applied = True


def wrapped(original: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Bind `original` as the first argument of `wrapper`, under the original's name and signature."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    setattr(call, MARK, True)
    return call


def check_version() -> None:
    """Raise UnsupportedMACEError for a MACE older than the oldest one that works."""
    version = importlib.import_module("mace").__version__
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers < OLDEST_MACE:
        raise UnsupportedMACEError(
            f"{LOSS_NAME} needs mace-torch >= {'.'.join(map(str, OLDEST_MACE))}, found {version}"
        )


def locate(place: str) -> tuple[Any, str, Callable[..., Any]]:
    """Return the object that holds a seam, the seam's name in it, and what is there now."""
    module_name, _, path = place.partition(":")
    try:
        holder: Any = importlib.import_module(module_name)
        # `import mace.tools.train as t` would give the function of that name
        holder = sys.modules[module_name]
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        return holder, name, holder[name] if isinstance(holder, dict) else getattr(holder, name)
    except (ImportError, AttributeError, KeyError):
        raise UnsupportedMACEError(describe(place)) from None


def describe(place: str) -> str:
    """Say that a seam is missing."""
    version = getattr(sys.modules.get("mace"), "__version__", "unknown")
    return f"mace-torch {version} has no {place.replace(':', '.')}: {LOSS_NAME} doesn't know this MACE"


def put(holder: Any, name: str, function: Callable[..., Any]) -> None:
    """Set a seam; the functions of a class that we wrap are static methods."""
    if isinstance(holder, dict):
        holder[name] = function
    else:
        setattr(holder, name, staticmethod(function) if inspect.isclass(holder) else function)


# --- details ---------------------------------------------------------------------------------------------------------


def arguments_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def base_losses() -> list[str]:
    """Return the losses that MACE offers."""
    parser = importlib.import_module("mace.tools").build_default_arg_parser()
    return [name for name in parser._option_string_actions["--loss"].choices if name != LOSS_NAME]


def is_finite(value: Any) -> bool:
    """True for a number that is neither NaN nor infinite."""
    return value is not None and bool(torch.isfinite(torch.as_tensor(value)).all())


def start_training(arguments: list[str]) -> None:
    """Run MACE's training command with these arguments."""
    run_train = importlib.import_module("mace.cli.run_train")
    sys.argv = ["mace_run_train", *arguments]
    run_train.main()
