"""The loss of MACE that is weighed: which there are, which one the user means, which settings it leaves unused."""

import argparse
import importlib
import logging
import sys
from pathlib import Path

import yaml

from ..losses.reduction import PerConfigurationLoss
from ..run.options import LOSS_NAME, flag

# labels that only some losses train on: a weight that was set for one of them says that it was to be trained
WEIGHTED_LABELS = ("stress", "virials", "dipole", "polarizability")


def base_losses() -> list[str]:
    """Return the losses that MACE offers."""
    parser = importlib.import_module("mace.tools").build_default_arg_parser()
    return [name for name in parser._option_string_actions["--loss"].choices if name != LOSS_NAME]


def loss_of_config(args: argparse.Namespace) -> str | None:
    """Return the loss that the YAML file of `--config` names, where the command line has replaced it by ours.

    Whoever adds `--loss=ema_robust` to a training that has a `loss: stress` means that loss, weighed.
    """
    try:
        return yaml.safe_load(Path(args.config).read_text(encoding="utf-8"))["loss"]
    except (AttributeError, TypeError, KeyError, OSError, ValueError, yaml.YAMLError):  # none, or none that we can read
        return None


def unsupported_losses() -> dict[str, str]:
    """Losses of MACE that can't be weighed by configurations, and why; examined as at the start of a run."""
    tools, utils = importlib.import_module("mace.tools"), importlib.import_module("mace.tools.scripts_utils")
    args, reasons = tools.build_default_arg_parser().parse_args(["--name=doctor", "--train_file=none.xyz"]), {}
    for name in base_losses():
        args.loss = name
        try:
            loss = utils.get_loss_fn(args, name == "dipole", name == "energy_forces_dipole")
            PerConfigurationLoss(loss, sys.modules["mace.modules.loss"])
        except Exception as error:
            reasons[name] = f"{type(error).__name__}: {error}"
    return reasons


def warn_of_another_loss(name: str, meant: str) -> None:
    """Say where MACE trains with another loss than the user means: multi-head fine-tuning does so, with "universal"."""
    if name != meant:
        logging.warning(f"MACE trains with loss {name} instead of {meant}; {LOSS_NAME} weighs it")


def warn_of_unused_weights(args: argparse.Namespace, labels: tuple[str, ...]) -> None:
    """Name the weights that were set for labels that the base loss doesn't use, as the user would write them."""
    parser = importlib.import_module("mace.tools").build_default_arg_parser()
    names = [f"{label}_weight" for label in WEIGHTED_LABELS if label not in labels]
    values = {name: getattr(args, name, 0.0) for name in names}
    unused = [f"--{name}={value:g}" for name, value in values.items() if value not in (0.0, parser.get_default(name))]
    if unused:
        logging.warning(
            f"{' '.join(unused)} has no effect: the base loss {args.loss} doesn't use it. Is it the loss that you "
            f"mean? See --{flag('base_loss')}"
        )
