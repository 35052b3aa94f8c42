"""One training run with outlier weighting: what its losses share, what the log says, what a checkpoint holds.

Knows no MACE: `mace.hooks` calls these methods from MACE's own functions, another code could from its loop.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, Subset

from .. import __version__
from ..data.dataset import NumberedDataset, tagged
from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..losses.reduction import PerConfigurationLoss
from ..losses.robust import RobustLoss
from ..results.files import TRAIN, VALID
from ..weights.distribution import LossDistribution
from ..weights.features import Features
from ..weights.mixture import MixtureDistribution
from ..weights.records import Records
from ..weights.running import GaussianDistribution
from ..weights.weigher import Weigher
from . import distributed
from .checkpoint import restore, state_of
from .fit_in_log import log_small_heads
from .logbook import Logbook
from .nonfinite import NonfiniteNames
from .options import LOSS_NAME, Options
from .sample import batches_of
from .tables import Split
from .validation import Validation

DISTRIBUTIONS: dict[str, Callable[..., LossDistribution]] = {
    "mixture": MixtureDistribution,
    "gaussian": GaussianDistribution,
}


class RobustTraining:
    """State of one training run: a robust loss for each stage, and the records that they share.

    Each stage keeps statistics of its own, because another loss has another scale: stage two weighs energies some
    thousand times more.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.arguments: dict[str, Any] = {}  # the host's settings
        self.losses: dict[str, RobustLoss] = {}  # by stage: "stage_one", "stage_two"
        self.dataset: Any = None  # the training set: anything with a length and items
        self._checkpoint: dict[str, Any] | None = None
        self._restarted = False
        self._loss: RobustLoss | None = None  # of the stage in progress
        self._first_epoch = 0  # of that stage

    @property
    def started(self) -> bool:
        """True once the training loop has been entered."""
        return self.dataset is not None

    def wrap(self, base: nn.Module, host: ModuleType, stage: str) -> RobustLoss:
        """Return the robust loss around the host's loss for a stage of the training."""
        self.losses[stage] = RobustLoss(PerConfigurationLoss(base, host))
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

    def start(
        self,
        dataset: Any,
        provenance: Provenance,
        metadata: Metadata,
        device: torch.device,
        prefix: Path | None = None,
        wandb: bool = False,
        validation: tuple[Provenance, Metadata] | None = None,
        scalars: torch.Tensor | None = None,
    ) -> None:
        """Size the statistics and the records, and continue from the checkpoint that was loaded, if any.

        `dataset` is the training set, `provenance` its rows, `validation` those of the validation sets; results go to
        `prefix` (None: this process writes none). `scalars`: columns of the model's node features that are invariant.
        """
        self.dataset, self.provenance, self.metadata = dataset, provenance, metadata
        heads, labels = provenance.heads, self.labels
        rows, described = validation or (Provenance(heads, [[] for _ in heads]), Metadata(0))
        self.records = Records(len(provenance), device, provenance.head, labels)
        others = Records(len(rows), device, rows.head, labels)
        self.validation = Validation(rows, described, others)
        judged = self.options.distribution == "mixture"  # by what the geometry doesn't explain
        self.features = Features(len(provenance), scalars) if judged else None
        splits = [Split(TRAIN, provenance, metadata, self.records), Split(VALID, rows, described, others)]
        self.logbook = Logbook(self.options, splits if len(rows) else splits[:1], prefix, self.arguments, wandb)
        self._nonfinite = NonfiniteNames(dataset, provenance, self.labels)
        for loss in self.losses.values():
            known = (self.records, metadata, self.features, heads, distributed.shared_sum())
            loss.attach(Weigher(self._new_distribution().to(device), *known), self.options.scope == "property")
        logging.info("===========OUTLIER WEIGHTING===========")
        logging.info(f"mace-outlier {__version__}, loss: {LOSS_NAME}, {self.options.describe()}")
        logging.info(f"Judging {len(provenance)} training configurations, heads: {heads}")
        if judged:
            log_small_heads(heads, np.bincount(provenance.head, minlength=len(heads)))
        if self._restarted:
            restore(self, self._checkpoint)
        else:
            self.logbook.set_earlier_results_aside()

    def _new_distribution(self) -> LossDistribution:
        settings = {name: getattr(self.options, name) for name in ("threshold", "alpha", "variance", "warmup")}
        return DISTRIBUTIONS[self.options.distribution](len(self.provenance.heads), **settings)

    @contextmanager
    def tagging(self, loader: Any, validation: Sequence[Any] = ()) -> Iterator[NumberedDataset]:
        """Make the batches of the loaders, within the context, say which configurations they hold.

        `loader` is that of the training, `validation` those of the heads in their order.
        """
        with ExitStack() as stack:
            numbered = tagged(loader, self.labels, self.provenance.row_of_position)
            self._numbered = stack.enter_context(numbered)
            self._numbered.needs_tags = not self.metadata.complete
            self.validation.tag(validation, self.labels, stack)
            yield self._numbered

    def begin_epoch(self, epoch: int, loss: RobustLoss, steps: int) -> None:
        """Count the visits of this epoch, of so many steps, under its number.

        A stage begins with statistics that know nothing: in its first epoch, the weights of the stage before are kept.
        """
        loss.weigher.begin_epoch(epoch, steps)
        self.validation.records.begin_epoch(epoch, 1)
        before = self._loss
        loss.weigher.inherits = before not in (None, loss)
        if loss is not before:
            self._loss, self._first_epoch = loss, epoch
            if before is not None:
                loss.distribution.follow(before.distribution)

    def end_epoch(self, loss: RobustLoss) -> None:
        """Share what was seen, judge it and log it; this is the one place in an epoch that waits for the device."""
        loss.weigher.end_epoch()
        if self._numbered.needs_tags:  # until all is known; the processes agree on when that is
            distributed.merge_metadata(self.metadata, self.records.table.device)
            self._numbered.needs_tags = not self.metadata.complete
        loss.safety.refit(loss.weigher.remembered(since=self._first_epoch))
        stage = next(name for name, of_stage in self.losses.items() if of_stage is loss)
        self.logbook.end_epoch(stage, loss.safety.describe())
        self._nonfinite.name_new(self.records.nonfinite)

    def select(self, loss: RobustLoss, evaluate: Callable[[], tuple[float, Any]]) -> tuple[float, Any]:
        """Run MACE's evaluation of a validation set; return its weighted loss in place of the stock one."""
        return self.validation.select(loss, evaluate, robust=self.options.selection == "robust")

    def finish(self, model: Any, loader: Any, output_args: dict[str, bool], validation: Sequence[Any] = ()) -> None:
        """Log and save what the run thinks of its configurations, and examine the suspects by the trained model.

        `validation`: data sets of the heads, in their order.
        """
        self.logbook.log_summary()
        self.logbook.save(finished=True)
        others = len(self.dataset) + self.validation.provenance.position_of_row
        positions = np.concatenate((self.provenance.position_of_row, others))
        items: ConcatDataset[Any] = ConcatDataset([self.dataset, *validation])

        def batches(rows: np.ndarray) -> Iterator[Any]:
            return batches_of(Subset(items, positions[rows].tolist()), loader)

        self.logbook.examine(model, batches, output_args, self.features)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Our part of a checkpoint, see `checkpoint.state_of`."""
        return state_of(self)

    def remember_checkpoint(self, state: dict[str, Any] | None) -> None:
        """Keep what a loaded checkpoint says of us until the sizes are known; after the training it doesn't matter."""
        if not self.started:
            self._restarted, self._checkpoint = True, state
