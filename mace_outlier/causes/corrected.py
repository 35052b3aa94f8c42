"""Labels with several components, forces and stress: what is left of the error if a hypothesis is right.

Each hypothesis turns the label into what it ought to be; the likelihood is that of a right label's errors then.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import logsumexp

from .expected import Similar, factor_between, rms
from .hypotheses import FACTOR, RIGHT, UNIT, Hypotheses, Hypothesis, Told, noises
from .likelihood import of_right
from .settings import Settings

Array = NDArray[np.float64]
T3 = np.log(2 / (np.pi * np.sqrt(3)))  # density of the t distribution with three degrees of freedom at 0
LARGEST = np.log(1e3)  # of an unknown factor, up or down, either sign


class Corrected(NamedTuple):
    """What is left of the error if a hypothesis is right."""

    hypothesis: Hypothesis
    error: Array  # like the label
    factor: float = 1.0  # by which the label was divided
    log_prior: float = 0.0  # of what was fitted, times the width to which it is known
    scale: float = 1.0  # of the error, in those of right labels
    value: float = np.nan
    atoms: NDArray[np.int64] = np.zeros(0, dtype=np.int64)


class Compared:
    """A label and its prediction.

    Args:
        label, predicted: the same shape.
        components: how many numbers of the label are independent.
        similar: errors of right labels.
        expected: what geometry says of that of this one; NaN: nothing.
        settings: of the causes.
    """

    def __init__(
        self, label: Array, predicted: Array, components: int, similar: Similar, expected: float, settings: Settings
    ) -> None:
        self.label, self.predicted, self.components, self.settings = label, predicted, components, settings
        self.error, self.similar, self.spread = label - predicted, similar, similar.spread
        self.expected, self.size = similar.of(predicted, expected), max(rms(predicted), 1e-12)

    @property
    def off(self) -> bool:
        """Whether the label is so far off that something is wrong with it."""
        return rms(self.error) > self.settings.wrong * self.expected

    @property
    def vanishes(self) -> bool:
        """Whether the prediction is too small to have a sign or an order of components."""
        return self.size < self.settings.wrong * self.expected

    @property
    def precision(self) -> float:
        """Relative error of what is fitted to all components."""
        return float(min(self.expected / self.size / np.sqrt(self.components), 1.0))

    def plain(self) -> list[Corrected]:
        """A right label, and noise of all sizes."""
        right = Corrected(Hypothesis(RIGHT), self.error)
        return [right] + [Corrected(one, self.error, scale=scale) for one, scale in noises(self.settings).items()]

    def scaled(self, known: Sequence[Hypothesis]) -> list[Corrected]:
        """Known factors and an unknown one.

        The factor is fitted. Predictions differ in size from right labels, by factors that are seen among the trusted
        ones: it may differ from a known one by as much.
        """
        factor = factor_between(self.label, self.predicted)
        if self.vanishes or not factor:  # then nothing can be fitted
            large = [one for one in known if abs(one.factor) >= 1 and (self.off or self._explains(one.factor))]
            return [Corrected(one, self._divided(one.factor), one.factor, value=one.factor) for one in large]
        error, width = self._divided(factor), float(np.hypot(self.similar.factors, self.precision))
        found = [
            Corrected(
                one, error, factor, self._log_prior(factor / self.similar.factor / one.factor, width), value=one.factor
            )
            for one in (Hypothesis(RIGHT), *known)
            if one.factor * factor > 0
        ]
        if self.off and np.log(self.settings.factor) < abs(np.log(abs(factor))) < LARGEST:
            log_prior = float(np.log(self.precision / (4 * LARGEST) * np.sqrt(2 * np.pi)))
            found.append(Corrected(Hypothesis(FACTOR), error, factor, log_prior, value=factor))
        return found

    def _explains(self, factor: float) -> bool:
        """Whether the label divided by a factor is most of what is predicted, however uncertain that is."""
        return rms(self._divided(factor)) < self.settings.left * rms(self.label)

    def _divided(self, factor: float) -> Array:
        """The error of the label divided by a factor."""
        return self.label / factor - self.predicted

    def _log_prior(self, ratio: float, width: float) -> float:
        """Density of the logarithm (Student's t, three degrees of freedom), times the width to which it is known."""
        density = T3 - 2 * np.log1p((np.log(ratio) / width) ** 2 / 3)
        return float(density + np.log(self.precision / width * np.sqrt(2 * np.pi)))

    def told(self, corrected: Sequence[Corrected]) -> Hypotheses:
        """Return how likely the label is by each."""
        squares = np.array([np.mean(own.error**2) for own in corrected]) * self.components
        expected = self.expected * np.array([own.scale for own in corrected])
        likely = of_right(squares, np.array(float(self.components)), expected, self.spread)
        likely -= self.components * np.log(np.abs([own.factor for own in corrected]))
        likely += [own.log_prior for own in corrected]
        found: Hypotheses = {}
        for own, value in sorted(zip(corrected, likely.tolist(), strict=True), key=lambda pair: pair[1]):
            found[own.hypothesis] = Told(value, own.value, own.atoms)  # a right label: with and without a factor
        return self._told_apart(found)

    def _told_apart(self, found: Hypotheses) -> Hypotheses:
        """Make one of the units that are nearly the same: the label is in one or the other.

        Predictions are too large or too small, alike in all configurations of a kind. Where two units differ by less
        than that, no label says which one it is in, nor do many.
        """
        units = sorted((one for one in found if one.kind == UNIT), key=lambda one: (len(one.unit), one.unit))
        if len(units) < 2:
            return found
        factors = np.array([one.factor for one in units])
        ratios = factors[:, None] / factors
        apart = np.where(ratios > 0, np.abs(np.log(np.abs(ratios))), np.inf)
        together = connected_components(apart < np.hypot(self.similar.apart, 2 * self.precision))[1]
        for number in np.flatnonzero(np.bincount(together) > 1):
            own = [one for one, place in zip(units, together, strict=True) if place == number]
            told = [found.pop(one) for one in own]
            mean = float(logsumexp([each.log_likelihood for each in told]) - np.log(len(told)))
            one_of_them = Hypothesis(UNIT, " or ".join(one.unit for one in own), rare=all(one.rare for one in own))
            found[one_of_them] = Told(mean)
        return found
