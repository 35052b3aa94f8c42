"""The options of `--loss=ema_robust`: names, defaults, help and validation, all from one dataclass."""

import argparse
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

LOSS_NAME = "ema_robust"
THRESHOLDS = {"mixture": 8.0, "gaussian": 2.0}  # in sigmas, of the log loss in the first epoch, and of the loss


def number(kind: type, allowed: str, accept: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """Return a parser of numbers for argparse that names the allowed range in its error."""

    def parse(text: Any) -> Any:
        try:
            value = kind(text)
        except (TypeError, ValueError):
            value = None
        if value is None or not accept(value) or (kind is int and isinstance(text, float) and text != value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {allowed}")
        return value

    return parse


def choice(*names: str) -> Callable[[Any], str]:
    """Return a parser for argparse that lists the names in its error."""

    def parse(text: Any) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(names)}")
        return str(text)

    return parse


def option(default: Any, parse: Callable[[Any], Any], help: str) -> Any:
    """Return a dataclass field with what the command line needs."""
    return dataclasses.field(default=default, metadata={"parse": parse, "help": help})


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the outlier weighting; every field is the flag and the YAML key `ema_robust_<field>`.

    Raises (from `from_arguments`): ValueError that names the flag, the value and what is allowed.
    """

    base_loss: str = option("weighted", str, "MACE loss whose configurations are weighted")
    distribution: str = option(
        "mixture",
        choice("mixture", "gaussian"),
        "how labels are judged: by the part of their errors that geometry can't explain (mixture), or, as published, "
        "by the loss, taken for normally distributed (gaussian)",
    )
    threshold: float | None = option(
        None,
        number(float, "a number of sigmas > 0, or inf", lambda value: value > 0),
        "standard deviations at which the weight of a configuration is 1/2: of the loss (gaussian), or of the log loss "
        "in the first epoch, before anything is judged (mixture); inf: never down-weight",
    )
    scope: str = option(
        "configuration",
        choice("configuration", "property"),
        "what loses weight: a configuration as a whole, or only those of its labels (energy, forces, stress, virials) "
        "that look wrong",
    )
    selection: str = option(
        "robust",
        choice("robust", "stock"),
        "validation loss that chooses checkpoints, learning rate and early stopping: weighted as in training, or stock",
    )
    optimizer: str = option(
        "renewed",
        choice("renewed", "kept"),
        "what becomes of the moments of Adam, which count gradients of long ago, once labels that made up most of the "
        "loss have lost their weight: they begin anew (renewed), or are kept, as in stock MACE",
    )
    alpha: float = option(
        0.9,
        number(float, "in [0, 1)", lambda value: 0 <= value < 1),
        "weight of the previous statistics in their exponential moving average over batches",
    )
    variance: str = option(
        "running",
        choice("running", "batch"),
        "variance of the losses: about the running mean (any batch size), or within the batch (as published)",
    )
    warmup: int = option(
        100,
        number(int, "a whole number >= 0", lambda value: value >= 0),
        "configurations of a head that are seen before the first weight below 1",
    )

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace, base_losses: Sequence[str]) -> "Options":
        """Read and check the options from MACE's arguments; absent ones take their defaults."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = getattr(arguments, flag(field.name), field.default)
            try:
                values[field.name] = value if value is field.default is None else field.metadata["parse"](value)
            except argparse.ArgumentTypeError as error:
                raise ValueError(f"--{flag(field.name)}: {error}") from None
        if values["base_loss"] not in base_losses:
            known = ", ".join(base_losses)
            raise ValueError(
                f"--{flag('base_loss')}: {values['base_loss']!r} is not a loss of MACE: choose from {known}"
            )
        return cls(**values)

    def __post_init__(self) -> None:
        if self.scope == "property" and self.distribution != "mixture":
            raise ValueError(
                f"--{flag('scope')}=property needs --{flag('distribution')}=mixture: one normal distribution of the "
                "losses can't tell which property is wrong"
            )
        if self.threshold is None:
            object.__setattr__(self, "threshold", THRESHOLDS[self.distribution])

    def describe(self) -> str:
        """One line for the log."""
        sigmas = "inf (never down-weight)" if self.threshold == math.inf else f"{self.threshold:g} sigma"
        return (
            f"base loss: {self.base_loss}, distribution: {self.distribution}, threshold: {sigmas}, "
            f"alpha: {self.alpha:g}, variance: {self.variance}, warm-up: {self.warmup} configurations, "
            f"scope: {self.scope}, model selection: {self.selection}, moments of the optimiser: {self.optimizer}"
        )


def flag(field_name: str) -> str:
    """Return the name of a field's flag and YAML key."""
    return f"{LOSS_NAME}_{field_name}"


def default_of(field: Any) -> str:
    """Return the default of a field for the help."""
    if field.name == "threshold":
        return ", ".join(f"{name} {value:g}" for name, value in THRESHOLDS.items())
    return str(field.default)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Make the loss and its flags known to MACE's parser.

    Absent options stay absent from the namespace, so that one given without the loss can be told from a default.
    """
    loss = parser._option_string_actions["--loss"]
    base_losses = list(loss.choices or ())
    loss.choices = [*base_losses, LOSS_NAME]
    group = parser.add_argument_group(f"outlier weighting (mace-outlier), with --loss={LOSS_NAME}")
    for field in dataclasses.fields(Options):
        group.add_argument(
            f"--{flag(field.name)}",
            help=f"{field.metadata['help']} (default: {default_of(field)})",
            type=field.metadata["parse"],
            choices=base_losses if field.name == "base_loss" else None,
            default=argparse.SUPPRESS,
        )


def refuse_stray_options(arguments: argparse.Namespace) -> None:
    """Raise ValueError where an `ema_robust_*` option was given for another loss: no option is silently ignored."""
    stray = [flag(field.name) for field in dataclasses.fields(Options) if hasattr(arguments, flag(field.name))]
    if stray:
        raise ValueError(
            f"--{stray[0]} has no effect with --loss={arguments.loss}: add --loss={LOSS_NAME} "
            f"(and --{flag('base_loss')}={arguments.loss} to keep the loss), or remove the option"
        )
