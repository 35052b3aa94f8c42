"""Errors of which the size is known, of right and of wrong forces, stresses and virials. Numpy only."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .densest import densest
from .right_wrong import PRIOR, RANGE, Population, least_spread, log_normal
from .seen import Array
from .tails import CERTAIN_LOG, TAILS

HARDEST = 2.0  # log of the force error over the expected one, beyond which it doesn't change the width of energies


@dataclass
class Logarithmic(Population):
    """Forces, stresses, virials: u, the log of the error over the expected one.

    right   t(u; centre), of one width below and of another above
    wrong   N(u; at, spread),   at >= centre + apart
    """

    unit: float = 1.0  # width of all labels
    below: float = 1.0
    above: float = 1.0

    PARAMETERS = 2
    CERTAIN = CERTAIN_LOG

    @classmethod
    def of(cls, values: Array, apart: float) -> "Logarithmic":
        """Where a fit starts."""
        unit = max(densest(values)[1], 0.05)
        return cls(apart, at=max(1.0, 4 * unit), spread=0.5, unit=unit, below=unit, above=unit)

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return self.at - self.centre >= self.apart

    def hardness(self, values: Array) -> Array:
        """How far values lie from right ones, within +-HARDEST; one difficulty makes energies and forces hard."""
        return (values - self.centre).clip(-HARDEST, HARDEST)

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie above right labels, in the width above; negative: below."""
        return (values - self.centre) / self.above

    def _widths(self, values: Array) -> Array:
        return np.where(values < self.centre, self.below, self.above)

    def log_right(self, values: Array, hardness: Array | float = 0.0) -> Array:
        """See Population; the hardness doesn't matter."""
        squared = ((values - self.centre) / self._widths(values)) ** 2
        return math.log(2 / (self.below + self.above)) + TAILS[self.tail].log(squared)

    def log_wrong(self, values: Array) -> Array:
        """See Population."""
        return log_normal(values, self.at, self.spread)

    def log_gross(self, values: Array) -> Array:
        """See Population."""
        return np.full(len(values), -math.log(RANGE))

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities (N,), never falling as values grow."""
        return self._along(values - self.centre, 1, of_wrong)

    def updated(
        self, values: Array, right: Array, wrong: Array | None, hardness: Array | float, choose: bool
    ) -> "Logarithmic":
        """One step of expectation maximisation, see Signed; `choose`: the tail anew."""
        widths = self._widths(values)
        pull = right * TAILS[self.tail].pull(((values - self.centre) / widths) ** 2)
        near = pull / widths**2
        centre = float((near * values).sum() / (near.sum() + 1e-9))
        off = values - centre
        below, above = (float((pull * off**2 * side).sum()) + 0.05 * self.unit**2 for side in (off < 0, off >= 0))
        total, number = below ** (1 / 3) + above ** (1 / 3), float(right.sum()) + 0.1
        below, above = (max(math.sqrt(own ** (2 / 3) * total / number), 0.3 * self.unit) for own in (below, above))
        own = replace(self, centre=centre, below=below, above=above)
        if choose:
            own = own._likeliest([replace(own, tail=tail) for tail in range(len(TAILS))], values, right)
        return own if wrong is None else own._with_wrong(values, wrong)

    def _with_wrong(self, values: Array, q: Array) -> "Logarithmic":
        number = float(q.sum()) + PRIOR
        typical = float(((q * values).sum() + PRIOR * (self.centre + 1.0)) / number)
        at = max(typical, self.centre + self.apart)
        square, apart = float((q * (values - at) ** 2).sum()), at - self.centre
        spread = np.sqrt((square + 0.2 * PRIOR) / number).clip(least_spread(apart), apart)
        return replace(self, at=at, spread=float(spread))
