"""Seams of MACE's training: each is named after the function of MACE that it wraps, and called with the original first.

Where the run didn't ask for `ema_robust`, only the first two are called (`context.seam`). What was checked in MACE's
sources, version by version, is in CONTRIBUTING.md ("When MACE moves").
"""

import argparse
import contextlib
import copy
import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..data.tagging import TAGGING
from ..faults import faults_logged
from ..run import distributed
from ..run.options import LOSS_NAME, Options, add_arguments, flag, refuse_stray_options
from ..run.steps import taken_back_unless_finite
from ..run.training import RobustTraining
from . import first_look, seams
from .base_loss import base_losses, loss_of_config, warn_of_another_loss, warn_of_unused_weights
from .context import CONTEXT, always, seam, training
from .data import trace
from .geometry import fault_of
from .invariants import scalar_columns
from .treatment import counted

RUN_TRAIN, LOOP, CHECKPOINT = "mace.cli.run_train", "mace.tools.train", "mace.tools.checkpoint"
CHECKPOINT_KEY = "mace_outlier"


# --- the seams -------------------------------------------------------------------------------------------------------


@seam(
    "mace.tools.arg_parser:build_default_arg_parser", "mace.tools:build_default_arg_parser",
    when=always, called_in=RUN_TRAIN,
)  # fmt: skip
def build_default_arg_parser(original: Callable[..., Any], *args: Any, **kwargs: Any) -> argparse.ArgumentParser:
    """Make the loss and its options known to `mace_run_train` and to the YAML file of `--config`."""
    parser = original(*args, **kwargs)
    add_arguments(parser)
    return parser


@seam(
    "mace.tools.arg_parser_tools:check_args", "mace.tools:check_args",
    when=always, takes=("args",), called_in=RUN_TRAIN,
)  # fmt: skip
def check_args(original: Callable[..., Any], args: argparse.Namespace, *rest: Any, **kwargs: Any) -> Any:
    """Translate `--loss=ema_robust` into its base loss, so that all of MACE that looks at `args.loss` goes on working.

    The caller's namespace stays as it is: `run` may be called with it again.
    """
    CONTEXT.begin(None)
    if getattr(args, "loss", None) == LOSS_NAME:
        args, losses = copy.copy(args), base_losses()
        if not hasattr(args, flag("base_loss")) and (named := loss_of_config(args)) in losses:
            setattr(args, flag("base_loss"), named)
        options = Options.from_arguments(args, losses)
        args.loss = options.base_loss
        CONTEXT.begin(RobustTraining(options))
    else:
        refuse_stray_options(args)
    result = original(args, *rest, **kwargs)
    if CONTEXT.run is not None:
        CONTEXT.run.arguments = dict(vars(result[0]))
    return result


@seam("mace.tools.scripts_utils:get_loss_fn", takes=("args",), called_in=RUN_TRAIN)
def get_loss_fn(original: Callable[..., Any], args: argparse.Namespace, *rest: Any, **kwargs: Any) -> torch.nn.Module:
    """Put the robust loss around the loss of stage one."""
    base = original(args, *rest, **kwargs)
    warn_of_another_loss(args.loss, CONTEXT.current.options.base_loss)
    robust = CONTEXT.current.wrap(base, sys.modules["mace.modules.loss"], "stage_one")
    with faults_logged("Settings could not be compared with the loss"):
        warn_of_unused_weights(args, robust.per_configuration.labels)
    return robust


@seam("mace.tools.scripts_utils:get_swa", called_in=RUN_TRAIN)
def get_swa(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Put the robust loss around the loss of stage two, with statistics of its own."""
    result = original(*args, **kwargs)
    swa = result[0]
    swa.loss_fn = CONTEXT.current.wrap(swa.loss_fn, sys.modules["mace.modules.loss"], "stage_two")
    return result


@seam(
    "mace.tools.train:train", "mace.tools:train", called_in=RUN_TRAIN,
    needs=(
        "model", "train_loader", "valid_loaders", "device", "log_wandb", "ema", "output_args", "logger", "rank",
        "checkpoint_handler",
    ),
)  # fmt: skip
def train(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Tag the training samples, and only them, for the time of the training; report at its end."""
    try:
        return _train(original, *args, **kwargs)
    finally:
        CONTEXT.begin(None)  # what a program does afterwards with MACE's functions is no robust training


def _train(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    run, given = CONTEXT.current, seams.arguments_of(original, args, kwargs)
    run.reading = counted()
    loader, heads, validation = given["train_loader"], list(given["valid_loaders"]), given["valid_loaders"].values()
    # <results_dir>/<tag>, as of MACE's own results
    prefix = Path(given["logger"].path.removesuffix("_train.txt"))
    run.start(
        loader.dataset, *trace(loader.dataset.datasets, heads), given["device"], prefix, given["log_wandb"],
        validation=trace([of_head.dataset for of_head in validation], heads), scalars=scalar_columns(given["model"]),
        fault_of=fault_of, has_checkpoint=partial(has_checkpoint, given["checkpoint_handler"].io),
    )  # fmt: skip
    if given["rank"] == 0:
        first_look.look(run, given["model"], len(loader))
    with run.tagging(loader, list(validation)), TAGGING.switched(True, afterwards=False):
        result = original(*args, **kwargs)
    averaged = given["ema"].average_parameters() if given["ema"] is not None else contextlib.nullcontext()
    with faults_logged("What the run thinks of its configurations could not be saved"), averaged:
        run.finish(given["model"], loader, given["output_args"], [of_head.dataset for of_head in validation])
    return result


@seam("mace.tools.train:train_one_epoch", needs=("epoch", "loss_fn", "data_loader", "optimizer", "ema"), called_in=LOOP)
def train_one_epoch(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Tell the run which epoch it is, keep gradients that aren't finite from the optimiser, and log the weights."""
    run, given = CONTEXT.current, seams.arguments_of(original, args, kwargs)
    with faults_logged("An epoch could not be begun"):
        run.begin_epoch(given["epoch"], given["loss_fn"], len(given["data_loader"]))
    if isinstance(given["optimizer"], torch.optim.LBFGS):  # MACE asks that as well: see take_step_lbfgs
        result = original(*args, **kwargs)
    else:
        with run.guard.of(given["optimizer"], given["ema"]) as guarded:
            result = seams.call_with(original, args, kwargs, optimizer=guarded)
    with faults_logged("The labels could not be judged", passed_on=distributed.active()):
        run.end_epoch(given["loss_fn"])
    return result


@seam("mace.tools.train:evaluate", when=training, needs=("loss_fn",), called_in=LOOP)
def evaluate(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Give the training loop, which chooses checkpoints by it, a weighted validation loss.

    Only within the loop: error tables, which come after it, stay stock.
    """
    loss = seams.arguments_of(original, args, kwargs)["loss_fn"]
    return CONTEXT.current.select(loss, lambda: original(*args, **kwargs))


@seam("mace.tools.train:take_step_lbfgs", needs=("loss_fn", "optimizer", "ema"), called_in=LOOP)
def take_step_lbfgs(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Hold the weights while LBFGS evaluates the loss over and over within one step, and keep its model finite."""
    given = seams.arguments_of(original, args, kwargs)
    step = taken_back_unless_finite(given["optimizer"], given["ema"])
    with given["loss_fn"].frozen_weights(), step as CONTEXT.current.guard.taken_back:
        return original(*args, **kwargs)


@seam("mace.tools.checkpoint:CheckpointBuilder.create_checkpoint", when=training, called_in=CHECKPOINT)
def create_checkpoint(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Add our state to MACE's checkpoint, under one key, and bring our results to the same state."""
    checkpoint = original(*args, **kwargs)
    with faults_logged("A checkpoint lacks the loss statistics", "a restart from it begins with fresh ones"):
        checkpoint[CHECKPOINT_KEY] = CONTEXT.current.state_dict()
    CONTEXT.current.checkpoint_made()
    return checkpoint


@seam("mace.tools.checkpoint:CheckpointBuilder.load_checkpoint", needs=("checkpoint",), called_in=CHECKPOINT)
def load_checkpoint(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Keep our part of a checkpoint that MACE continues from."""
    result = original(*args, **kwargs)
    CONTEXT.current.remember_checkpoint(seams.arguments_of(original, args, kwargs)["checkpoint"].get(CHECKPOINT_KEY))
    return result


# --- details ---------------------------------------------------------------------------------------------------------


def has_checkpoint(io: Any, epoch: int) -> bool:
    """Whether MACE has one of an epoch, of stage one or two; `io`: its CheckpointIO."""
    path = Path(io.directory, f"{io.tag}_epoch-{epoch}")
    return any(path.with_name(path.name + ending).exists() for ending in (".pt", "_swa.pt"))


def start_training(arguments: list[str]) -> None:
    """Run MACE's training command with these arguments."""
    run_train = importlib.import_module("mace.cli.run_train")
    sys.argv = ["mace_run_train", *arguments]
    run_train.main()
