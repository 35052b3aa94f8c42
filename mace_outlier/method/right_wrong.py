"""Densities of what is not explained: of right labels, and of wrong ones. One class for each kind of property.

Both have the same verbs: `start`, `log_right`, `log_wrong`, `update` (one step of expectation maximisation, with the
probabilities to be right and wrong as weights) and `log_odds`, which never falls as the error grows. Numpy only.
"""

import math
from typing import Any

import numpy as np

from .densest import densest
from .seen import Array
from .tails import CERTAIN, TAILS

SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)  # powers by which hard forces widen right energies, chosen by the data
HARDEST = 2.0  # log of the force error over the expected one, beyond which it doesn't change the width of energies
RANGE = 30.0  # e-folds over which gross errors are spread
EACH = 4  # updates after which tails are chosen anew
NARROW = 0.35  # spread that wrong energies may always have, in asinh
PRIOR = 1.0  # configurations that the priors of the wrong populations count
ROOT_TWO_PI = math.sqrt(2 * math.pi)


def log_normal(values: Array, mean: float, width: float) -> Array:
    """Log density of a normal distribution."""
    return -0.5 * ((values - mean) / width) ** 2 - math.log(width * ROOT_TWO_PI)


class Population:
    """What both kinds share: values (N,), NaN where there is no label, and how many configurations each stands for."""

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        self.known = np.isfinite(values)
        self.values, self.counts, self.apart = np.where(self.known, values, 0.0), counts * self.known, apart
        self.tail, self.updates = 1, 0

    def _is_time(self) -> bool:
        self.updates += 1
        return self.updates % EACH == 0

    def parameters(self) -> dict[str, Any]:
        """What describes both populations: builtins only."""
        return {name: own for name, own in vars(self).items() if isinstance(own, int | float)}


class Signed(Population):
    """Energies: r in widths of right labels, with its sign.

        right   t(r; zero, width e^(shared u)),    u: log force error over the expected one, within +-HARDEST
        wrong   [up N(asinh d; at, spread) + (1 - up) N(-asinh d; at, spread)] / sqrt(1 + d^2),    d = r - zero

    Wrong energies may be off by orders of magnitude, hence the asinh, and to either side, hence the two terms.
    """

    PARAMETERS = 3  # of wrong labels

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        super().__init__(values, counts, apart)
        self.shared, self.zero, self.width, self.hardness = 0, 0.0, 1.0, np.zeros(len(values))
        self.at, self.spread, self.up = 2.0, 0.6, 0.5

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return math.sinh(self.at) >= self.apart * self.width

    def far(self, widths: float) -> np.ndarray:
        """Which values lie so many widths from zero."""
        return self.known & (np.abs(self.values) > widths)

    def log_right(self) -> Array:
        """Log density of right labels (N,); 0 without a label."""
        self._scale = self.width * np.exp(SHARED[self.shared] * self.hardness)
        self._squared = ((self.values - self.zero) / self._scale) ** 2
        return np.where(self.known, TAILS[self.tail].log(self._squared) - np.log(self._scale), 0.0)

    def log_wrong(self) -> Array:
        """Log density of wrong labels (N,); 0 without a label."""
        self._folded = np.arcsinh(self.values - self.zero)
        above = math.log(self.up) + log_normal(self._folded, self.at, self.spread)
        below = math.log1p(-self.up) + log_normal(self._folded, -self.at, self.spread)
        total = np.logaddexp(above, below)
        self._above = np.exp(above - total)
        return np.where(self.known, total - 0.5 * np.log1p((self.values - self.zero) ** 2), 0.0)

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie from right labels, in their widths."""
        return np.abs(values - self.zero) / self.width

    def log_gross(self) -> Array:
        """Log density of errors of any size (N,)."""
        return np.where(self.known, -math.log(RANGE) - np.log1p(np.abs(self.values)), 0.0)

    def update(self, right: Array, wrong: Array | None) -> None:
        """One step; `right`, `wrong` (N,): probabilities to be so, None: no label is taken for wrong."""
        q = right * self.counts
        pull = q * TAILS[self.tail].pull(self._squared)
        relative = (self._scale / self.width) ** 2
        self.zero = float((pull * self.values / relative).sum() / ((pull / relative).sum() + 1e-9))
        square = float((pull * (self.values - self.zero) ** 2 / relative).sum())
        self.width = math.sqrt(max((square + 0.05) / (q.sum() + 0.5), 1e-4))
        if self._is_time():
            self._choose(q)
        if wrong is not None:
            self._update_wrong(wrong * self.counts)

    def _choose(self, q: Array) -> None:
        """The tail, and then the power, under which right labels are likeliest."""

        def log_likelihood(tail: int, shared: int) -> float:
            scale = self.width * np.exp(SHARED[shared] * self.hardness)
            density = TAILS[tail].log(((self.values - self.zero) / scale) ** 2) - np.log(scale)
            return float((q * density).sum()) + TAILS[tail].log_prior

        self.tail = max(range(len(TAILS)), key=lambda tail: log_likelihood(tail, self.shared))
        near = range(max(0, self.shared - 1), min(len(SHARED), self.shared + 2))
        self.shared = max(near, key=lambda shared: log_likelihood(self.tail, shared))

    def _update_wrong(self, q: Array) -> None:
        number, above, folded = q.sum() + PRIOR, self._above, self._folded
        self.up = float(np.clip(((q * above).sum() + 0.5 * PRIOR) / number, 0.02, 0.98))
        typical = ((q * (2 * above - 1) * folded).sum() + 2.0 * PRIOR) / number
        self.at = max(float(typical), math.asinh(self.width))
        square = (q * (above * (folded - self.at) ** 2 + (1 - above) * (folded + self.at) ** 2)).sum()
        most = max(self.at - math.asinh(self.width), NARROW)  # few wrong ones look better than most right ones
        self.spread = float(np.sqrt((square + 0.3 * PRIOR) / number).clip(0.1, most))

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities, never falling away from zero."""
        sides = np.sinh(np.linspace(0.0, 14.0, 700))
        return np.where(values >= self.zero, *(self._outwards(values, way * sides, of_wrong) for way in (1, -1)))

    def _outwards(self, values: Array, grid: Array, of_wrong: bool) -> Array:
        like = Signed(self.zero + grid, np.ones(len(grid)), self.apart)
        like.__dict__.update(self.parameters())
        if not of_wrong:
            like.tail = CERTAIN
        odds = (like.log_wrong() if of_wrong else like.log_gross()) - like.log_right()
        return np.interp(np.abs(values - self.zero), np.abs(grid), np.maximum.accumulate(odds))


class Logarithmic(Population):
    """Forces, stresses, virials: u, the log of the error over the expected one.

    right   t(u; mode), of one width below the mode and of another above
    wrong   N(u; at, spread),   at >= mode + apart
    """

    PARAMETERS = 2  # of wrong labels

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        super().__init__(values, counts, apart)
        self.unit = max(densest(np.where(self.known, values, np.nan))[1], 0.05)
        self.mode, self.below, self.above = 0.0, self.unit, self.unit
        self.at, self.spread = max(1.0, 4 * self.unit), 0.5

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return self.at - self.mode >= self.apart

    def far(self, widths: float) -> np.ndarray:
        """Which values lie so many widths above the mode."""
        return self.known & (self.values > widths * self.unit)

    @property
    def hardness(self) -> Array:
        """How far the values lie from the mode, at most HARDEST; one difficulty makes energies and forces hard."""
        return np.where(self.known, self.values - self.mode, 0.0).clip(-HARDEST, HARDEST)

    def log_right(self) -> Array:
        """Log density of right labels (N,); 0 without a label."""
        apart = self.values - self.mode
        self._width = np.where(apart < 0, self.below, self.above)
        self._squared = (apart / self._width) ** 2
        return np.where(self.known, math.log(2 / (self.below + self.above)) + TAILS[self.tail].log(self._squared), 0.0)

    def log_wrong(self) -> Array:
        """Log density of wrong labels (N,); 0 without a label."""
        return np.where(self.known, log_normal(self.values, self.at, self.spread), 0.0)

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie above the mode of right labels, in the width above it; negative: below."""
        return (values - self.mode) / self.above

    def log_gross(self) -> Array:
        """Log density of errors of any size (N,)."""
        return np.where(self.known, -math.log(RANGE), 0.0)

    def update(self, right: Array, wrong: Array | None) -> None:
        """One step; `right`, `wrong` (N,): probabilities to be so, None: no label is taken for wrong."""
        q = right * self.counts
        pull = q * TAILS[self.tail].pull(self._squared)
        relative = self._width**2
        self.mode = float((pull * self.values / relative).sum() / ((pull / relative).sum() + 1e-9))
        apart = self.values - self.mode
        below, above = (float((pull * apart**2 * side).sum()) + 0.05 * self.unit**2 for side in (apart < 0, apart >= 0))
        total, number = below ** (1 / 3) + above ** (1 / 3), float(q.sum()) + 0.1
        least = 0.3 * self.unit
        self.below, self.above = (max(math.sqrt(own ** (2 / 3) * total / number), least) for own in (below, above))
        if self._is_time():
            squared = (apart / np.where(apart < 0, self.below, self.above)) ** 2
            self.tail = max(
                range(len(TAILS)), key=lambda own: float((q * TAILS[own].log(squared)).sum()) + TAILS[own].log_prior
            )
        if wrong is not None:
            q = wrong * self.counts
            number = float(q.sum()) + PRIOR
            typical = float(((q * self.values).sum() + PRIOR * (self.mode + 1.0)) / number)
            self.at = max(typical, self.mode + self.apart)
            square = float((q * (self.values - self.at) ** 2).sum())
            self.spread = float(np.sqrt((square + 0.2 * PRIOR) / number).clip(0.1, self.at - self.mode))

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities, never falling as values grow."""
        grid = np.linspace(0.0, 60.0, 3000)
        like = Logarithmic(self.mode + grid, np.ones(len(grid)), self.apart)
        like.__dict__.update(self.parameters())
        if not of_wrong:
            like.tail = CERTAIN
        odds = (like.log_wrong() if of_wrong else like.log_gross()) - like.log_right()
        return np.interp(values - self.mode, grid, np.maximum.accumulate(odds))
