"""`python -m mace_outlier train ...`: MACE's training with the plugin, without the start-up hook."""

import argparse
import sys

from . import __version__, _boot


def main(arguments: list[str] | None = None) -> None:
    """Run a command of mace-outlier."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m mace_outlier", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mace-outlier {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("train", help="mace_run_train with the plugin; takes its options", add_help=False)
    command, rest = parser.parse_known_args(arguments[:1])[0].command, arguments[1:]
    if command == "train":
        train(rest)


def train(arguments: list[str]) -> None:
    """Start `mace_run_train` with the plugin applied."""
    if _boot.disabled():
        sys.exit(
            f"mace_outlier train: {_boot.DISABLE} is set, which switches the plugin off; unset it to train with it"
        )
    _boot.install()
    from mace_outlier.plugin import start_training

    start_training(arguments)


if __name__ == "__main__":
    main()
