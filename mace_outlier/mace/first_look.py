"""What the labels say before the first step: the cheap ones of `mace_outlier check`, on the data that MACE has loaded.

It takes a hundredth of the first epoch at most (or a second, where that is more), reads no file that MACE hasn't
opened, and draws no random number that anything else could miss. Whatever goes wrong in it is logged; the training
goes on.
"""

import logging
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ase import Atoms

from ..clean import clean
from ..data.provenance import Provenance
from ..data.tagging import TAG_FIELD

SHOWN = 5  # findings that are logged


def look(dataset: Any, provenance: Provenance, model: Any, arguments: Mapping[str, Any], steps: int) -> None:
    """Check training configurations one by one, as many as the time allows, and log what is wrong with them.

    Args:
        dataset: the training set of MACE.
        provenance: its rows.
        model: MACE's, for its elements and energies of isolated atoms.
        arguments: MACE's, for the names of the labels.
        steps: of an epoch.
    """
    try:
        _look(dataset, provenance, model, arguments, steps)
    except Exception as error:  # no training should end for want of a check
        logging.warning(f"The labels could not be checked ({type(error).__name__}: {error})")


def _look(dataset: Any, provenance: Provenance, model: Any, arguments: Mapping[str, Any], steps: int) -> None:
    started = time.perf_counter()
    from ..checks import catalogue
    from ..checks.finding import LOOK
    from ..checks.loaded import NAMES, budget, survey_loaded
    from ..checks.naming import frames_of
    from ..checks.settings import Settings

    settings = Settings()
    until = started + settings.look_reading * budget(steps, settings)
    frames = loaded(dataset, provenance, [int(z) for z in model.atomic_numbers], arguments)
    known = survey_loaded(frames, free_atoms(model), settings, until)
    with np.errstate(all="ignore"):
        found = [finding for finding in catalogue.run(known, NAMES) if finding.certainty != LOOK]
    took = time.perf_counter() - started
    logging.info(
        f"Labels of {len(known.frames)} of {len(provenance)} training configurations checked in {took:.1f} s "
        f"({', '.join(NAMES)}): {len(found) or 'no'} finding{'s' * (len(found) != 1)}. "
        f"More checks, of all configurations: {command(provenance, arguments)}"
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


def loaded(dataset: Any, provenance: Provenance, elements: list[int], arguments: Mapping[str, Any]) -> Iterator[Any]:
    """Yield configurations, those of all files and heads mixed, as checks take them."""
    from ..checks.inputs import Source, keys_of
    from ..checks.loaded import Loaded

    keys = {name: keys_of(arguments, name) for name in provenance.sources}
    for row in np.random.default_rng(0).permutation(len(provenance)).tolist():
        sample = dataset[int(provenance.position_of_row[row])]
        if sample is None:  # MACE's LMDB could not read this entry
            continue
        name = provenance.sources[provenance.source[row]]
        source = Source(name, head=provenance.heads[provenance.head[row]], keys=keys[name])
        yield Loaded(source, int(provenance.frame[row]), atoms_of(sample, np.array(elements), source.keys))


def atoms_of(sample: Any, elements: np.ndarray, keys: Mapping[str, str]) -> Atoms:
    """A sample of MACE with the labels that it has: 0 with a weight of 0 stands for one that it hasn't.

    Charge and spin stay out: MACE has a default for them, which says nothing.
    """
    numbers = elements[sample.node_attrs.argmax(dim=1).numpy()]
    given = getattr(sample, "pbc", None)  # MACE 0.3.13 doesn't keep it
    pbc = (sample.unit_shifts != 0).any(dim=0).numpy() if given is None else given.numpy().reshape(3)
    cell = sample.cell.numpy().reshape(3, 3) * pbc[:, None]  # MACE makes cells for directions without
    atoms = Atoms(numbers, sample.positions.numpy(), cell=cell, pbc=pbc)
    tag = getattr(sample, TAG_FIELD, None)
    atoms.info["config_type"] = "Default" if tag is None else tag.config_type
    if sample.energy is not None and sample.energy_weight:
        atoms.info[keys["energy"]] = float(sample.energy)
    if sample.forces is not None and sample.forces_weight:
        atoms.arrays[keys["forces"]] = sample.forces.numpy().astype(float)
    for name in ("stress", "virials"):
        if getattr(sample, name, None) is not None and getattr(sample, f"{name}_weight"):
            atoms.info[keys[name]] = getattr(sample, name).numpy().reshape(9).astype(float)
    return atoms


def free_atoms(model: Any) -> dict[str, dict[int, float]]:
    """Energies of isolated atoms that the model subtracts, eV, by head and atomic number; none of a model without."""
    table = getattr(getattr(model, "atomic_energies_fn", None), "atomic_energies", None)
    if table is None:
        return {}
    rows = np.atleast_2d(table.detach().cpu().numpy()).astype(float)
    names = list(getattr(model, "heads", None) or ["Default"])
    numbers = [int(z) for z in model.atomic_numbers]
    return {name: dict(zip(numbers, row.tolist(), strict=True)) for name, row in zip(names, rows, strict=False)}
