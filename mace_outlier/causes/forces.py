"""Hypotheses on the forces of one configuration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import gammaln, logsumexp

from .corrected import Compared, Corrected
from .expected import Similar
from .frames import Frame
from .hypotheses import FORCE, Hypothesis, Told, scaled
from .likelihood import of_right, scales
from .settings import Settings

Array = NDArray[np.float64]
ORDER, ROTATED, DRIFT, SOME, ZERO = "order", "rotated", "drift", "some atoms", "zero"
SCALED = scaled(FORCE, signs=True)
LARGEST_DRIFT = 10.0  # eV/A
FEWEST = 4  # atoms, some of which can be the exception
MOST_ORDERED = 500  # atoms whose order is looked for: that takes a time of the third power


def force_faults(
    frame: Frame, similar: Similar, settings: Settings, common: Sequence[Hypothesis] = ()
) -> dict[Hypothesis, Told]:
    """Return all hypotheses on the forces of a configuration that has some."""
    own = Compared(frame.forces, frame.predicted_forces, 3 * frame.atoms, similar, frame.expected_forces, settings)
    if not frame.forces.any():
        return own.told(own.plain()) | ({Hypothesis(ZERO): Told(0.0)} if own.off else {})
    corrected = [*own.plain(), *own.scaled([*SCALED, *common])]
    if own.off:
        corrected += [_drift(own)] if own.vanishes else [_drift(own), _rotated(own)]
        corrected += [_order(own)] if frame.atoms <= MOST_ORDERED and not own.vanishes else []
    return own.told(corrected) | (_some(own) if own.off else {})


def _rotated(own: Compared) -> Corrected:
    """The forces of the same molecule, turned."""
    left, _, right = np.linalg.svd(own.label.T @ own.predicted)
    left[:, 2] *= np.sign(np.linalg.det(left @ right)) or 1.0
    log_prior = 3 * float(np.log(own.precision / np.pi))
    return Corrected(Hypothesis(ROTATED), own.label @ (left @ right) - own.predicted, log_prior=log_prior)


def _drift(own: Compared) -> Corrected:
    """The same vector added to the forces of all atoms."""
    mean = own.error.mean(axis=0)
    known_to = own.expected / np.sqrt(len(own.label))
    log_prior = 3 * float(np.log(min(known_to / LARGEST_DRIFT, 1.0)))
    return Corrected(Hypothesis(DRIFT), own.error - mean, log_prior=log_prior)


def _order(own: Compared) -> Corrected:
    """The forces of the atoms in another order."""
    place = order_of(own.label, own.predicted)
    moved = np.flatnonzero(place != np.arange(len(place)))
    log_prior = float(gammaln(len(place) - len(moved) + 1) - gammaln(len(place) + 1))
    return Corrected(Hypothesis(ORDER), own.label - own.predicted[place], log_prior=log_prior, atoms=moved)


def order_of(label: Array, predicted: Array) -> NDArray[np.int64]:
    """Return the atom (n,) whose force each row of the label (n, 3) is: that of the nearest prediction, each once."""
    distances = ((label[:, None] - predicted[None]) ** 2).sum(axis=2)
    return np.asarray(linear_sum_assignment(distances)[1])


def _some(own: Compared) -> dict[Hypothesis, Told]:
    """Some of the atoms, at most half of them; the others are as near as right labels are."""
    squares, atoms, settings = (own.error**2).sum(axis=1), len(own.error), own.settings
    order = np.argsort(-squares)
    apart = int(np.sum(squares > 3 * (settings.wrong * own.expected) ** 2))
    number = np.arange(1, min(apart, atoms // 2) + 1)
    if atoms < FEWEST or not len(number):
        return {}
    large = np.cumsum(squares[order])[: len(number)]
    rest, left = squares.sum() - large, 3 * (atoms - number)
    expected = np.full(len(large), own.expected)
    each = [of_right(large, 3 * number, scale * expected, own.spread) for scale in scales(settings)]
    likely = logsumexp(each, axis=0) - np.log(len(each)) + of_right(rest, left, expected, own.spread)
    likely -= gammaln(atoms + 1) - gammaln(number + 1) - gammaln(atoms - number + 1) + np.log(atoms)
    likely[rest > left * (np.exp(own.spread) * own.expected) ** 2] = -np.inf
    best = int(np.argmax(likely))
    if not np.isfinite(likely[best]):
        return {}
    return {Hypothesis(SOME): Told(float(likely[best]), np.nan, np.sort(order[: best + 1]))}
