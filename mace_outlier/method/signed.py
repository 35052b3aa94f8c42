"""Errors that have a sign, of right and of wrong energies. Numpy only."""

import math
from dataclasses import dataclass, replace

import numpy as np

from .right_wrong import PRIOR, RANGE, Population, least_spread, log_normal
from .seen import Array
from .tails import TAILS

SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)  # powers by which hard forces widen right energies, chosen by the data
FURTHER = 2.0  # asinh beyond typical wrong energies, from where all are as far: a gross one tells nothing of others
NARROW = 0.35  # spread that wrong energies may always have, in asinh


@dataclass
class Signed(Population):
    """Energies: r in widths of right labels, with its sign.

        right   t(r; centre, width e^(shared u)),    u: log force error over the expected one, within +-HARDEST
        wrong   [up N(asinh d; at, spread) + (1 - up) N(-asinh d; at, spread)] / sqrt(1 + d^2),    d = r - centre

    Wrong energies may be off by orders of magnitude, hence the asinh, and to either side, hence the two terms.
    """

    width: float = 1.0
    shared: int = 0  # one of SHARED
    up: float = 0.5

    PARAMETERS = 3

    @property
    def is_apart(self) -> bool:
        """Whether wrong labels are typically further off than harder right ones could be."""
        return math.sinh(self.at) >= self.apart * self.width

    def widths_from_right(self, values: Array) -> Array:
        """How far values lie from right labels, in their widths."""
        return np.abs(values - self.centre) / self.width

    def log_right(self, values: Array, hardness: Array | float = 0.0) -> Array:
        """See Population."""
        scale = self.width * np.exp(SHARED[self.shared] * hardness)
        return np.asarray(TAILS[self.tail].log(((values - self.centre) / scale) ** 2) - np.log(scale))

    def log_wrong(self, values: Array) -> Array:
        """See Population."""
        above, below = self._sides(self._folded(values))
        return np.asarray(np.logaddexp(above, below) - 0.5 * np.log1p((values - self.centre) ** 2))

    def log_gross(self, values: Array) -> Array:
        """See Population."""
        return np.asarray(-math.log(RANGE) - np.log1p(np.abs(values)))

    def _folded(self, values: Array) -> Array:
        return np.arcsinh(values - self.centre).clip(-self.at - FURTHER, self.at + FURTHER)

    def _sides(self, folded: Array) -> tuple[Array, Array]:
        """Log density of wrong labels that are too high, and too low."""
        above = math.log(self.up) + log_normal(folded, self.at, self.spread)
        return above, math.log1p(-self.up) + log_normal(folded, -self.at, self.spread)

    def log_odds(self, values: Array, of_wrong: bool) -> Array:
        """Log ratio of wrong (or, if not `of_wrong`, gross) and right densities (N,), never falling away from right."""
        off = values - self.centre
        return np.where(off >= 0, self._along(off, 1, of_wrong), self._along(-off, -1, of_wrong))

    def updated(
        self, values: Array, right: Array, wrong: Array | None, hardness: Array | float, choose: bool
    ) -> "Signed":
        """One step of expectation maximisation.

        `right`, `wrong` (N,): configurations times their probability of being so; None: no label is taken for wrong.
        `choose`: the tail and the power anew.
        """
        relative = np.exp(2 * SHARED[self.shared] * hardness)
        squared = ((values - self.centre) / self.width) ** 2 / relative
        pull = right * TAILS[self.tail].pull(squared) / relative
        centre = float((pull * values).sum() / (pull.sum() + 1e-9))
        square = float((pull * (values - centre) ** 2).sum())
        own = replace(self, centre=centre, width=math.sqrt(max((square + 0.05) / (right.sum() + 0.5), 1e-4)))
        if choose:
            own = own._likeliest([replace(own, tail=tail) for tail in range(len(TAILS))], values, right, hardness)
            near = range(max(0, own.shared - 1), min(len(SHARED), own.shared + 2))
            own = own._likeliest([replace(own, shared=shared) for shared in near], values, right, hardness)
        if wrong is None:
            return own
        folded = self._folded(values)
        above, below = self._sides(folded)
        return own._with_wrong(wrong, folded, np.exp(above - np.logaddexp(above, below)))

    def _with_wrong(self, q: Array, folded: Array, above: Array) -> "Signed":
        number = q.sum() + PRIOR
        up = float(np.clip(((q * above).sum() + 0.5 * PRIOR) / number, 0.02, 0.98))
        typical = float(((q * (2 * above - 1) * folded).sum() + 2.0 * PRIOR) / number)
        at = max(typical, math.asinh(self.width))
        square = (q * (above * (folded - at) ** 2 + (1 - above) * (folded + at) ** 2)).sum()
        apart = at - math.asinh(self.width)
        most = max(apart, NARROW)  # few wrong ones look better than most right ones
        spread = float(np.sqrt((square + 0.3 * PRIOR) / number).clip(least_spread(apart), most))
        return replace(self, up=up, at=at, spread=spread)
