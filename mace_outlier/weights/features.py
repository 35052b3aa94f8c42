"""Invariant features of the model, pooled over the atoms of each configuration: by them, geometry explains errors.

Noted at every step without reading anything back. Where the model has more than WIDEST features, they are projected
onto their principal components of the epoch before.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..faults import faults_logged
from .distribution import widest
from .noted import Noted

WIDEST = 96  # columns of pooled features that are kept
CONDITIONS = ("total_charge", "total_spin", "elec_temp")  # what else determines a label, if batches say it
EXTRA = 1 + len(CONDITIONS)  # columns before the features: the predicted force is the first


class Features:
    """One row for each configuration: predicted force, conditions, pooled features; float32.

        pooled = (mean over atoms of h,  standard deviation over atoms of h)          h: invariant node features

    Noted are those that this process sees, once an epoch each; NaN: not known.

    Args:
        size: N.
        scalars: columns of the host's node features that are invariant, on its device; None: they are not used.
        most: columns of pooled features that are kept.
    """

    def __init__(self, size: int, scalars: Tensor | None = None, most: int = WIDEST) -> None:
        self.size, self.scalars, self.most = size, scalars, most
        self.noted = Noted(size)
        self.projection: Tensor | None = None  # (2 d, WIDEST), of this epoch
        self._next: Tensor | None = None  # of the next: a validation set is projected as the training set was
        self._moments: Tensor | None = None  # (2 d + 1, 2 d + 1) of the wide columns of this epoch, and 1

    @torch.no_grad()
    def observe(self, rows: Tensor, ref: Any, pred: dict[str, Tensor], atoms: Tensor | None = None) -> None:
        """Note the features of the configurations `rows` (B,) of a training batch, see `measure`."""
        self.noted.add(rows, self.measure(ref, pred, learn=True, atoms=atoms))

    @torch.no_grad()
    def note(self, rows: Tensor, pooled: Tensor | None, force: Tensor) -> None:
        """Note pooled features (B, K), the same in every call or None, and the RMS of the predicted forces (B,)."""
        columns = [force.unsqueeze(1), force.new_full((len(rows), len(CONDITIONS)), torch.nan)]
        columns += [] if pooled is None else [self._narrow(pooled.to(force), learn=True)]
        self.noted.add(rows, torch.cat(columns, dim=1).float())

    @torch.no_grad()
    def measure(self, ref: Any, pred: dict[str, Tensor], learn: bool = False, atoms: Tensor | None = None) -> Tensor:
        """Return the rows (B, EXTRA + K) of a batch.

        `learn`: they count for the projection of the next epoch. `atoms`: of each configuration (B,), if that is known.
        """
        atoms = ref["ptr"].diff() if atoms is None else atoms
        unknown, force = ref["weight"].new_full((len(atoms), 1), torch.nan), pred.get("forces")
        columns = self._with_squares(pred.get("node_feats"))
        number = columns[0].shape[1] if columns else 0
        columns += [] if force is None else [force.detach().square().mean(1, keepdim=True)]
        pooled = [] if not columns else [*_pooled(torch.cat(columns, dim=1), number, ref["batch"], atoms)]
        measured = [pooled.pop() if force is not None else unknown]
        for value in (getattr(ref, name, None) for name in CONDITIONS):
            measured.append(unknown if value is None or value.numel() != len(unknown) else value.reshape(-1, 1))
        if 2 * number > self.most:
            pooled = [self._narrow(torch.cat(pooled, dim=1), learn)]
        return torch.cat(measured + pooled, dim=1).float()

    def _with_squares(self, node_features: Tensor | None) -> list[Tensor]:
        """The d invariant features of each atom, and their squares, (N, d) each; nothing where they aren't used."""
        if self.scalars is None or node_features is None:
            return []
        chosen = node_features.detach()
        chosen = chosen if chosen.shape[1] == len(self.scalars) else chosen[:, self.scalars]
        return [chosen, chosen.square()]

    def _narrow(self, pooled: Tensor, learn: bool) -> Tensor:
        """Pooled features (B, 2 d) as they are kept: projected if they are many; zeros while it isn't known how."""
        if pooled.shape[1] <= self.most:
            return pooled
        if learn:
            with_one = torch.cat((pooled, pooled.new_ones(len(pooled), 1)), dim=1).to(widest(pooled.device))
            with_one.nan_to_num_(0.0, 0.0, 0.0)  # one prediction that is not finite would spoil all directions
            if self._moments is None:
                self._moments = with_one.new_zeros(with_one.shape[1], with_one.shape[1])
            self._moments.addmm_(with_one.T, with_one)
        if self.projection is None:
            return pooled.new_zeros(len(pooled), self.most)
        return pooled @ self.projection.to(pooled)

    def latest(self) -> tuple[Tensor, np.ndarray]:
        """What was noted in this epoch, and which rows of that came last, in the order of the configurations."""
        return self.noted.columns, self.noted.latest()[1].cpu().numpy()

    # --- once an epoch -----------------------------------------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Project by what the epoch before has chosen, and note anew."""
        self.projection = self._next
        self.noted.clear()

    def end_epoch(self, sum_over_ranks: Callable[[Tensor], Tensor] | None = None) -> None:
        """Choose the next projection; all processes have to call this."""
        if self._moments is not None:
            moments = self._moments if sum_over_ranks is None else sum_over_ranks(self._moments)
            self._moments = None
            with faults_logged("Features of the model could not be narrowed", "those of the epoch before are kept"):
                self._next = _components(moments.cpu(), self.most).to(moments)  # MPS has no eigenvectors

    @staticmethod
    def split(table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicted force (N,), conditions (N, C) and features (N, K) of a table, on the host; waits for the device.

        A table without columns, where none are noted, says that nothing is known.
        """
        host = table.cpu() if table.shape[1] else torch.full((len(table), EXTRA), torch.nan)
        return host[:, 0], host[:, 1:EXTRA], host[:, EXTRA:]

    def state_dict(self) -> dict[str, Any]:
        """What the next epoch depends on: the table is made anew in it."""
        return {"projection": None if self._next is None else self._next.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self._next = self.projection = state["projection"]


def rms_over_atoms(vectors: Tensor, batch: Tensor, atoms: Tensor) -> Tensor:
    """Root mean square of the components of vectors (N, 3), one for each atom, over each configuration (B,).

    `batch` (N,): the configuration of each atom, `atoms` (B,): how many a configuration has.
    """
    squares = vectors.square().mean(1)
    return (squares.new_zeros(len(atoms)).index_add(0, batch, squares) / atoms).sqrt()


def _pooled(columns: Tensor, number: int, batch: Tensor, atoms: Tensor) -> list[Tensor]:
    """Mean and standard deviation (B, d) over the atoms of each configuration; and the square root of a mean, if any.

    `columns` (N, 2 d) or (N, 2 d + 1): d features, their squares, and squares of something else; `number`: d.
    """
    means = columns.new_zeros(len(atoms), columns.shape[1]).index_add_(0, batch, columns) / atoms.unsqueeze(1)
    mean, spread, sizes = means[:, :number], means[:, number : 2 * number], means[:, number:]
    spread.addcmul_(mean, mean, value=-1)
    sizes.clamp_min_(0.0).sqrt_()
    pooled = [mean, spread] if number else []
    return pooled + ([means[:, 2 * number :]] if columns.shape[1] > 2 * number else [])


def _components(moments: Tensor, most: int) -> Tensor:
    """Directions (2 d, most) of the largest variance, by sums of products of the columns and 1, each scaled to it."""
    count = moments[-1, -1].clamp_min(1.0)
    mean = moments[-1, :-1] / count
    covariance = moments[:-1, :-1] / count - torch.outer(mean, mean)
    width = covariance.diagonal().clamp_min(1e-12).sqrt()
    _, directions = torch.linalg.eigh(covariance / torch.outer(width, width))
    return directions[:, -most:] / width.unsqueeze(1)
