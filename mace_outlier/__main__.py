"""The command `mace_outlier`: train, and what is done with the results of a training."""

import argparse
import importlib
import sys

from . import __version__, _boot
from .cli.output import may_be_unread
from .data.clean import clean

LONGEST = 2000  # characters of an error, which may quote a data file

# command -> (module with `add_arguments(parser)` and `run(arguments)`, help); loaded only when asked for
COMMANDS = {
    "check": ("cli.check", "what is wrong with labels, before any training and without a model"),
    "report": ("cli.report", "which configurations look wrong: a table here, and a page with figures"),
    "export": ("cli.export", "the training set as two files: suspects, and trusted configurations"),
    "audit": ("cli.audit", "the same scores for a data set and a trained model, without training"),
    "doctor": ("cli.doctor", "versions, how the plugin is activated, and whether a run would work"),
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command of mace-outlier."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["train"]:
        train(arguments[1:])
        return
    parser = argparse.ArgumentParser(prog="mace_outlier", description="Outlier weighting for MACE.")
    parser.add_argument("--version", action="version", version=f"mace-outlier {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="mace_run_train with the plugin; takes its options", add_help=False)
    for name, (_, help) in COMMANDS.items():
        commands.add_parser(name, help=help, add_help=False)
    command = parser.parse_known_args(arguments[:1])[0].command
    module = importlib.import_module(f"mace_outlier.{COMMANDS[command][0]}")
    parser = argparse.ArgumentParser(
        prog=f"mace_outlier {command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    try:
        with may_be_unread():
            module.run(parser.parse_args(arguments[1:]))
    except (ValueError, OSError) as error:  # what the user can mend; anything else is ours and shows where
        sys.exit(f"mace_outlier {command}: error: {clean(error, LONGEST)}")


def train(arguments: list[str]) -> None:
    """Start `mace_run_train` with the plugin applied."""
    if _boot.disabled():
        sys.exit(
            f"mace_outlier train: {_boot.DISABLE} is set, which switches the plugin off; unset it to train with it"
        )
    _boot.install()
    importlib.import_module(_boot.TRAINING)
    from mace_outlier.mace.context import CONTEXT
    from mace_outlier.mace.hooks import start_training

    if _boot.host_loads_plugins():
        plugins = sys.modules[_boot.PLUGINS]
        plugins.load_plugins()
        if not CONTEXT.applied:
            _boot.register(plugins.extend)  # where our entry point is not found, as under `pip --target`
    start_training(arguments)


if __name__ == "__main__":
    main()
