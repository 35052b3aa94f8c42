"""Our part of the host's checkpoint: everything that the next step of a robust training depends on."""

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import __version__
from .known import Known, identities
from .options import LOSS_NAME

if TYPE_CHECKING:
    from .training import RobustTraining

STATE_FORMAT = 3  # of what a checkpoint holds; that of another one can't be continued


def state_of(run: "RobustTraining") -> dict[str, Any]:
    """Tensors and builtins only, so that torch.load reads it with weights_only=True, and without this package."""
    return {
        "version": __version__,
        "format": STATE_FORMAT,
        "options": asdict(run.options),
        "heads": list(run.provenance.heads),
        "rows": identities(run.splits),
        "stage": {"name": run.stages.name, "first_epoch": run.stages.first_epoch},
        "statistics": {stage: loss.distribution.state_dict() for stage, loss in run.losses.items()},
        "safety": {stage: loss.safety.state_dict() for stage, loss in run.losses.items()},
        "records": run.records.state_dict(),
        "features": None if run.features is None else run.features.state_dict(),
        "history": run.logbook.history,
    }


def restore(run: "RobustTraining", state: dict[str, Any]) -> None:
    """Continue from the state of a checkpoint, as far as it fits this run; the log says what doesn't.

    {}: the checkpoint comes from a run without us.
    """
    why_not = _why_not(run, state)
    if why_not:
        logging.warning(f"{why_not}: the statistics start fresh")
        return
    now = asdict(run.options)
    for name, before in state["options"].items():
        if before != now.get(name):
            logging.warning(f"{LOSS_NAME}_{name}: the checkpoint has {before}, this run continues with {now.get(name)}")
    run.logbook.history = list(state["history"])
    run.known = Known(run.splits, state["rows"])
    run.records.load_state_dict(state["records"], run.known.rows[0])
    if state["options"]["distribution"] != run.options.distribution:
        logging.warning("The statistics of another distribution can't be continued: they start fresh")
        return
    for stage in run.losses.keys() & state["statistics"].keys():
        run.losses[stage].distribution.load_state_dict(state["statistics"][stage])
        run.losses[stage].distribution.carry(*run.known.rows)
        run.losses[stage].safety.load_state_dict(state["safety"][stage])
    run.stages.go_on(**state["stage"])
    if run.features is not None:
        run.features.load_state_dict(state["features"])
    logging.info("Continuing with the loss statistics of the checkpoint")


def _why_not(run: "RobustTraining", state: dict[str, Any]) -> str:
    """Why nothing of a checkpoint can be continued; "" where it can."""
    if not state:
        return f"The checkpoint comes from a run without {LOSS_NAME}"
    if state.get("format") != STATE_FORMAT:
        return "The checkpoint is of another version of mace-outlier"
    if state["heads"] != run.provenance.heads:
        return f"The checkpoint has heads {state['heads']}, this run {run.provenance.heads}"
    return ""
