"""What the labels say before the first step: the cheap ones of `mace_outlier check`, on the data that MACE has loaded.

It takes a hundredth of the first epoch at most (or a second, where that is more), reads no file that MACE hasn't
opened, and draws no random number that anything else could miss. Whatever goes wrong in it is logged; the training
goes on.
"""

import logging
import shlex
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..data.clean import clean
from ..data.labels import LABELS
from ..data.provenance import Provenance
from ..data.tagging import TAG_FIELD
from ..faults import faults_logged
from ..run.training import RobustTraining

SHOWN = 5  # findings that are logged


def look(run: RobustTraining, model: Any, steps: int) -> None:
    """Check training configurations one by one, as many as the time allows, and log what is wrong with them.

    Args:
        run: a training that knows its data.
        model: MACE's, for its elements and energies of isolated atoms.
        steps: of an epoch.
    """
    with faults_logged("The heads could not be checked"):
        warn_of_other_heads(run)
    with faults_logged("The labels could not be checked"):
        _look(run, model, steps)


def warn_of_other_heads(run: RobustTraining) -> None:
    """Say where MACE trains a head's configurations as those of another one: its HDF5 files know of no heads."""
    rows = run.provenance
    for head, first in zip(*np.unique(rows.head, return_index=True), strict=True):
        sample = run.dataset[int(rows.position_of_row[first])]
        trained_as = None if sample is None else getattr(sample, "head", None)
        if trained_as is not None and int(trained_as) != head:
            logging.warning(
                f"head {rows.heads[head]}: MACE trains the configurations of {clean(rows.sources[rows.source[first]])} "
                f"as those of head {rows.heads[int(trained_as)]}: its reader of HDF5 files ignores heads. Give it "
                "extended XYZ or LMDB"
            )


def _look(run: RobustTraining, model: Any, steps: int) -> None:
    started = time.perf_counter()
    from ..checks import catalogue
    from ..checks.finding import LOOK
    from ..checks.loaded import NAMES, budget, survey_loaded
    from ..checks.naming import frames_of
    from ..checks.settings import Settings

    settings = Settings()
    until = started + settings.look_reading * budget(steps, settings)
    frames = loaded(run, np.array([int(z) for z in model.atomic_numbers]))
    scale = given_scale(model, run.arguments)
    known = survey_loaded(frames, free_atoms(model), settings, until, float(model.r_max), scale)
    names = [name for name in NAMES if name != "labels" or {"energy", "forces"} & set(run.labels)]  # not of dipoles
    with np.errstate(all="ignore"):
        found = [finding for finding in catalogue.run(known, names) if finding.certainty != LOOK]
    took = time.perf_counter() - started
    logging.info(
        f"Labels of {len(known.frames)} of {len(run.provenance)} training configurations checked in {took:.1f} s "
        f"({', '.join(names)}): {len(found) or 'no'} finding{'s' * (len(found) != 1)}. "
        f"More checks, of all configurations: {command(run.provenance, run.arguments)}"
    )
    for finding in found[:SHOWN]:
        where = frames_of(known, finding)
        logging.warning(
            f"Labels, {'certainly wrong' if finding.certainty == 'certain' else 'likely wrong'}: "
            f"{clean(finding.what, 600)} [{where}]: {clean(finding.fix, 300)}"
        )
    if len(found) > SHOWN:
        logging.warning(f"Labels: and {len(found) - SHOWN} more findings, see mace_outlier check")


def command(provenance: Provenance, arguments: Mapping[str, Any]) -> str:
    """What to type for all checks of all files."""
    if arguments.get("config"):
        return f"mace_outlier check --config {shlex.quote(clean(arguments['config']))}"
    from ..checks.inputs import KEYS

    given = {name: arguments.get(f"{name}_key") for name in ("energy", "forces", "stress")}
    keys = [f"--{name}_key={key}" for name, key in given.items() if key and key != KEYS[name]]
    files = provenance.sources if len(provenance.sources) <= 3 else ["FILES"]
    return " ".join(shlex.quote(clean(word)) for word in ("mace_outlier", "check", *files, *keys))


def loaded(run: RobustTraining, elements: np.ndarray) -> Iterator[Any]:
    """Yield training configurations, those of all files and heads mixed, as checks take them."""
    from ..checks.inputs import Source, keys_of
    from ..checks.loaded import Loaded

    rows = run.provenance
    keys = {name: keys_of(run.arguments, name) for name in rows.sources}
    for row in map(int, np.random.default_rng(0).permutation(len(rows))):
        sample = run.dataset[int(rows.position_of_row[row])]
        if sample is None:  # MACE's LMDB could not read this entry
            continue
        name = rows.sources[rows.source[row]]
        source = Source(name, head=rows.heads[rows.head[row]], keys=keys[name])
        yield Loaded(source, int(rows.frame[row]), atoms_of(sample, elements, source.keys, run.labels))


def atoms_of(sample: Any, elements: np.ndarray, keys: Mapping[str, str], labels: Collection[str]) -> Atoms:
    """A sample of MACE with those labels of the loss that it has: a weight of 0 stands for one that it hasn't.

    Charge and spin stay out: MACE has a default for them, which says nothing.
    """
    numbers = elements[sample.node_attrs.argmax(dim=1).numpy()]
    given = getattr(sample, "pbc", None)  # MACE 0.3.13 doesn't keep it
    pbc = (sample.unit_shifts != 0).any(dim=0).numpy() if given is None else given.numpy().reshape(3)
    cell = sample.cell.numpy().reshape(3, 3) * pbc[:, None]  # MACE makes cells for directions without
    atoms = Atoms(numbers, sample.positions.numpy(), cell=cell, pbc=pbc)
    tag = getattr(sample, TAG_FIELD, None)
    atoms.info["config_type"] = "Default" if tag is None else tag.config_type
    for name, shape in (("energy", ()), ("forces", (-1, 3)), ("stress", (9,)), ("virials", (9,))):
        value = getattr(sample, name, None)
        if name in labels and value is not None and getattr(sample, LABELS[name]):
            place: dict[str, Any] = atoms.arrays if name == "forces" else atoms.info
            place[keys[name]] = value.numpy().reshape(shape).astype(float)
    return atoms


def given_scale(model: Any, arguments: Mapping[str, Any]) -> dict[str, float]:
    """Scale of the model, by head, where it doesn't come from the labels that were loaded."""
    scale = getattr(getattr(model, "scale_shift", None), "scale", None)
    if scale is None or arguments.get("std") is None:
        return {}
    values = np.atleast_1d(scale.detach().cpu().numpy()).tolist()
    return dict(zip(list(getattr(model, "heads", None) or ["Default"]), values, strict=False))


def free_atoms(model: Any) -> dict[str, dict[int, float]]:
    """Energies of isolated atoms that the model subtracts, eV, by head and atomic number; none of a model without."""
    table = getattr(getattr(model, "atomic_energies_fn", None), "atomic_energies", None)
    if table is None:
        return {}
    rows = np.atleast_2d(table.detach().cpu().numpy()).astype(float)
    names = list(getattr(model, "heads", None) or ["Default"])
    numbers = [int(z) for z in model.atomic_numbers]
    return {name: dict(zip(numbers, row.tolist(), strict=True)) for name, row in zip(names, rows, strict=False)}
