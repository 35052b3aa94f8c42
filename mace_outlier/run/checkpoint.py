"""Our part of the host's checkpoint: everything that the next step of a robust training depends on."""

import logging
from dataclasses import asdict
from typing import Any, Protocol

from .. import __version__
from ..data.provenance import Provenance
from ..losses.robust import RobustLoss
from ..weights.features import Features
from ..weights.records import Records
from .logbook import Logbook
from .options import LOSS_NAME, Options

STATE_FORMAT = 2  # of what a checkpoint holds of the judgement; that of another one can't be continued


class Run(Protocol):
    """What of a robust training is kept."""

    options: Options
    provenance: Provenance
    losses: dict[str, RobustLoss]  # by stage
    records: Records
    features: Features | None
    logbook: Logbook


def state_of(run: Run) -> dict[str, Any]:
    """Tensors and builtins only, so that torch.load reads it with weights_only=True, and without this package."""
    return {
        "version": __version__,
        "format": STATE_FORMAT,
        "options": asdict(run.options),
        "heads": list(run.provenance.heads),
        "training_set": run.provenance.fingerprint(),
        "statistics": {stage: loss.distribution.state_dict() for stage, loss in run.losses.items()},
        "safety": {stage: loss.safety.state_dict() for stage, loss in run.losses.items()},
        "records": run.records.state_dict(),
        "features": None if run.features is None else run.features.state_dict(),
        "history": run.logbook.history,
    }


def restore(run: Run, state: dict[str, Any] | None) -> None:
    """Continue from the state of a checkpoint, as far as it fits this run; the log says what doesn't.

    None: the checkpoint comes from a run without us.
    """
    if state is None:
        logging.warning(f"The checkpoint comes from a run without {LOSS_NAME}: the statistics start fresh")
        return
    _say_which_options_changed(state["options"], asdict(run.options))
    heads = run.provenance.heads
    if state["heads"] != heads:
        logging.warning(f"The checkpoint has heads {state['heads']}, this run {heads}: the statistics start fresh")
        return
    continued = _can_be_continued(run, state)
    if continued:
        _restore_statistics(run, state)
    run.logbook.history = list(state.get("history", []))
    if state.get("training_set") == run.provenance.fingerprint():
        run.records.load_state_dict(state["records"])
    else:
        logging.warning("The training set has changed since the checkpoint: its records start fresh")
    if continued:
        logging.info("Continuing with the loss statistics of the checkpoint")


def _say_which_options_changed(before: dict[str, Any], now: dict[str, Any]) -> None:
    for name, value in before.items():
        if value != now.get(name):
            logging.warning(f"{LOSS_NAME}_{name}: the checkpoint has {value}, this run continues with {now.get(name)}")


def _can_be_continued(run: Run, state: dict[str, Any]) -> bool:
    if state["options"].get("distribution") != run.options.distribution:
        logging.warning("The statistics of another distribution can't be continued: they start fresh")
        return False
    if state.get("format") != STATE_FORMAT:
        logging.warning("The statistics of another version of mace-outlier can't be continued: they start fresh")
        return False
    return True


def _restore_statistics(run: Run, state: dict[str, Any]) -> None:
    for stage, statistics in state["statistics"].items():
        if stage in run.losses:
            run.losses[stage].distribution.load_state_dict(statistics)
            if stage in state.get("safety", {}):
                run.losses[stage].safety.load_state_dict(state["safety"][stage])
    if run.features is not None:
        run.features.load_state_dict(state["features"])
