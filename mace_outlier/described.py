"""A fit of one or two populations as a run describes it: what its log and its report say about it. No torch."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .populations import Fit, Groups

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


def described(entry: Mapping[str, float]) -> Described:
    """Return what an entry of LossDistribution.describe says; NaN for what it doesn't."""
    names = Described._fields if entry["share"] > 0 else (*Described._fields[:5], "undecided")
    missing = {"undecided": 0.0}
    return Described(**{name: float(entry.get(name, missing.get(name, math.nan))) for name in names})


def apart(fit: Described) -> Apart:
    """Return what tells the populations of a fit apart; nothing does where there is one."""
    if not fit.share:
        return Apart(False, False, False)
    limit, losses = DIFFERENT * fit.error_scale, fit.loss_factor >= DIFFERENT
    energies = abs(fit.high_error) > limit
    scatter = fit.high_error_scale > (limit if losses else 0.0)  # two populations differ in something
    return Apart(losses, energies, scatter and not energies)
