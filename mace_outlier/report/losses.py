"""By what the labels of a head were judged: how its losses are distributed, or wrong labels. No words, no drawing."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ..results.wrong_labels import MANY, WrongLabels, number, read_wrong_labels

NORMAL, LOGNORMAL, MIXTURE = "normal", "lognormal", "mixture"

Array = NDArray[np.float64]


class Losses(NamedTuple):
    """By what the labels of a head were judged.

    Normal, log-normal: by a distribution of their losses, and a threshold. Mixture: by errors that the geometry doesn't
    explain, once an epoch.
    """

    kind: str
    location: float  # mu, of the loss (normal; unit of the base loss) or of its logarithm; mixture: of right labels
    scale: float  # sigma; NaN: not recorded
    threshold: float  # t, sigmas; inf: never down-weights; NaN: not recorded, or there is none
    wrong: WrongLabels | None = None  # mixture; None: not recorded
    refused: str = ""  # why the last fit was refused, untrusted; "": it was not

    @property
    def recorded(self) -> bool:
        """Whether it was said how the labels were judged."""
        return self.wrong is not None if self.kind == MIXTURE else math.isfinite(self.location) and self.scale > 0

    @property
    def curve(self) -> bool:
        """Whether there is a distribution of losses to draw."""
        return self.recorded and self.kind != MIXTURE

    @property
    def probable(self) -> bool:
        """Whether weights are probabilities that a label is right."""
        return self.wrong is not None and self.threshold != math.inf

    @property
    def found(self) -> bool:
        """Whether wrong labels are believed in, beside gross errors."""
        return self.wrong is not None and bool(self.wrong.believed)

    @property
    def many(self) -> bool:
        """Whether so many labels are taken for wrong that it could be the others that are."""
        return self.wrong is not None and self.wrong.share > MANY

    @property
    def undecided(self) -> float:
        """Share of labels that look wrong and were not acted on; 0: none."""
        return self.wrong.undecided if self.wrong else 0.0

    @property
    def centre(self) -> float:
        """The loss where the distribution (mixture: that of right labels) is centred; NaN: not recorded."""
        return self.location if self.kind == NORMAL else exp(self.location)

    def density(self, x: Array) -> Array:
        """Return the density of the logarithm x of the loss, because losses are drawn on a logarithmic axis."""
        if self.kind == NORMAL:
            return np.asarray(norm.pdf(np.exp(x), self.location, self.scale) * np.exp(x))
        return np.asarray(norm.pdf(x, self.location, self.scale))

    def crossing(self, weight: float) -> float:
        """Return the loss above which weights are below `weight`, in (0, 1); inf: none is; NaN: there is none."""
        if self.threshold == math.inf:
            return math.inf
        x = self.location + beyond(self.threshold, weight) * self.scale
        return x if self.kind == NORMAL else exp(x)


def read_losses(entry: Mapping[str, Any], options: Mapping[str, Any]) -> Losses:
    """Return what the description of a run says of a head; {} where it says nothing."""
    expected = MIXTURE if options.get("distribution") == MIXTURE else NORMAL
    kind = str(entry.get("kind", expected))
    threshold = number(entry.get("threshold", options.get("threshold")))
    location, scale, refused = (
        number(entry.get("location")),
        number(entry.get("scale")),
        str(entry.get("refused") or ""),
    )
    if kind in (NORMAL, LOGNORMAL):
        return Losses(kind, location, scale, threshold, refused=refused)
    if threshold != math.inf:
        threshold = math.nan  # of the first epoch only
    wrong = read_wrong_labels(entry)
    if wrong is None:
        location = scale = math.nan
    return Losses(kind, location, scale, threshold, wrong, refused)


def beyond(threshold: float, weight: float) -> float:
    """Return the z above which the weight Phi(threshold - z) is below `weight`."""
    return threshold - float(norm.ppf(weight))


def exp(x: float) -> float:
    """Return e^x, infinite where that is too large."""
    return math.exp(x) if x < 700 else x * math.inf
