"""The validation sets of a run: a weighted loss to choose models by, and what is known of their configurations.

Nothing is learnt from them. A validation set is as likely to hold wrong labels as a training set, and a model that
reproduces these has the lower stock loss.
"""

import logging
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from ..data.dataset import FaultOf, NumberedDataset, tagged
from ..data.metadata import Metadata
from ..data.provenance import Provenance
from ..data.tagging import Tag
from ..faults import faults_logged
from ..losses.robust import RobustLoss
from ..losses.selection import BestSoFar, Evaluated, Selection, weighted_validation_loss
from ..weights.records import Records
from ..weights.remembered import of_one_model
from ..weights.safety import Validated
from ..weights.whose_fault import can_be_finite
from . import distributed
from .options import LOSS_NAME

LARGEST = sys.float_info.max


class Validation:
    """The validation configurations of all heads.

    Args:
        provenance, metadata: their rows.
        records: as of training configurations, at their last evaluation.
    """

    def __init__(self, provenance: Provenance, metadata: Metadata, records: Records) -> None:
        self.provenance, self.metadata, self.records = provenance, metadata, records
        self._datasets: list[NumberedDataset] = []
        self._best: dict[tuple[RobustLoss, int], BestSoFar] = {}
        self.kept: set[RobustLoss] = set()  # stages that have a checkpoint

    def state_dict(self, losses: Mapping[str, RobustLoss]) -> dict[str, Any]:
        """Return the best model so far of each stage, by its loss, and head: hosts remember its value as well."""
        return {
            stage: {head: best.state_dict() for (of, head), best in self._best.items() if of is loss}
            for stage, loss in losses.items()
        }

    def load_state_dict(self, losses: Mapping[str, RobustLoss], state: Mapping[str, Any]) -> None:
        """Go on with these, of the same validation sets."""
        for stage in losses.keys() & state.keys():
            for head, known in state[stage].items():
                best = self._best[losses[stage], head] = BestSoFar()
                best.load_state_dict(known, self.records.table.device)

    def tag(self, loaders: Sequence[Any], labels: Sequence[str], fault_of: FaultOf, stack: ExitStack) -> None:
        """Make the batches of the loaders, one for each head, say which configurations they hold, within a context."""
        first = 0
        for loader in loaders:
            rows = self.provenance.row_of_position[first : first + len(loader.dataset)]
            self._datasets.append(stack.enter_context(tagged(loader, labels, rows, True, fault_of)))
            first += len(rows)
        self._ask_for_names()

    def _ask_for_names(self) -> None:
        """Have the batches say what their configurations are, until all is known."""
        for dataset in self._datasets:
            dataset.needs_tags = not self.metadata.complete

    def _learn_names(self, tags: list[tuple[int, Tag]]) -> None:
        """Take in what batches said of their configurations here and in the other processes."""
        self.metadata.note_all(tags)
        distributed.merge_metadata(self.metadata, self.records.table.device)
        self._ask_for_names()

    def select(
        self,
        loss: RobustLoss,
        evaluate: Callable[[], tuple[float, Any]],
        robust: bool,
        settle: Callable[[], None] = lambda: None,
    ) -> tuple[float, Any]:
        """Run the host's evaluation; return its weighted loss in place of the stock one, if `robust`.

        `settle`: ends the judgement of the training configurations, by which these are judged.

        Where the stock loss is not finite, which would make a host take every later model for the best one, that of the
        configurations whose losses are finite stands for it.
        """
        with loss.selecting() as selection:
            stock, metrics = evaluate()
        settle()
        if not len(selection):
            return stock, metrics
        with faults_logged("The validation set could not be judged", "the stock loss counts", distributed.active()):
            return self._chosen_by(loss, selection, stock, robust), metrics
        return stock, metrics

    def _chosen_by(self, loss: RobustLoss, selection: Selection, stock: float, robust: bool) -> float:
        """The loss by which the host chooses a model."""
        if not self.metadata.complete:
            self._learn_names(selection.tags)
        evaluated = selection.collect_all(len(self.records.residual_names), distributed.gather_rows)
        judged = self._judge(loss, evaluated, selection.collect())
        stock = self._finite(loss, evaluated, stock)
        if not robust:
            return stock
        best = self._best.setdefault((loss, int(evaluated.heads.min())), BestSoFar())  # of each stage and head
        some_are_wrong = loss.distribution.some_are_wrong and not judged.stock
        result = best.compare(evaluated.rows, evaluated.shares, judged.weight, some_are_wrong)
        if result is None:
            return stock
        value, mean_weight = result
        logging.info(f"Validation: {LOSS_NAME} loss={value:.8f}, stock loss={stock:.8f}, mean_weight={mean_weight:.4f}")
        return value

    def _finite(self, loss: RobustLoss, evaluated: Evaluated, stock: float) -> float:
        """The stock loss without what is not finite; of nothing, one that is worse than any other.

        Infinite where the stage has a checkpoint to keep; else it is to get one, or MACE couldn't save its model. Where
        no model could be compared, because no label is finite, it is NaN, by which every model counts as better, as by
        that of stock MACE: patience never ends a stage, and there is always a checkpoint.
        """
        if math.isfinite(stock):
            return stock
        found = weighted_validation_loss(evaluated.shares, evaluated.losses.isfinite().to(evaluated.shares.dtype))
        if found is not None:
            return found[0]
        if not can_be_finite(evaluated.losses).any():
            return math.nan
        return math.inf if loss in self.kept else LARGEST

    def _judge(self, loss: RobustLoss, evaluated: Evaluated, here: Evaluated) -> Validated:
        """Judge what was evaluated, `here` with features, and note it in the records; 0: weight of what is not finite.

        Where the judgement can't be used, see Safety, the weights are 1: the loss is the stock one then, in the units
        of those that it is compared with.
        """
        rows, heads, losses, _, errors = evaluated
        usable, number = losses.isfinite() & (losses > 0), len(errors)
        residuals = dict(zip(self.records.residual_names, here.columns[:number], strict=True))
        known = here.losses, here.heads, here.losses.isfinite(), residuals, here.columns[number:].T
        seen = of_one_model(*known, self.metadata, here.rows)
        finite = losses.nan_to_num(0.0, 0.0, 0.0)
        seen = seen._replace(losses=finite, heads=heads, usable=usable, latest=usable, of=rows.cpu().numpy())
        judged = loss.safety.judge(seen, last=self.records.weight[rows].to(losses.dtype))
        weight = judged.weight.masked_fill(~usable, 1.0)  # where there is nothing to judge by
        judged = judged._replace(weight=weight.masked_fill(~losses.isfinite(), 0.0))
        self.records.note(rows, losses, judged.weight, judged.zscore, list(errors))
        self.records.end_epoch()
        self.records.note_suspects()
        return judged
