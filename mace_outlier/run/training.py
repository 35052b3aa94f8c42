"""One training run with outlier weighting: what its losses share, what the log says, what a checkpoint holds.

Knows no MACE: `plugin` calls these methods from MACE's own functions, another code could call them from its loop.
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

from .. import __version__
from ..data.dataset import NumberedDataset, tagged
from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..losses.reduction import PerConfigurationLoss
from ..losses.robust import RobustLoss
from ..weights.distribution import LossDistribution
from ..weights.features import Features
from ..weights.mixture import MixtureDistribution
from ..weights.records import Records
from ..weights.remembered import of_training
from ..weights.running import GaussianDistribution
from . import distributed
from .checkpoint import restore, state_of
from .logbook import Logbook, log_small_heads
from .nonfinite import NonfiniteNames
from .options import LOSS_NAME, Options
from .sample import batches_of_rows
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
        self._first_epoch: dict[RobustLoss, int] = {}  # of each stage

    @property
    def started(self) -> bool:
        """True once the training loop has been entered."""
        return self.dataset is not None

    def wrap(self, base: nn.Module, host: ModuleType, stage: str) -> RobustLoss:
        """Return the robust loss around the host's loss for a stage of the training."""
        self.losses[stage] = RobustLoss(PerConfigurationLoss(base, host), sum_over_ranks=distributed.shared_sum())
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
        heads, trained = provenance.heads, [name in self.labels for name in ("stress", "virials")]
        self.records = Records(len(provenance), device, len(heads), *trained)
        rows, described = validation or (Provenance(heads, [[] for _ in heads]), Metadata(0))
        self.validation = Validation(rows, described, Records(len(rows), device, len(heads), *trained))
        needed = self.options.distribution == "mixture"
        self.features = Features(len(provenance), scalars).to(device) if needed else None
        self.logbook = Logbook(
            self.options, provenance, metadata, self.records, prefix, self.arguments, wandb, self.validation
        )
        self._nonfinite = NonfiniteNames(dataset, provenance, self.labels)
        for loss in self.losses.values():
            judge, by_property = self._new_distribution().to(device), self.options.scope == "property"
            loss.attach(judge, self.records, metadata, heads, self.features, by_property)
        logging.info("===========OUTLIER WEIGHTING===========")
        logging.info(f"mace-outlier {__version__}, loss: {LOSS_NAME}, {self.options.describe()}")
        logging.info(f"Judging {len(provenance)} training configurations, heads: {heads}")
        if needed:
            log_small_heads(heads, np.bincount(provenance.head, minlength=len(heads)))
        if self._restarted:
            restore(self, self._checkpoint)
        else:
            self.logbook.set_earlier_results_aside()

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
        self.records.begin_epoch(epoch, steps)
        self.validation.begin_epoch(epoch)
        if self.features is not None:
            self.features.begin_epoch()
        stages = list(self._first_epoch)
        first = self._first_epoch.setdefault(loss, epoch)
        loss.weigher.inherits = epoch == first and len(self._first_epoch) > 1
        if loss not in stages and stages:
            loss.distribution.follow(stages[-1].distribution)

    def end_epoch(self, loss: RobustLoss) -> None:
        """Share what was seen and log it; this is the one place in an epoch that waits for the device."""
        loss.weigher.end_epoch(self.features)
        self._complete_descriptions()
        self._refit(loss)
        self.records.check_weights()
        stage = next(name for name, own in self.losses.items() if own is loss)
        self.logbook.end_epoch(stage, loss.safety.describe())
        self._nonfinite.name_new(self.records.nonfinite)

    def select(self, loss: RobustLoss, evaluate: Callable[[], tuple[float, Any]]) -> tuple[float, Any]:
        """Run MACE's evaluation of a validation set; return its weighted loss in place of the stock one."""
        return self.validation.select(loss, evaluate, robust=self.options.selection == "robust")

    def finish(self, model: Any, loader: Any, output_args: dict[str, bool]) -> None:
        """Log and save what the run thinks of its configurations, and evaluate a sample of them for the report."""
        self.logbook.log_summary()
        self.logbook.save(finished=True)
        batches = batches_of_rows(self.dataset, self.provenance, loader)
        self.logbook.save_sample(model, batches, output_args)

    def state_dict(self) -> dict[str, Any]:
        """Our part of a checkpoint, see `checkpoint.state_of`."""
        return state_of(self)

    def remember_checkpoint(self, state: dict[str, Any] | None) -> None:
        """Keep what a loaded checkpoint says of us until the sizes are known; after the training it doesn't matter."""
        if not self.started:
            self._restarted, self._checkpoint = True, state

    # --- details -----------------------------------------------------------------------------------------------------

    def _new_distribution(self) -> LossDistribution:
        options = self.options
        settings = {name: getattr(options, name) for name in ("threshold", "alpha", "variance", "warmup")}
        heads = len(self.provenance.heads)
        return DISTRIBUTIONS[options.distribution](heads, **settings)

    def _refit(self, loss: RobustLoss) -> None:
        """Fit to the losses of this stage (those of the stage before have another scale), and weigh by the fit.

        What can't be right is refused, see Safety; the processes of a distributed run agree on that.
        """
        usable = (self.records.time >= self._first_epoch[loss]) & ~self.records.nonfinite
        loss.weigher.judge(of_training(self.records, usable, self.features, self.metadata))

    def _complete_descriptions(self) -> None:
        """Take what the other processes have learnt, until all is known; they agree on when that is."""
        if self._numbered.needs_tags:
            distributed.merge_metadata(self.metadata, self.records.table.device)
            self._numbered.needs_tags = not self.metadata.complete
