"""What the losses of a head are taken to be: normal, log-normal, or one or two populations. No words, no drawing.

Densities are those of the logarithm x of the loss, whatever the kind, because losses are drawn on a logarithmic axis:
where populations are of losses and energy errors, those of the loss alone.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from ..described import NUMBERS, Apart, Described, apart, described
from ..populations import BACKGROUND, SIMILAR, lower_density, measure

NORMAL, LOGNORMAL, MIXTURE = "normal", "lognormal", "mixture"
FAR = 1e4  # scales of the tail above the mode: gross errors only

Array = NDArray[np.float64]


class Losses(NamedTuple):
    """The distribution of the losses of a head."""

    kind: str
    location: float  # mu, of the loss (normal; unit of the base loss) or of its logarithm; NaN: not recorded
    scale: float  # sigma
    threshold: float  # t, sigmas (mixture: of the lower population); inf: never down-weights; NaN: not recorded
    fit: Described | None = None  # mixture; None: not recorded
    molecules: int = 0  # that configurations are compared with their own of; 0: losses are not relative to any
    level: float = math.nan  # typical log loss over all molecules; NaN: not recorded

    @property
    def recorded(self) -> bool:
        """Whether there is a curve to draw."""
        return self.fit is not None or (math.isfinite(self.location) and self.scale > 0)

    @property
    def probable(self) -> bool:
        """Whether weights are probabilities that a label is right."""
        return self.fit is not None and self.threshold != math.inf

    @property
    def joint(self) -> bool:
        """Whether populations are of losses and energy errors, if there are any; those of the first version are not."""
        return self.fit is not None and math.isfinite(self.fit.error_scale)

    @property
    def two(self) -> bool:
        """Whether there are two populations, or more."""
        return self.fit is not None and bool(self.fit.fits)

    @property
    def similar(self) -> bool:
        """Whether there are two populations of similar size, so that the fit can't say which one is wrong."""
        return self.fit is not None and any(one.share > SIMILAR for one in self.fit.fits)

    @property
    def apart(self) -> Apart:
        """What tells wrong labels from right ones, any of them."""
        ways = [apart(one) for one in self.fit.fits] if self.fit else []
        return Apart(*(any(by) for by in zip(*ways, strict=True))) if ways else Apart(False, False, False)

    @property
    def centre(self) -> float:
        """The loss where the distribution of right labels is centred; NaN: not recorded."""
        x = self.fit.last.mode if self.fit else self.location
        return x if self.kind == NORMAL else exp(x)

    @property
    def upper_centres(self) -> list[float]:
        """The losses where populations of wrong labels are centred; []: there is none."""
        return [exp(one.high_mean) for one in self.fit.fits] if self.fit else []

    def densities(self, x: Array) -> tuple[Array, Array]:
        """Return the densities of right and of wrong labels; they add up to that of all."""
        if self.fit is not None:
            return _populations(self.fit, x)
        normal = norm.pdf(np.exp(x), self.location, self.scale) * np.exp(x)
        density = normal if self.kind == NORMAL else norm.pdf(x, self.location, self.scale)
        return density, np.zeros_like(x)

    def crossing(self, weight: float) -> float:
        """Return the loss above which weights are below `weight`, in (0, 1); inf: none is; NaN: not recorded.

        Populations: weights that follow from the loss alone, as those of configurations without an energy.
        """
        if self.threshold == math.inf:
            return math.inf
        if self.fit is not None:
            return exp(_crossing(self.fit, self.threshold, weight))
        x = self.location + beyond(self.threshold, weight) * self.scale
        return x if self.kind == NORMAL else exp(x)


def read_losses(entry: Mapping[str, Any], options: Mapping[str, Any]) -> Losses:
    """Return what the description of a run says of a head; {} where it says nothing."""
    expected = MIXTURE if options.get("distribution") == MIXTURE else NORMAL
    kind = str(entry.get("kind", expected))
    threshold = number(entry.get("threshold", options.get("threshold")))
    if kind in (NORMAL, LOGNORMAL):
        return Losses(kind, number(entry.get("location")), number(entry.get("scale")), threshold)
    fit = _read_fit(entry) if kind == MIXTURE else None
    if fit is None and threshold != math.inf:
        threshold = math.nan  # without the populations it says nothing
    molecules = number(entry.get("molecules"))
    level, molecules = number(entry.get("level")), int(molecules) if molecules >= 1 else 0
    return Losses(kind, math.nan, math.nan, threshold, fit, molecules, level)


def _read_fit(entry: Mapping[str, Any]) -> Described | None:
    values: dict[str, Any] = {name: number(entry.get(name)) for name in NUMBERS if name in entry or name != "undecided"}
    needed = ["mode", "left", "right", "share"] + (["high_mean", "high_scale"] if values["share"] > 0 else [])
    sensible = all(math.isfinite(values[name]) for name in needed) and 0 <= values["share"] < 1
    positive = all(values[name] > 0 for name in needed if name in ("left", "right", "high_scale"))
    if not (sensible and positive):
        return None
    more = entry.get("within")
    return described(values)._replace(within=_read_fit(more) if isinstance(more, dict) else None)


def relative_losses(
    loss: Array, formulas: NDArray[np.int64], right: NDArray[np.bool_], losses: Losses
) -> tuple[Array, bool]:
    """Return losses (N,) as if all formulas were alike, as a fit sees them, and whether there are several to compare.

        loss / (typical loss of its formula) * (typical loss over all)

    Args:
        loss: (N,) positive.
        formulas: (N,) codes.
        right: (N,) True: taken for right; these say what is typical, as in the training.
        losses: the fit.
    """
    if not losses.molecules or not right.any():
        return loss, False
    x = np.log(loss)
    measured = right if losses.two else np.ones_like(right)
    kinds = np.column_stack((formulas, formulas))  # isomers are not told apart here
    groups = measure(kinds[measured], x[measured], np.full(int(measured.sum()), np.nan))
    relative, _ = groups.relative(kinds, x, np.zeros(len(x)))
    level = groups.typical_level if math.isnan(losses.level) else losses.level
    return np.exp(relative + level), len(groups.codes) > 0


def number(value: object) -> float:
    """Return what a description may hold where a number is meant ("inf", null, nothing) as a float; NaN: no number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def beyond(threshold: float, weight: float) -> float:
    """Return the z above which the weight Phi(threshold - z) is below `weight`."""
    return threshold - float(norm.ppf(weight))


def _populations(fit: Described, x: Array) -> tuple[Array, Array]:
    """Densities of right and of wrong labels; what a fit takes for right may hold other wrong ones."""
    wrong = np.zeros_like(x)
    for share, one in zip(fit.shares, fit.fits, strict=True):
        wrong = wrong + share * _upper(one, x)
    return (1 - fit.wrong) * _lower(fit.last, x), wrong


def _lower(fit: Described, x: Array) -> Array:
    return lower_density(x, *map(np.array, (fit.mode, fit.left, fit.right)))


def _upper(fit: Described, x: Array) -> Array:
    return norm.pdf(x, fit.high_mean, fit.high_scale)


def _crossing(fit: Described, threshold: float, weight: float) -> float:
    """The x above which weights are below `weight`; inf: none is. From the mode on a weight never rises with x."""
    fits = fit.fits or [fit]

    def excess(x: float) -> float:
        return math.prod(_kept(one, threshold, x) for one in fits) - weight

    start, end = fit.last.mode, max(one.mode + FAR * one.right for one in fits)
    if excess(start) <= 0:
        return start
    return float(brentq(excess, start, end)) if excess(end) < 0 else math.inf


def _kept(fit: Described, threshold: float, x: float) -> float:
    """Weight of a configuration without an energy by one fit, see MixtureDistribution."""
    inner = np.array(min(max(x, fit.mode), max(fit.mode, fit.high_mean) if fit.share > 0 else math.inf))
    right = (1 - fit.share) * float(_lower(fit, inner))
    wrong = fit.share * float(_upper(fit, inner)) if fit.share else 0.0
    z = (x - fit.mode) / fit.right
    kept = 1.0 if math.isnan(threshold) else float(norm.cdf(threshold - z))
    return kept * right / (right + wrong + BACKGROUND)


def exp(x: float) -> float:
    """Return e^x, infinite where that is too large."""
    return math.exp(x) if x < 700 else x * math.inf
