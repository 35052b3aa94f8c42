"""Score a data set by a trained model, without training: which labels don't fit, as `report` shows after a training.

    mace_outlier audit --model mace.model --data new_data.xyz

The loss of a configuration is that of MACE's `weighted`: energy_weight (dE / n)^2 + forces_weight mean |dF|^2, where dE
is taken after a constant shift for each element (another code is not an error; --e0_shift=none leaves it in).
Stresses and virials are audited on demand (--stress_weight=1), and count as in MACE's losses of these names.
z-scores and weights are those of a training's default: the part of the errors that no function of the geometry (the
model's own features) explains, in units of what is expected of such a configuration. Fewer than 8 configurations are
taken for one normal distribution of losses, with half the weight at 2 standard deviations.
A loss says that model and label disagree: which of them is wrong depends on how far the model can be trusted.

A model is a pickled Python module: loading it can run any code that whoever made it put there, and torch has no safe
way to read it. Audit with models that you trained, or whose makers you trust. Data files and results are only read.
"""

import argparse
import math
from pathlib import Path
from typing import Any

from ...data.labels import ALWAYS
from ...run.options import number

WEIGHTS = {"energy": 1.0, "forces": 100.0, "stress": 0.0, "virials": 0.0}  # those of MACE's `weighted`
KEYS = {f"{label}_key": f"REF_{label}" for label in WEIGHTS} | {
    f"{name}_key": name for name in ("total_charge", "total_spin", "elec_temp")
}  # where labels and conditions are; MACE's names and defaults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command; names are those of MACE's training."""
    weight = number(float, "a number, 0 or more", lambda value: 0 <= value < math.inf)
    size = number(int, "1 or more", lambda value: value >= 1)
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="trained model, <name>.model; loading it runs code in it: only from whom you trust",
    )
    parser.add_argument("--data", nargs="+", required=True, help="files that MACE trains on (a folder: its shards)")
    parser.add_argument("--out", type=Path, help="prefix of the results, or a folder for <data>_audit (default: this)")
    parser.add_argument("--head", default="", help="head of the model, if it has several")
    for name, key in KEYS.items():
        parser.add_argument(f"--{name}", default=key, help="default: %(default)s")
    for label, default in WEIGHTS.items():
        parser.add_argument(f"--{label}_weight", type=weight, default=default, help="default: %(default)s")
    parser.add_argument("--e0_shift", choices=("fit", "none"), default="fit", help="default: %(default)s")
    parser.add_argument("--batch_size", type=size, default=10, help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="cpu, cuda ... (default: cuda where there is one)")
    parser.add_argument("--default_dtype", choices=("float32", "float64"), default="", help="default: the model's")
    parser.add_argument("--truth", metavar="KEY", help="info key that says which labels are known to be wrong")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, write the results, and show the report; raises ValueError where something doesn't fit."""
    weights = {label: getattr(arguments, f"{label}_weight") for label in WEIGHTS}
    if not any(weights.values()):
        raise ValueError("--energy_weight and --forces_weight are both 0: nothing is left to score")
    sources = sources_of(arguments.data)
    prefix = prefix_of(arguments.out, arguments.data[0])
    from ...__main__ import main
    from ...data.sources import find_source
    from ...results.writing import set_aside, write_results
    from .evaluate import Evaluation
    from .judge import about, judge

    for source in sources:
        find_source(source)  # all of them, before the first is read
    keys = {name: getattr(arguments, name) for name in KEYS}
    labels = tuple(label for label in WEIGHTS if label in ALWAYS or weights[label])
    evaluation = Evaluation(load(arguments), sources, keys, labels, arguments.batch_size)
    scores = evaluation.score()
    for reason, frames in scores.reading.items():
        print(f"{frames} frames: {reason}")
    for label, frames in scores.left_out.items():
        if frames:
            print(f"{frames} frames: {label} not audited (--{label}_weight=1 does)")
    verdict = judge(scores, arguments)
    for path in set_aside(prefix):
        print(f"The results of an earlier audit are now {path}")
    causes = evaluation.examine(prefix, verdict.table)
    write_results(prefix, verdict.table | causes, about(prefix, scores, verdict, arguments))
    main(["report", str(prefix), *(["--truth", arguments.truth] if arguments.truth else [])])


def sources_of(names: list[str]) -> list[str]:
    """Return the files that --data names, each once."""
    from ...data.sources import shards

    try:
        return list(dict.fromkeys(source for name in names for source in shards(name)))
    except ValueError as error:
        raise ValueError(f"--data {error}") from error


def prefix_of(out: Path | None, data: str) -> Path:
    """Return the prefix of the results: --out, or a name after the data in the folder that --out is."""
    name = f"{Path(data).stem}_audit"
    if out is None:
        return Path(name)
    return out / name if out.is_dir() else out


def load(arguments: argparse.Namespace) -> Any:
    """Return the model, ready to evaluate."""
    import torch

    from ...mace.models import Predictor

    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return Predictor(arguments.model, device, arguments.default_dtype, arguments.head)
