"""Densities of what is not explained, of right and of wrong labels: a class for each kind of property. Numpy only.

Values (N,) are finite here; whoever calls knows which labels there are.
"""

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from .densest import densest
from .seen import Array
from .tails import CERTAIN, CERTAIN_LOG, TAILS

SHARED = (0.0, 0.25, 0.5, 0.75, 1.0)  # powers by which hard forces widen right energies, chosen by the data
HARDEST = 2.0  # log of the force error over the expected one, beyond which it doesn't change the width of energies
RANGE = 30.0  # e-folds over which gross errors are spread
FURTHER = 2.0  # asinh beyond typical wrong energies, from where all are as far: a gross one tells nothing of others
NARROW = 0.35  # spread that wrong energies may always have, in asinh
STRAGGLING = 0.25  # least spread of wrong forces over their distance from right ones: some are off by less
PRIOR = 1.0  # configurations that the priors of the wrong populations count
GRID = np.sinh(np.linspace(0.0, 14.0, 700))  # distances from right labels at which odds are known

Kind = TypeVar("Kind", bound="Population")


@dataclass
class Population:
    """What describes the right and the wrong labels of one property."""

    apart: float  # how far off wrong labels have to be typically, to be told from hard ones
    centre: float = 0.0  # of right labels
    tail: int = 1  # of right labels, one of TAILS
    at: float = 2.0  # typical wrong labels
    spread: float = 0.6  # of these

    PARAMETERS = 0  # of wrong labels
    CERTAIN = CERTAIN  # tail of right labels beside gross errors

    def log_right(self, values: Array, hardness: Array | float = 0.0) -> Array:
        """Log density of right labels (N,); `hardness` (N,): of their forces."""
        raise NotImplementedError

    def log_wrong(self, values: Array) -> Array:
        """Log density of wrong labels (N,)."""
        raise NotImplementedError

    def log_gross(self, values: Array) -> Array:
        """Log density of errors of any size (N,)."""
        raise NotImplementedError

    def _along(self, distance: Array, side: int, of_wrong: bool) -> Array:
        """Log ratio of wrong (or gross) and right densities at distances (N,) from right labels, never falling."""
        there = self.centre + side * GRID
        right = replace(self, tail=self.tail if of_wrong else self.CERTAIN).log_right(there)
        odds = (self.log_wrong(there) if of_wrong else self.log_gross(there)) - right
        return np.interp(distance, GRID, np.maximum.accumulate(odds))

    def _likeliest(self: Kind, variants: "list[Kind]", values: Array, q: Array, hardness: Array | float = 0.0) -> Kind:
        """The variant under which right labels, each with a probability of being right, are likeliest."""

        def log_likelihood(own: Kind) -> float:
            return float((q * own.log_right(values, hardness)).sum()) + TAILS[own.tail].log_prior

        return max(variants, key=log_likelihood)


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
        above = math.log(self.up) + _log_normal(folded, self.at, self.spread)
        return above, math.log1p(-self.up) + _log_normal(folded, -self.at, self.spread)

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
        most = max(at - math.asinh(self.width), NARROW)  # few wrong ones look better than most right ones
        spread = float(np.sqrt((square + 0.3 * PRIOR) / number).clip(0.1, most))
        return replace(self, up=up, at=at, spread=spread)


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
        return _log_normal(values, self.at, self.spread)

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
        spread = np.sqrt((square + 0.2 * PRIOR) / number).clip(max(0.1, STRAGGLING * apart), apart)
        return replace(self, at=at, spread=float(spread))


def _log_normal(values: Array, mean: float, width: float) -> Array:
    return -0.5 * ((values - mean) / width) ** 2 - math.log(width * math.sqrt(2 * math.pi))
