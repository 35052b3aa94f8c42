"""One training run with outlier weighting: what its losses share, what the log says, what a checkpoint holds.

Knows no MACE: `plugin` calls these methods from MACE's own functions, another code could call them from its loop.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import torch
from torch import nn

from . import __version__, distributed
from .dataset import nonfinite_labels
from .loss import RobustLoss
from .options import LOSS_NAME, Options
from .records import Records
from .reduction import PerConfigurationLoss
from .weighting import GaussianDistribution, LossDistribution

SUSPECTS_IN_SUMMARY = 5
NONFINITE_NAMED = 20  # by name in the log; the rest are counted


class RobustTraining:
    """State of one training run: a robust loss for each stage, and the records that they share.

    Each stage keeps statistics of its own, because another loss has another scale: stage two weighs energies some
    thousand times more.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.losses: dict[str, RobustLoss] = {}  # by stage: "stage_one", "stage_two"
        self.heads: list[str] = []
        self.dataset: Any = None  # the training set: anything with a length and items
        self._checkpoint: dict[str, Any] | None = None
        self._restarted = False
        self._named_nonfinite: set[int] = set()

    @property
    def started(self) -> bool:
        """True once the training loop has been entered."""
        return self.dataset is not None

    def wrap(self, base: nn.Module, host: ModuleType, stage: str) -> RobustLoss:
        """Return the robust loss around the host's loss for a stage of the training."""
        self.losses[stage] = RobustLoss(PerConfigurationLoss(base, host), mean_sizes=distributed.mean_sizes)
        return self.losses[stage]

    def note_base_loss(self, name: str) -> None:
        """Log where MACE has exchanged the base loss behind the user's back; the weighting stays on."""
        if name != self.options.base_loss:
            logging.warning(f"MACE trains with loss {name} instead of {self.options.base_loss}; {LOSS_NAME} weighs it")

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the losses of all stages use."""
        used = {label for loss in self.losses.values() for label in loss.per_configuration.labels}
        return tuple(sorted(used))

    # --- the course of a run -----------------------------------------------------------------------------------------

    def start(self, dataset: Any, heads: Sequence[str], device: torch.device, wandb: bool = False) -> None:
        """Size the statistics and the records, and continue from the checkpoint that was loaded, if any."""
        self.dataset, self.heads, self.wandb = dataset, list(heads), wandb
        self.records = Records(len(dataset)).to(device)
        for loss in self.losses.values():
            loss.attach(self._new_distribution().to(device), self.records)
        logging.info("===========OUTLIER WEIGHTING===========")
        logging.info(f"mace-outlier {__version__}, loss: {LOSS_NAME}, {self.options.describe()}")
        logging.info(f"Judging {len(dataset)} training configurations, heads: {self.heads}")
        if self._restarted:
            self._restore()

    def begin_epoch(self, epoch: int) -> None:
        """Count the visits of this epoch under its number."""
        self.records.epoch = epoch

    def end_epoch(self, loss: RobustLoss) -> None:
        """Log one line for each head; this is the one place in an epoch that waits for the device."""
        self.records.end_epoch()
        self._refit(loss.distribution)
        epoch, metrics = self.records.epoch, {}
        for index, (head, mu, sigma) in enumerate(zip(self.heads, *self._location_and_scale(loss), strict=True)):
            visited, mean, share = self.records.summary(index)
            if visited == 0:
                continue
            logging.info(
                f"Epoch {epoch}: head: {head}, {LOSS_NAME}: mean_weight={mean:.4f}, "
                f"share_below_0.5={100 * share:5.2f} %, mu={mu:.4e}, sigma={sigma:.4e}"
            )
            values = {"mean_weight": mean, "share_below_0.5": share, "mu": mu, "sigma": sigma}
            metrics.update({f"{LOSS_NAME}/{head}/{name}": value for name, value in values.items()})
        self._name_nonfinite()
        if self.wandb:
            sys.modules["wandb"].log(metrics, commit=False)  # joins the step that MACE logs after its validation

    def finish(self) -> None:
        """Log what the run thinks of its training configurations."""
        records = self.records
        weight, nonfinite = records.weight.cpu(), records.nonfinite.cpu()
        below = int((weight < 0.5).sum())
        logging.info("===========OUTLIER WEIGHTING: SUMMARY===========")
        logging.info(
            f"{below} of {len(records)} training configurations ({100 * below / max(len(records), 1):.2f} %) have a "
            f"weight below 0.5, {int(nonfinite.sum())} have a non-finite label or loss (weight 0)"
        )
        order = torch.argsort(records.zscore.cpu(), descending=True)
        suspects = [i for i in order.tolist() if weight[i] < 0.5 and not nonfinite[i]][:SUSPECTS_IN_SUMMARY]
        for i in suspects:
            logging.info(f"Suspect: {self._name(i)}, weight={weight[i]:.3f}, z={records.zscore[i]:.2f} sigma")

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Tensors and builtins only, so that torch.load reads it with weights_only=True, and without this package."""
        return {
            "version": __version__,
            "options": asdict(self.options),
            "heads": list(self.heads),
            "statistics": {stage: loss.distribution.state_dict() for stage, loss in self.losses.items()},
            "records": self.records.state_dict(),
        }

    def remember_checkpoint(self, state: dict[str, Any] | None) -> None:
        """Keep what a loaded checkpoint says of us until the sizes are known; after the training it doesn't matter."""
        if not self.started:
            self._restarted, self._checkpoint = True, state

    def _restore(self) -> None:
        state = self._checkpoint
        if state is None:
            logging.warning(f"The checkpoint comes from a run without {LOSS_NAME}: the statistics start fresh")
            return
        for name, before in state["options"].items():
            now = asdict(self.options).get(name)
            if before != now:
                logging.warning(f"{LOSS_NAME}_{name}: the checkpoint has {before}, this run continues with {now}")
        if state["heads"] != self.heads:
            logging.warning(f"The checkpoint has heads {state['heads']}: the statistics start fresh")
            return
        for stage, statistics in state["statistics"].items():
            if stage in self.losses:
                self.losses[stage].distribution.load_state_dict(statistics)
        try:
            self.records.load_state_dict(state["records"])
        except ValueError as error:
            logging.warning(f"The training set has changed since the checkpoint, its records start fresh ({error})")
        logging.info("Continuing with the loss statistics of the checkpoint")

    # --- details -----------------------------------------------------------------------------------------------------

    def _new_distribution(self) -> LossDistribution:
        options = self.options
        return GaussianDistribution(
            num_heads=len(self.heads),
            threshold=options.threshold,
            alpha=options.alpha,
            variance=options.variance,
            warmup=options.warmup,
            sum_over_ranks=distributed.sum_over_ranks,
        )

    def _refit(self, distribution: LossDistribution) -> None:
        usable = (self.records.last_epoch >= 0) & ~self.records.nonfinite
        distribution.refit(self.records.loss, self.records.head.long(), usable)

    @staticmethod
    def _location_and_scale(loss: RobustLoss) -> tuple[list[float], list[float]]:
        location, scale = loss.distribution.location_and_scale()
        return location.tolist(), scale.tolist()

    def _name_nonfinite(self) -> None:
        found = torch.nonzero(self.records.nonfinite).flatten().tolist()
        new = [i for i in found if i not in self._named_nonfinite]
        room = max(0, NONFINITE_NAMED - len(self._named_nonfinite))
        for i in new[:room]:
            logging.warning(f"{self._name(i)} has weight 0: {self._what_is_nonfinite(i)}")
        if len(new) > room:
            logging.warning(f"{len(new) - room} more training configurations have weight 0: non-finite label or loss")
        self._named_nonfinite.update(new)

    def _name(self, position: int) -> str:
        head = self.heads[int(self.records.head[position])]
        return f"training configuration {position} (counted from 0 over all heads, head {head})"

    def _what_is_nonfinite(self, position: int) -> str:
        bad = nonfinite_labels(self.dataset[position], self.labels)
        return f"non-finite {' and '.join(bad)} in its labels" if bad else "its loss is not finite"
