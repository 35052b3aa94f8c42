"""What the log says of what is not finite: labels, geometries, losses, steps and the model itself."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.dataset import nonfinite_labels
from ..data.provenance import Provenance
from ..states import ASIDE, GEOMETRY, LABEL, LOSS, STATES
from ..weights.records import Records

NAMED = 20  # by name; the rest are counted
OF_A_STEP = 5


class NonfiniteNames:
    """Which of them have been named.

    `dataset` is the training set, `provenance` its rows, `labels` what is trained; `fault_of`: see NumberedDataset.
    """

    def __init__(
        self, dataset: Any, provenance: Provenance, labels: Sequence[str], fault_of: Callable[[Any], str]
    ) -> None:
        self.dataset, self.provenance, self.labels, self.fault_of = dataset, provenance, labels, fault_of
        self._named: set[int] = set()
        self._broken: set[int] = set()  # heads

    def name_before(self, noted: np.ndarray) -> None:
        """Log what can't be trained on, by what will be noted in place of the losses (N,)."""
        codes = np.select([np.isnan(noted), np.isinf(noted)], [STATES.index(LABEL), STATES.index(GEOMETRY)], 0)
        self._name_new(*_aside(codes))

    def look(self, records: Records, taken_back: Sequence[int]) -> "Happened":
        """See what was not finite in an epoch; in all processes. Waits for the device."""
        rows, codes = _aside(records.codes.cpu().numpy())
        every = records.processes.gather(np.column_stack((rows + records.share.start, codes)))
        broken = {head: _first_step(records, head) for head in sorted(records.not_finite_since.keys() - self._broken)}
        self._broken = set(records.not_finite_since)
        steps = dict.fromkeys([*taken_back[:1], *broken.values()])
        seen = {step: _seen_in(records, step) for step in steps}
        number = max(records.step, len(taken_back))
        return Happened(records.epoch, every[:, 0], every[:, 1], number, taken_back, broken, seen)

    def name_new(self, happened: "Happened") -> None:
        """Log what was not finite in an epoch and has not been logged before."""
        epoch, rows, codes, steps, taken_back, broken, seen = happened
        self._name_new(rows, codes)
        if taken_back:
            logging.warning(
                f"Epoch {epoch}: {len(taken_back)} of {steps} steps were not taken, because their gradients were not "
                f"finite; the first was step {taken_back[0]}: {self._names(seen[taken_back[0]])}"
            )
        for head, step in broken.items():
            logging.error(
                f"head {self.provenance.heads[head]}: the model is not finite since epoch {epoch}, step {step} "
                f"({self._names(seen[step])}). Its labels are not judged any more, the weights stay"
            )

    def _name_new(self, rows: np.ndarray, codes: np.ndarray) -> None:
        of = dict(zip(rows.tolist(), codes.tolist(), strict=True))
        new = [row for row in of if row not in self._named]
        room = max(0, NAMED - len(self._named))
        for row in new[:room]:
            logging.warning(f"{self.provenance.name(row)} has weight 0: {self._reason(row, STATES[of[row]])}")
        if len(new) > room:
            logging.warning(f"{len(new) - room} more training configurations have weight 0, see the column state")
        self._named.update(new)

    def _reason(self, row: int, state: str) -> str:
        if state == LOSS:
            return "its loss is not finite, nor is its prediction as a rule, while the model is finite for others"
        item = self.dataset[int(self.provenance.position_of_row[row])]
        if state == GEOMETRY:
            return f"{self.fault_of(item)}; it is left out"
        return f"non-finite {' and '.join(nonfinite_labels(item, self.labels))} in its labels"

    def _names(self, rows: np.ndarray) -> str:
        names = [self.provenance.name(row) for row in rows[:OF_A_STEP].tolist()]
        return ", ".join(names) + (f" and {len(rows) - OF_A_STEP} more" if len(rows) > OF_A_STEP else "")


class Happened(NamedTuple):
    """What was not finite in an epoch."""

    epoch: int
    rows: np.ndarray  # (n,) that are set aside
    codes: np.ndarray  # (n,) why, see `states`
    steps: int  # of the epoch
    taken_back: Sequence[int]  # steps
    broken: dict[int, int]  # heads for which the model is not finite any more, and since which step
    seen: dict[int, np.ndarray]  # rows of each of these steps, those first that have no finite loss


def _aside(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the rows (N,) are set aside, and why."""
    rows = np.flatnonzero(np.isin(codes, ASIDE))
    return rows, codes[rows].astype(np.int64)


def _first_step(records: Records, head: int) -> int:
    """The first step of the epoch in which the loss was not finite for a head; in all processes."""
    first = (records.head == head) & (records.loss == torch.inf) & records.visited
    times = records.processes.gather(records.time[first].cpu().numpy())
    return int(np.rint((times.min() - records.epoch) * records.steps)) if len(times) else 0


def _seen_in(records: Records, step: int) -> np.ndarray:
    """Rows of the configurations of a step of this epoch, those first that have no finite loss; in all processes."""
    times = (records.time - records.epoch) * records.steps
    here = torch.nonzero(records.visited & ((times - step).abs() < 0.5)).flatten()
    finite = records.loss[here].isfinite().cpu().numpy()
    found = np.column_stack((here.cpu().numpy() + records.share.start, finite))
    found = records.processes.gather(found.astype(np.int64))
    return np.asarray(found[np.argsort(found[:, 1], kind="stable"), 0])
