"""Our part of the host's checkpoint: everything that the next step of a robust training depends on."""

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..faults import faults_logged, in_one_line
from . import distributed
from .known import Known, identities
from .options import LOSS_NAME
from .parts import Saved
from .tables import parts_of

if TYPE_CHECKING:
    from .training import RobustTraining

STATE_FORMAT = 3  # of what a checkpoint holds; that of another one can't be continued


def state_of(run: "RobustTraining") -> dict[str, Any]:
    """Tensors and builtins only, so that torch.load reads it with weights_only=True, and without this package.

    Where each process saves what it knows of its share of the training configurations, the rest, and where that is.
    """
    state = _of_run(run)
    if not run.parts.in_use:
        return state | {"rows": identities(run.splits), "records": run.records.state_dict()}
    for stage, loss in run.losses.items():
        state["statistics"][stage], _ = loss.distribution.apart(state["statistics"][stage])
    parts = {"parts": run.parts.name, "processes": run.records.processes.number}
    return state | {"rows": identities(run.splits[1:])} | parts


def save_part(run: "RobustTraining") -> None:
    """Save what this process knows of its share of the training configurations, where all do so."""
    if run.parts.in_use:
        table = parts_of(run.splits[0], of_share=True)
        run.parts.save(run.records.epoch, table, lambda: _of_share(run))
        if not run.parts.in_use:  # any more
            run.records.processes.agree(lambda: _keep(run))


def _keep(run: "RobustTraining") -> None:
    """Let the first process know all that is to be saved."""
    run.records.keep()
    for loss in run.losses.values():
        loss.distribution.keep(run.records.processes, *(split.records.size for split in run.splits))


def _of_share(run: "RobustTraining") -> dict[str, Any]:
    share, distributions = run.records.share, {stage: loss.distribution for stage, loss in run.losses.items()}
    return {
        "rows": identities(run.splits[:1], share)[0],
        "records": run.records.state_dict(),
        "statistics": {stage: own.apart(own.state_dict())[1] for stage, own in distributions.items()},
    }


def _of_run(run: "RobustTraining") -> dict[str, Any]:
    return {
        "version": __version__,
        "format": STATE_FORMAT,
        "options": asdict(run.options),
        "heads": list(run.provenance.heads),
        "stage": {"name": run.stages.name, "first_epoch": run.stages.first_epoch},
        "statistics": {stage: loss.distribution.state_dict() for stage, loss in run.losses.items()},
        "safety": {stage: loss.safety.state_dict() for stage, loss in run.losses.items()},
        "features": None if run.features is None else run.features.state_dict(),
        "history": run.logbook.history,
        "loss_left": run.guard.moments.left,
        "best_models": run.validation.state_dict(run.losses),
    }


def restore(run: "RobustTraining", state: dict[str, Any]) -> None:
    """Continue from the state of a checkpoint, as far as it fits this run; the log says what doesn't.

    {}: the checkpoint comes from a run without us.
    """
    with faults_logged("The statistics of the checkpoint could not be continued", passed_on=distributed.active()):
        _restore(run, state)


def _restore(run: "RobustTraining", state: dict[str, Any]) -> None:
    why_not = _why_not(run, state)
    parts, why_not = (None, why_not) if why_not else _parts(run, state)
    if why_not:
        logging.warning(f"{why_not}: the statistics start fresh")
        return
    now = asdict(run.options)
    for name, before in state["options"].items():
        if before != now.get(name):
            logging.warning(f"{LOSS_NAME}_{name}: the checkpoint has {before}, this run continues with {now.get(name)}")
    run.logbook.history = list(state["history"])
    run.known = Known(run.splits, state["rows"] if parts is None else [parts.identities(), *state["rows"]])
    rows, others = (own[run.records.processes.share(len(own))] for own in run.known.rows)
    if parts is not None:
        state, rows = _with_columns(run, state, parts, rows)
    run.records.load_state_dict(state["records"], rows)
    if state["options"]["distribution"] != run.options.distribution:
        logging.warning("The statistics of another distribution can't be continued: they start fresh")
        return
    for stage, loss in run.losses.items():  # in the same order in all processes: they exchange what is kept
        if stage not in state["statistics"]:
            continue
        distribution = loss.distribution
        distribution.load_state_dict(state["statistics"][stage])
        distribution.carry(rows, others)
        distribution.keep(run.records.processes, *map(len, run.known.rows))
        loss.safety.load_state_dict(state["safety"][stage])
    run.stages.go_on(**state["stage"])
    run.guard.moments.left = state.get("loss_left", 1.0)  # version 0.1.0 knew of none
    if run.known.same[-1]:  # the validation sets
        run.validation.load_state_dict(run.losses, state.get("best_models", {}))
    if run.features is not None:
        run.features.load_state_dict(state["features"])
    logging.info("Continuing with the loss statistics of the checkpoint")


def _parts(run: "RobustTraining", state: dict[str, Any]) -> tuple[Saved | None, str]:
    """Those that a checkpoint names, None: none; and why they can't be read, in all processes alike."""
    if "parts" not in state:
        return None, ""
    name = state["parts"]
    try:
        return run.records.processes.agree(lambda: run.parts.read(name, state["processes"])), ""
    except Exception as error:
        return None, f"The checkpoint needs {name} in the folder of the results ({in_one_line(error)})"


def _with_columns(
    run: "RobustTraining", state: dict[str, Any], parts: Saved, rows: NDArray[np.int64]
) -> tuple[dict[str, Any], NDArray[np.int64]]:
    """The state with what parts say of rows (n,), and where in that each is."""
    columns, places = parts.of(rows)
    together = {
        stage: loss.distribution.together(state["statistics"][stage], columns["statistics"][stage])
        for stage, loss in run.losses.items()
        if stage in columns["statistics"]
    }
    return state | columns | {"statistics": state["statistics"] | together}, places


def _why_not(run: "RobustTraining", state: dict[str, Any]) -> str:
    """Why nothing of a checkpoint can be continued; "" where it can."""
    if not state:
        return f"The checkpoint comes from a run without {LOSS_NAME}"
    if state.get("format") != STATE_FORMAT:
        return "The checkpoint is of another version of mace-outlier"
    if state["heads"] != run.provenance.heads:
        return f"The checkpoint has heads {state['heads']}, this run {run.provenance.heads}"
    return ""
