"""What is wrong with labels, before any training and without a model: seconds to minutes, no GPU.

    mace_outlier check train.xyz
    mace_outlier check --config water.yaml          # files, keys, heads, E0s of the training
    mace_outlier check train.xyz --only work duplicates --json findings.json --html findings.html

Reads what MACE reads, with its keys. A finding is certain, likely, or something to look at. Exit code: 1 where
something is certainly wrong, 2 where an option or a file can't be read, 0 otherwise.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..data.clean import clean

OPTIONS = {  # of mace_run_train
    "train_file": "training file, or a folder of HDF5 or LMDB files",
    "valid_file": "validation file",
    "test_file": "test file",
    "energy_key": "default: REF_energy",
    "forces_key": "default: REF_forces",
    "stress_key": "default: REF_stress",
    "virials_key": "default: REF_virials",
    "total_charge_key": "default: total_charge",
    "total_spin_key": "default: total_spin",
    "E0s": "as in mace_run_train: checked against the data",
    "statistics_file": "as in mace_run_train: its E0s are checked against the data",
    "heads": "as in mace_run_train",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mace_outlier check`."""
    parser.add_argument("data", nargs="*", metavar="DATA", help="training files, or folders of HDF5 or LMDB files")
    parser.add_argument("--config", type=Path, metavar="YAML", help="options of mace_run_train; others are not read")
    for name, text in OPTIONS.items():
        parser.add_argument(f"--{name}", help=text)
    parser.add_argument("--r_max", type=float, help="cutoff of the model, Angstrom")
    parser.add_argument("--only", nargs="+", default=[], metavar="CHECK", help="run these checks only")
    parser.add_argument("--skip", nargs="+", default=[], metavar="CHECK", help="leave these checks out")
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the findings, with all frames, there")
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write a page with the findings there")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core, 8 at most)")


def run(arguments: argparse.Namespace) -> None:
    """Check, show and write; ends the program with the exit code."""
    try:
        certain = _run(arguments)
    except (ValueError, OSError) as error:
        print(f"mace_outlier check: error: {clean(error, 2000)}", file=sys.stderr)
        sys.exit(2)
    if certain:
        sys.exit(1)


def _run(arguments: argparse.Namespace) -> bool:
    """Whether something is certainly wrong."""
    from ..checks import catalogue
    from ..checks.inputs import gather, read_config
    from ..checks.settings import Settings
    from ..checks.survey_files import survey
    from . import checked
    from .output import may_be_unread
    from .outputs import keep_inputs, refuse_folders, refuse_twins

    if arguments.list:
        print("\n".join(f"{name:12}{what}" for name, (_, what) in catalogue.CHECKS.items()))
        return False
    names = catalogue.chosen(arguments.only, arguments.skip)
    if arguments.workers is not None and arguments.workers < 1:
        raise ValueError(f"--workers {arguments.workers}: 1 or more")
    if arguments.html and arguments.html.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--html {arguments.html}: the name of the page has to end in .html")
    config = read_config(arguments.config) if arguments.config else {}
    given: dict[str, Any] = {name: getattr(arguments, name) for name in (*OPTIONS, "r_max")}
    inputs = gather(arguments.data, {name: value for name, value in given.items() if value is not None}, config)
    given_outputs = {"--json": arguments.json, "--html": arguments.html}
    outputs = {flag: path for flag, path in given_outputs.items() if path}
    refuse_folders(outputs)
    keep_inputs(outputs, [*inputs.read, *([arguments.config] if arguments.config else [])], "that is checked")
    refuse_twins(outputs)
    known = survey(inputs, Settings(), arguments.workers)
    findings = catalogue.run(known, names)
    if arguments.json:
        checked.write_json(arguments.json, known, findings, names)
    if arguments.html:
        from .checked_page import page_of, write_findings

        write_findings(page_of(known, findings, names), arguments.html)
    with may_be_unread():
        checked.show(known, findings, names)
        if arguments.html:
            print(f"page: {arguments.html}")
    return any(finding.certainty == "certain" for finding in findings)
