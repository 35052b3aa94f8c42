"""A fit of one or two populations as a run describes it: what its log and its report say about it. No torch."""

import math
import operator
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from .populations import Fit, Groups

POPULATIONS = ("one population", *(f"{number} populations" for number in ("two", "three", "four", "five")))
DIFFERENT = 2.0  # ratio of the losses, or energy errors in scales of those of right labels, that tell wrong ones apart


class Described(NamedTuple):
    """Populations of right and, where there are two, of wrong labels; see LossDistribution.describe."""

    share: float  # of wrong labels; 0: one population
    mode: float  # of the log loss, and widths below and above it
    left: float
    right: float
    error_scale: float  # of the energy errors, eV/atom; NaN: not described
    high_mean: float = 0.0  # of the log losses of wrong labels, and width
    high_scale: float = 1.0
    high_error: float = 0.0  # their energy errors (prediction - label) relative to those of right labels, eV/atom
    high_error_scale: float = 0.0
    certainty: float = 1.0  # mean probability to be wrong of those that are taken for wrong
    undecided: float = 0.0  # share of a second population that is not acted on: either may be the wrong one
    within: "Described | None" = None  # of what it takes for right, if that was looked at

    @property
    def fits(self) -> "list[Described]":
        """Those that found wrong labels, one after the other; none where there is one population."""
        return ([self] if self.share else []) + (self.within.fits if self.within else [])

    @property
    def last(self) -> "Described":
        """The last fit that found wrong labels, or the only one: it describes right labels best."""
        return self.fits[-1] if self.fits else self

    @property
    def shares(self) -> list[float]:
        """Of all labels, what each of these fits takes for wrong: a part of what those before it leave."""
        left = accumulate((1.0 - fit.share for fit in self.fits), operator.mul, initial=1.0)
        return [before * fit.share for before, fit in zip(left, self.fits, strict=False)]

    @property
    def wrong(self) -> float:
        """Share of all wrong labels."""
        return sum(self.shares)

    @property
    def sure(self) -> float:
        """Mean certainty of all that is taken for wrong; 1 if nothing is."""
        certain = sum(share * fit.certainty for share, fit in zip(self.shares, self.fits, strict=True))
        return certain / self.wrong if self.fits else 1.0

    @property
    def open(self) -> float:
        """Share of the last population that is not acted on, of what was looked at then; 0: none is."""
        return self.undecided or (self.within.open if self.within else 0.0)

    @property
    def loss_factor(self) -> float:
        """Ratio of the typical losses of wrong and right labels."""
        return math.exp(min(self.high_mean - self.mode, 700.0))


def describe_fit(fit: Fit, groups: Groups) -> dict[str, Any]:
    """Kind "mixture" and parameters: of log losses, and of energy errors in eV/atom for molecules of typical spread."""
    unit, level = groups.typical_spread, groups.typical_level
    same = ("share", "left", "right", "high_scale", "certainty", "undecided")
    found: dict[str, Any] = {name: getattr(fit, name) for name in same}
    found |= {"mode": fit.mode + level, "high_mean": 0.0, "high_error": 0.0, "high_error_scale": 0.0}
    if fit.share:
        width = math.sinh(abs(fit.high_error) + fit.high_error_scale) - math.sinh(abs(fit.high_error))
        found |= {"high_mean": fit.high_mean + level, "high_error_scale": width * unit}
        found["high_error"] = (math.sinh(fit.high_error) - fit.error) * unit
    found |= {"error_scale": fit.error_scale * unit, "molecules": groups.number, "level": level}
    return {"kind": "mixture", "location": found["mode"], "scale": fit.right} | found


class Apart(NamedTuple):
    """What tells wrong labels from right ones."""

    losses: bool  # theirs are larger
    energies: bool  # theirs are off, all to one side
    scatter: bool  # theirs are off to both sides

    @property
    def by_energy(self) -> bool:
        """Whether energies do, in one way or the other."""
        return self.energies or self.scatter


NUMBERS = tuple(name for name in Described._fields if name != "within")


def described(entry: Mapping[str, Any]) -> Described:
    """Return what an entry of LossDistribution.describe says; NaN for what it doesn't."""
    names = NUMBERS if entry["share"] > 0 else (*NUMBERS[:5], "undecided")
    missing = {"undecided": 0.0}
    values: dict[str, Any] = {name: float(entry.get(name, missing.get(name, math.nan))) for name in names}
    found = Described(**values)
    return found._replace(within=described(entry["within"])) if entry.get("within") else found


def apart(fit: Described) -> Apart:
    """Return what tells the two populations of a fit apart; nothing does where there is one."""
    if not fit.share:
        return Apart(False, False, False)
    limit, losses = DIFFERENT * fit.error_scale, fit.loss_factor >= DIFFERENT
    energies = abs(fit.high_error) > limit
    scatter = fit.high_error_scale > (limit if losses else 0.0)  # two populations differ in something
    return Apart(losses, energies, scatter and not energies)
