"""By what the labels of a head were judged: how its losses are distributed, or wrong labels. No words, no drawing."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from scipy.stats import lognorm, norm

from ..results.wrong_labels import MANY, WrongLabels, number, read_wrong_labels

NORMAL, LOGNORMAL, MIXTURE = "normal", "lognormal", "mixture"


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
    def distribution(self) -> Any:
        """The fitted distribution of losses, as scipy has it; None: not recorded, or not judged by one."""
        if not self.recorded or self.kind == MIXTURE:
            return None
        return norm(self.location, self.scale) if self.kind == NORMAL else lognorm(self.scale, scale=self.centre)

    @property
    def probable(self) -> bool:
        """Whether weights are probabilities that a label is right."""
        return self.wrong is not None and self.threshold != math.inf

    @property
    def believed(self) -> bool:
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
        return self._loss(self.location)

    @property
    def half_weight(self) -> float:
        """The loss where the weight is 1/2; inf: none is down-weighted; NaN: not recorded, or there is none."""
        return math.inf if self.threshold == math.inf else self._loss(self.location + self.threshold * self.scale)

    def _loss(self, x: float) -> float:
        """The loss x, or that with the logarithm x; infinite where that is too large."""
        return x if self.kind == NORMAL else math.exp(x) if x < 700 else x * math.inf


def read_losses(entry: Mapping[str, Any], options: Mapping[str, Any]) -> Losses:
    """Return what the description of a run says of a head; {} where it says nothing."""
    expected = MIXTURE if options.get("distribution") == MIXTURE else NORMAL
    kind, refused = str(entry.get("kind", expected)), str(entry.get("refused") or "")
    threshold = number(entry.get("threshold", options.get("threshold")))
    location, scale = number(entry.get("location")), number(entry.get("scale"))
    if kind in (NORMAL, LOGNORMAL):
        return Losses(kind, location, scale, threshold, refused=refused)
    if threshold != math.inf:
        threshold = math.nan  # of the first epoch only
    wrong = read_wrong_labels(entry)
    return Losses(kind, location if wrong else math.nan, scale if wrong else math.nan, threshold, wrong, refused)
