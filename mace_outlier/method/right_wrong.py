"""Densities of what is not explained, of right and of wrong labels: a class for each kind of property. Numpy only.

Both kinds have `log_right`, `log_wrong`, `update` (one step of expectation maximisation, by the probabilities to be
right and wrong) and `log_odds`, which never falls as the error grows.
"""

import math
from typing import Any

import numpy as np

from .densest import densest
from .seen import Array
from .tails import CERTAIN, CERTAIN_LOG, TAILS

SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)  # powers by which hard forces widen right energies, chosen by the data
HARDEST = 2.0  # log of the force error over the expected one, beyond which it doesn't change the width of energies
RANGE = 30.0  # e-folds over which gross errors are spread
EACH = 4  # updates after which tails are chosen anew
FURTHER = (
    2.0  # asinh beyond typical wrong energies, from where they count as that far: a gross one says nothing of others
)
NARROW = 0.35  # spread that wrong energies may always have, in asinh
STRAGGLING = 0.25  # least spread of wrong forces over their distance from right ones: some are off by less
PRIOR = 1.0  # configurations that the priors of the wrong populations count
GRID = np.sinh(np.linspace(0.0, 14.0, 700))  # distances from right labels at which odds are known


class Population:
    """Right and wrong labels of one property.

    Args:
        values: what is not explained (N,), NaN where there is no label.
        counts: configurations that each stands for (N,).
        apart: how far off wrong labels have to be typically, to be told from hard ones.
    """

    PARAMETERS = 0  # of wrong labels
    CERTAIN = CERTAIN  # tail of right labels beside gross errors

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        self.known = np.isfinite(values)
        self.values, self.counts, self.apart = np.where(self.known, values, 0.0), counts * self.known, apart
        self.tail, self.updates, self.centre, self.at, self.spread = 1, 0, 0.0, 2.0, 0.6

    def parameters(self) -> dict[str, Any]:
        """What describes both populations: builtins only."""
        return {name: own for name, own in vars(self).items() if isinstance(own, int | float)}

    def _is_time(self) -> bool:
        self.updates += 1
        return self.updates % EACH == 0

    def _along(self, distance: Array, side: int, of_wrong: bool) -> Array:
        """Log ratio of wrong (or gross) and right densities at distances (N,) from right labels, never falling."""
        there: Any = type(self)(self.centre + side * GRID, np.ones(len(GRID)), self.apart)
        there.__dict__.update(self.parameters())
        if not of_wrong:
            there.tail = self.CERTAIN
        odds = (there.log_wrong() if of_wrong else there.log_gross()) - there.log_right()
        return np.interp(distance, GRID, np.maximum.accumulate(odds))


class Signed(Population):
    """Energies: r in widths of right labels, with its sign.

        right   t(r; centre, width e^(shared u)),    u: log force error over the expected one, within +-HARDEST
        wrong   [up N(asinh d; at, spread) + (1 - up) N(-asinh d; at, spread)] / sqrt(1 + d^2),    d = r - centre

    Wrong energies may be off by orders of magnitude, hence the asinh, and to either side, hence the two terms.
    """

    PARAMETERS = 3

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        super().__init__(values, counts, apart)
        self.shared, self.width, self.up, self.hardness = 0, 1.0, 0.5, np.zeros(len(values))

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return math.sinh(self.at) >= self.apart * self.width

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie from right labels, in their widths."""
        return np.abs(values - self.centre) / self.width

    def log_right(self) -> Array:
        """Log density of right labels (N,); 0 without a label."""
        self._scale = self.width * np.exp(SHARED[self.shared] * self.hardness)
        self._squared = ((self.values - self.centre) / self._scale) ** 2
        return np.where(self.known, TAILS[self.tail].log(self._squared) - np.log(self._scale), 0.0)

    def log_wrong(self) -> Array:
        """Log density of wrong labels (N,); 0 without a label."""
        off = self.values - self.centre
        self._folded = np.arcsinh(off).clip(-self.at - FURTHER, self.at + FURTHER)
        above = math.log(self.up) + _log_normal(self._folded, self.at, self.spread)
        total = np.logaddexp(above, math.log1p(-self.up) + _log_normal(self._folded, -self.at, self.spread))
        self._above = np.exp(above - total)
        return np.where(self.known, total - 0.5 * np.log1p(off**2), 0.0)

    def log_gross(self) -> Array:
        """Log density of errors of any size (N,); 0 without a label."""
        return np.where(self.known, -math.log(RANGE) - np.log1p(np.abs(self.values)), 0.0)

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities (N,), never falling away from right."""
        off = values - self.centre
        return np.where(off >= 0, self._along(off, 1, of_wrong), self._along(-off, -1, of_wrong))

    def update(self, right: Array, wrong: Array | None) -> None:
        """One step; `right`, `wrong` (N,): probabilities to be so, None: no label is taken for wrong."""
        q, relative = right * self.counts, (self._scale / self.width) ** 2
        pull = q * TAILS[self.tail].pull(self._squared) / relative
        self.centre = float((pull * self.values).sum() / (pull.sum() + 1e-9))
        square = float((pull * (self.values - self.centre) ** 2).sum())
        self.width = math.sqrt(max((square + 0.05) / (q.sum() + 0.5), 1e-4))
        if self._is_time():
            self._choose(q)
        if wrong is not None:
            self._update_wrong(wrong * self.counts)

    def _choose(self, q: Array) -> None:
        """The tail, and then the power, under which right labels are likeliest."""

        def log_likelihood(tail: int, shared: int) -> float:
            scale = self.width * np.exp(SHARED[shared] * self.hardness)
            density = TAILS[tail].log(((self.values - self.centre) / scale) ** 2) - np.log(scale)
            return float((q * density).sum()) + TAILS[tail].log_prior

        self.tail = max(range(len(TAILS)), key=lambda tail: log_likelihood(tail, self.shared))
        near = range(max(0, self.shared - 1), min(len(SHARED), self.shared + 2))
        self.shared = max(near, key=lambda shared: log_likelihood(self.tail, shared))

    def _update_wrong(self, q: Array) -> None:
        number, above, folded = q.sum() + PRIOR, self._above, self._folded
        self.up = float(np.clip(((q * above).sum() + 0.5 * PRIOR) / number, 0.02, 0.98))
        typical = float(((q * (2 * above - 1) * folded).sum() + 2.0 * PRIOR) / number)
        self.at = max(typical, math.asinh(self.width))
        square = (q * (above * (folded - self.at) ** 2 + (1 - above) * (folded + self.at) ** 2)).sum()
        most = max(self.at - math.asinh(self.width), NARROW)  # few wrong ones look better than most right ones
        self.spread = float(np.sqrt((square + 0.3 * PRIOR) / number).clip(0.1, most))


class Logarithmic(Population):
    """Forces, stresses, virials: u, the log of the error over the expected one.

    right   t(u; centre), of one width below and of another above
    wrong   N(u; at, spread),   at >= centre + apart
    """

    PARAMETERS = 2
    CERTAIN = CERTAIN_LOG

    def __init__(self, values: Array, counts: Array, apart: float) -> None:
        super().__init__(values, counts, apart)
        self.unit = max(densest(np.where(self.known, values, np.nan))[1], 0.05)
        self.below = self.above = self.unit
        self.at, self.spread = max(1.0, 4 * self.unit), 0.5

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return self.at - self.centre >= self.apart

    @property
    def hardness(self) -> Array:
        """How far the values lie from right ones, within +-HARDEST; one difficulty makes energies and forces hard."""
        return np.where(self.known, self.values - self.centre, 0.0).clip(-HARDEST, HARDEST)

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie above right labels, in the width above; negative: below."""
        return (values - self.centre) / self.above

    def log_right(self) -> Array:
        """Log density of right labels (N,); 0 without a label."""
        off = self.values - self.centre
        self._width = np.where(off < 0, self.below, self.above)
        self._squared = (off / self._width) ** 2
        return np.where(self.known, math.log(2 / (self.below + self.above)) + TAILS[self.tail].log(self._squared), 0.0)

    def log_wrong(self) -> Array:
        """Log density of wrong labels (N,); 0 without a label."""
        return np.where(self.known, _log_normal(self.values, self.at, self.spread), 0.0)

    def log_gross(self) -> Array:
        """Log density of errors of any size (N,); 0 without a label."""
        return np.where(self.known, -math.log(RANGE), 0.0)

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities (N,), never falling as values grow."""
        return self._along(values - self.centre, 1, of_wrong)

    def update(self, right: Array, wrong: Array | None) -> None:
        """One step; `right`, `wrong` (N,): probabilities to be so, None: no label is taken for wrong."""
        q = right * self.counts
        pull = q * TAILS[self.tail].pull(self._squared)
        near = pull / self._width**2
        self.centre = float((near * self.values).sum() / (near.sum() + 1e-9))
        off = self.values - self.centre
        below, above = (float((pull * off**2 * side).sum()) + 0.05 * self.unit**2 for side in (off < 0, off >= 0))
        total, number = below ** (1 / 3) + above ** (1 / 3), float(q.sum()) + 0.1
        self.below, self.above = (
            max(math.sqrt(own ** (2 / 3) * total / number), 0.3 * self.unit) for own in (below, above)
        )
        if self._is_time():
            squared = (off / np.where(off < 0, self.below, self.above)) ** 2
            likely = [float((q * tail.log(squared)).sum()) + tail.log_prior for tail in TAILS]
            self.tail = int(np.argmax(likely))
        if wrong is not None:
            q = wrong * self.counts
            number = float(q.sum()) + PRIOR
            typical = float(((q * self.values).sum() + PRIOR * (self.centre + 1.0)) / number)
            self.at = max(typical, self.centre + self.apart)
            square = float((q * (self.values - self.at) ** 2).sum())
            apart = self.at - self.centre
            self.spread = float(np.sqrt((square + 0.2 * PRIOR) / number).clip(max(0.1, STRAGGLING * apart), apart))


def _log_normal(values: Array, mean: float, width: float) -> Array:
    return -0.5 * ((values - mean) / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
