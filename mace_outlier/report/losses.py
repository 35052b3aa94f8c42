"""What the losses of a head are taken to be: normal, log-normal, or one or two populations. No words, no drawing.

Densities are those of the logarithm x of the loss, whatever the kind, because losses are drawn on a logarithmic axis.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from ..populations import BACKGROUND, SIMILAR, Fit, lower_density

NORMAL, LOGNORMAL, MIXTURE = "normal", "lognormal", "mixture"
FAR = 1e4  # scales of the tail above the mode: gross errors only

Array = NDArray[np.float64]


class Losses(NamedTuple):
    """The distribution of the losses of a head."""

    kind: str
    location: float  # mu, of the loss (normal; unit of the base loss) or of its logarithm; NaN: not recorded
    scale: float  # sigma
    threshold: float  # t, sigmas (mixture: of the lower population); inf: never down-weights; NaN: not recorded
    fit: Fit | None = None  # mixture; None: not recorded

    @property
    def recorded(self) -> bool:
        """Whether there is a curve to draw."""
        return self.fit is not None or (math.isfinite(self.location) and self.scale > 0)

    @property
    def probable(self) -> bool:
        """Whether weights are probabilities that a label is right."""
        return self.fit is not None and self.threshold != math.inf

    @property
    def two(self) -> bool:
        """Whether there are two populations."""
        return self.fit is not None and self.fit.share > 0

    @property
    def similar(self) -> bool:
        """Whether there are two populations of similar size, so that the losses can't say which one is wrong."""
        return self.fit is not None and self.fit.share > SIMILAR

    @property
    def centre(self) -> float:
        """The loss where the distribution of right labels is centred; NaN: not recorded."""
        x = self.fit.mode if self.fit else self.location
        return x if self.kind == NORMAL else _exp(x)

    @property
    def upper_centre(self) -> float:
        """The loss where the upper population is centred; NaN: there is none."""
        return _exp(self.fit.high_mean) if self.fit and self.two else math.nan

    def densities(self, x: Array) -> tuple[Array, Array]:
        """Return the densities of right and of wrong labels; they add up to that of all."""
        if self.fit is not None:
            return _right(self.fit, x), _wrong(self.fit, x)
        normal = norm.pdf(np.exp(x), self.location, self.scale) * np.exp(x)
        density = normal if self.kind == NORMAL else norm.pdf(x, self.location, self.scale)
        return density, np.zeros_like(x)

    def crossing(self, weight: float) -> float:
        """Return the loss above which weights are below `weight`, in (0, 1); inf: none is; NaN: not recorded."""
        if self.threshold == math.inf:
            return math.inf
        if self.fit is not None:
            return _exp(_crossing(self.fit, self.threshold, weight))
        x = self.location + beyond(self.threshold, weight) * self.scale
        return x if self.kind == NORMAL else _exp(x)


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
    return Losses(kind, math.nan, math.nan, threshold, fit)


def _read_fit(entry: Mapping[str, Any]) -> Fit | None:
    lower = [number(entry.get(name)) for name in ("mode", "left", "right", "share")]
    upper = [number(entry.get(name)) for name in ("high_mean", "high_scale")] if lower[3] > 0 else [0.0, 1.0]
    sensible = all(map(math.isfinite, lower + upper)) and min(lower[1], lower[2], upper[1]) > 0 and 0 <= lower[3] < 1
    return Fit(math.nan, *lower, *upper) if sensible else None


def number(value: object) -> float:
    """Return what a description may hold where a number is meant ("inf", null, nothing) as a float; NaN: no number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def beyond(threshold: float, weight: float) -> float:
    """Return the z above which the weight Phi(threshold - z) is below `weight`."""
    return threshold - float(norm.ppf(weight))


def _right(fit: Fit, x: Array) -> Array:
    return (1 - fit.share) * lower_density(x, *map(np.array, (fit.mode, fit.left, fit.right)))


def _wrong(fit: Fit, x: Array) -> Array:
    return fit.share * norm.pdf(x, fit.high_mean, fit.high_scale)


def _crossing(fit: Fit, threshold: float, weight: float) -> float:
    """The x above which weights are below `weight`; inf: none is. From the mode on a weight never rises with x."""

    def excess(x: float) -> float:
        inner = np.array(min(x, fit.high_mean) if fit.share > 0 else x)
        right, wrong = float(_right(fit, inner)), float(_wrong(fit, inner))
        z = (x - fit.mode) / fit.right
        kept = 1.0 if math.isnan(threshold) else float(norm.cdf(threshold - z))
        return kept * right / (right + wrong + BACKGROUND) - weight

    end = fit.mode + FAR * fit.right
    if excess(fit.mode) <= 0:
        return fit.mode
    return float(brentq(excess, fit.mode, end)) if excess(end) < 0 else math.inf


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else x * math.inf
