"""Offsets of energies: each is one only where several suspects agree on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .expected import MAD
from .hypotheses import NOISE, Hypothesis
from .shares import posterior
from .suspected_energies import Array, Column, SuspectedEnergies

OFFSET, BY_ELEMENT, ELECTRON = "offset", "offset by element", "electron"
PASSES = 30  # of reweighting, for least absolute deviations
Mask = NDArray[np.bool_]


def with_offsets(own: SuspectedEnergies, columns: Sequence[Column], unclear: set[str]) -> list[Column]:
    """Return the hypotheses with offsets, one after the other as long as they explain much that nothing else does.

    `unclear`: kinds of hypotheses that explain suspects no better than noise does.
    """
    settings, columns = own.settings, list(columns)
    vague = [column.hypothesis.kind in unclear | {NOISE} for column in columns]
    for _ in range(settings.offsets):
        probability, before = _posterior(own, columns)
        left = probability[:, : len(vague)][:, vague].sum(axis=1) > 0.5
        best, gain = None, 0.0
        for column, numbers in _proposals(own, left):
            probability, now = _posterior(own, [*columns, column])
            gained = now - before - numbers * np.log(max(len(own.error), 2))
            if gained > gain + settings.gain and probability[:, -1].sum() >= settings.few:  # the simplest comes first
                best, gain = column, gained
        if best is None:
            break
        columns.append(best)
    return columns


def _posterior(own: SuspectedEnergies, columns: Sequence[Column]) -> tuple[Array, float]:
    likely = np.column_stack([column.log_likelihood for column in columns])
    return posterior(likely, [column.hypothesis for column in columns], own.settings)


def _proposals(own: SuspectedEnergies, left: Mask) -> list[tuple[Column, int]]:
    """Offsets that some of the suspects (S,) that are left agree on, and how many numbers each has."""
    if left.sum() < own.settings.few:
        return []
    return [*_constant(own, left), *_by_element(own, left), *_electron(own, left)]


def _constant(own: SuspectedEnergies, left: Mask) -> list[tuple[Column, int]]:
    """The densest error."""
    errors = own.error[left]
    near = np.abs(errors[:, None] - errors[None]) < 2 * own.width
    centre = float(np.mean(errors[near[np.argmax(near.sum(axis=1))]]))
    if abs(centre) < own.settings.wrong * own.width:
        return []
    offset = np.full(len(own.error), centre)
    return [(Column(Hypothesis(OFFSET, f"{centre:.6f}"), own.of_right(own.error - offset), offset), 1)]


def _by_element(own: SuspectedEnergies, left: Mask) -> list[tuple[Column, int]]:
    """An offset for each element, where the suspects' compositions say more than one number."""
    elements = np.unique(np.concatenate([frame.numbers for frame in own.suspects]))
    shares = np.array([(frame.numbers[:, None] == elements).mean(axis=0) for frame in own.suspects])
    rank = int(np.linalg.matrix_rank(shares[left], tol=0.05 * np.sqrt(left.sum())))
    if rank < 2 or left.sum() < own.settings.few * rank:
        return []
    weight = np.ones(int(left.sum()))
    for _ in range(PASSES):
        fitted = np.linalg.lstsq(shares[left] * weight[:, None], own.error[left] * weight, rcond=0.05)[0]
        off = np.abs(own.error[left] - shares[left] @ fitted)
        weight = 1 / np.sqrt(np.maximum(off, own.width))
    offsets = shares @ fitted
    return [(Column(Hypothesis(BY_ELEMENT), own.of_right(own.error - offsets), offsets), rank)]


def _electron(own: SuspectedEnergies, left: Mask) -> list[tuple[Column, int]]:
    """As much for each configuration, whatever its size: another number of electrons; of molecules only.

    In a solid, an energy that doesn't grow with the cell belongs to a defect; cells of one size would be taken for it.
    """
    if any(frame.periodic for frame in own.suspects):
        return []
    total, settings = own.error * own.atoms, own.settings
    centre = float(np.median(total[left]))
    spread = MAD * float(np.median(np.abs(total[left] - centre)))
    if abs(centre) < settings.electron or spread > settings.electron_spread * abs(centre):
        return []
    width = max(spread, own.width * float(own.atoms.mean()))
    likely = -0.5 * ((total - centre) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi)) + np.log(own.atoms)
    return [(Column(Hypothesis(ELECTRON), likely, total), 2)]
