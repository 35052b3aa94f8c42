"""One training run with outlier weighting: what its losses share, what the log says, what a checkpoint holds.

Knows no MACE: `mace.hooks` calls these methods from MACE's own functions, another code could from its loop.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..data.dataset import FaultOf, NumberedDataset, no_fault, tagged
from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..faults import faults_logged
from ..losses.reduction import PerConfigurationLoss
from ..losses.robust import RobustLoss
from ..method.sample import MOST
from ..results.files import TRAIN, VALID
from ..weights.distribution import Remembered
from ..weights.records import Records
from ..weights.weigher import Weigher
from . import distributed
from .checkpoint import restore, save_part, state_of
from .distributions import new_distribution, new_features
from .fit_in_log import WholeGroups
from .known import Known
from .logbook import Logbook
from .nonfinite import NonfiniteNames
from .options import Options
from .parts import Parts
from .sample import batches_of_rows
from .stages import Stages
from .steps import Guard
from .tables import Split
from .validation import Validation


class RobustTraining:
    """State of one training run: a robust loss for each stage, see Stages, and the records that they share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.arguments: dict[str, Any] = {}  # the host's settings
        self.reading: dict[str, int] = {}  # what became of frames of the training files, by reason
        self.stages, self.guard = Stages(), Guard(options.optimizer == "renewed")  # its steps
        self.dataset: Any = None  # the training set: anything with a length and items
        self._checkpoint: dict[str, Any] | None = None  # what one says that was loaded; None: the run begins anew
        self._judging: RobustLoss | None = None  # what an epoch has shown of this loss is being judged
        self.known: Known | None = None  # what a checkpoint knows

    def wrap(self, base: nn.Module, host: ModuleType, stage: str) -> RobustLoss:
        """Return the robust loss around the host's loss for a stage of the training."""
        self.losses[stage] = RobustLoss(PerConfigurationLoss(base, host))
        return self.losses[stage]

    started = property(lambda self: self.dataset is not None)  # the training loop has been entered
    losses, labels = property(lambda self: self.stages.losses), property(lambda self: self.stages.labels)

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
        fault_of: FaultOf = no_fault,
        has_checkpoint: Callable[[int], bool] = lambda epoch: True,
    ) -> None:
        """Size the statistics and the records, and continue from the checkpoint that was loaded, if any.

        `dataset` is the training set, `provenance` its rows, `validation` those of the validation sets; results go to
        `prefix` (None: none are written), alike in all processes. `scalars`: invariant columns of node features.
        `fault_of`: see NumberedDataset. `has_checkpoint`: whether there may be one of an epoch.
        """
        self.dataset, self.provenance, self.metadata, self._fault_of = dataset, provenance, metadata, fault_of
        heads, labels = provenance.heads, self.labels
        rows, described = validation or (Provenance(heads, [[] for _ in heads]), Metadata(0))
        processes, by_property = distributed.processes(device), self.options.scope == "property"
        self.records = Records(len(provenance), device, provenance.head, labels, processes, by_property)
        self.parts = Parts(prefix, processes, self.records.size, has_checkpoint)
        others = Records(len(rows), device, rows.head, labels)
        self.validation = Validation(rows, described, others)
        self.features = new_features(self.options, len(provenance), scalars)
        self.splits = [Split(TRAIN, provenance, metadata, self.records), Split(VALID, rows, described, others)]
        of_table = self.splits[: 1 + bool(len(rows))]
        told = of_table, None if processes.rank else prefix, self.arguments, wandb, self.reading, self.parts
        self.logbook = Logbook(self.options, *told)
        self._nonfinite, self._groups = NonfiniteNames(dataset, provenance, self.labels, fault_of), WholeGroups()
        known = (self.records, metadata, self.features, heads, distributed.shared_sum())
        for loss in self.losses.values():
            distribution = new_distribution(self.options, len(heads), device)
            loss.attach(Weigher(distribution, *known), by_property)
        self.logbook.log_start()
        if self._checkpoint is None:
            self.logbook.set_earlier_results_aside()
        else:
            restore(self, self._checkpoint)

    @contextmanager
    def tagging(self, loader: Any, validation: Sequence[Any] = ()) -> Iterator[NumberedDataset]:
        """Make the batches of the loaders, within the context, say which configurations they hold.

        `loader` is that of the training, `validation` those of the heads in their order.
        """
        with ExitStack() as stack:
            numbered = tagged(loader, self.labels, self.provenance.row_of_position, fault_of=self._fault_of)
            self._numbered = stack.enter_context(numbered)
            self._numbered.needs_tags = not self.metadata.complete
            self.validation.tag(validation, self.labels, self._fault_of, stack)
            if self.metadata.complete:  # all samples are in memory: what can't be trained on is named at the start
                with faults_logged("Labels and geometries could not be checked"):
                    self._nonfinite.name_before(self._numbered.check())
            yield self._numbered

    def begin_epoch(self, epoch: int, loss: RobustLoss, steps: int) -> None:
        """Count the visits of this epoch, of so many steps, under its number."""
        self.settle()
        self.guard.taken_back = []
        loss.weigher.begin_epoch(epoch, steps)
        self.validation.records.begin_epoch(epoch, 1)
        self.stages.enter(loss, epoch)

    def end_epoch(self, loss: RobustLoss) -> None:
        """Begin to judge what was seen; this is the one place in an epoch that waits for the device.

        Of many configurations, that is done beside the validation, which needs the answer at its end; see `settle`.
        """
        loss.weigher.end_epoch()
        if self._numbered.needs_tags:  # until all is known; the processes agree on when that is
            distributed.merge_metadata(self.metadata, self.records.table.device)
            self._numbered.needs_tags = not self.metadata.complete
        self._judging, many = loss, self.records.size > MOST
        loss.safety.begin(partial(self._remembered, loss), many, then=partial(save_part, self))
        if not many:
            self.settle()

    def _remembered(self, loss: RobustLoss) -> Remembered:
        """What an epoch has shown, by which a loss is to judge."""
        known = loss.weigher.remembered(since=self.stages.first_epoch)
        if self.known is not None:
            self.known.forget_changed([loss.distribution for loss in self.losses.values()])
        return known

    def settle(self) -> None:
        """Weigh by what the last epoch has shown, and log it, if that was not done yet."""
        loss, self._judging = self._judging, None
        if loss is None:
            return
        with faults_logged("The labels could not be judged", passed_on=distributed.active()):
            self.guard.outlive(loss.safety.settle())
            tallies, happened = loss.safety.tallies, self._nonfinite.look(self.records, self.guard.taken_back)
            whole = self._groups.look(self.splits[0], tallies)
            with faults_logged("What an epoch has shown could not be logged"):
                self.logbook.end_epoch(self.stages.name, loss.safety.describe(), tallies)
                self._groups.warn_of_new(whole)
                self._nonfinite.name_new(happened)

    def select(self, loss: RobustLoss, evaluate: Callable[[], tuple[float, Any]]) -> tuple[float, Any]:
        """Run MACE's evaluation of a validation set; return its weighted loss in place of the stock one."""
        return self.validation.select(loss, evaluate, self.options.selection == "robust", settle=self.settle)

    def finish(self, model: Any, loader: Any, output_args: dict[str, bool], validation: Sequence[Any] = ()) -> None:
        """Log and save what the run thinks, and examine the suspects by the trained model; `validation`: data sets."""
        self.settle()
        if self.parts.in_use:
            self.records.processes.agree(partial(self.records.keep, however_many=True))
        self.logbook.log_summary()
        self.logbook.save(finished=True)
        self.parts.end()
        positions = self.provenance.position_of_row, self.validation.provenance.position_of_row
        batches = batches_of_rows(self.dataset, validation, *positions, loader)
        self.logbook.examine(model, batches, output_args, self.features)

    # --- checkpoints -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Our part of a checkpoint, see `checkpoint.state_of`."""
        self.settle()
        return state_of(self)

    def checkpoint_made(self) -> None:
        """Bring our results to the same state."""
        if self.stages.loss is not None:
            self.validation.kept.add(self.stages.loss)
        self.logbook.save()

    def remember_checkpoint(self, state: dict[str, Any] | None) -> None:
        """Keep what a loaded checkpoint says of us until the sizes are known; after the training it doesn't matter."""
        if not self.started:
            self._checkpoint = state or {}
