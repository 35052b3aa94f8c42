"""The numbers of each head: by what its labels were judged, who is suspected, and how many of them should be right.

No words, no drawing.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import expon, lognorm, norm

from ..results.files import VALID
from ..results.judgement import Judgement, judgement_of
from ..results.reading import Results
from ..results.wrong_labels import WrongLabels, number, read_wrong_labels

NORMAL, LOGNORMAL, MIXTURE = "normal", "lognormal", "mixture"
AMBIGUOUS = (0.1, 0.9)  # probabilities between these leave open whether a label is right


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

    @property
    def recorded(self) -> bool:
        """Whether the run recorded how the labels were judged."""
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


class Expected(NamedTuple):
    """What is expected by weights that are probabilities; of visited configurations with a finite loss."""

    suspects: int
    others: int
    false_alarms: float  # suspects that are expected to be right
    missed: float  # others that are expected to be wrong
    ambiguous: int

    @property
    def certainty(self) -> float:
        """Mean probability of the suspects, of which there are some, to be wrong."""
        return 1 - self.false_alarms / self.suspects


class Head(NamedTuple):
    """One head (MACE's: a level of theory with its own loss distribution)."""

    name: str
    members: int
    suspects: int
    mean_weight: float
    losses: Losses
    judgement: Judgement  # of the training set
    judged_suspects: int  # by the cut, of those that the judgement counts
    expected: Expected | None  # with the validation set; None: weights are no probabilities


def find_heads(results: Results, judged: Any, suspect: Any, nonfinite: Any) -> list[Head]:
    """Return the heads of the table in the order of the run; (N,) arrays as in Summary."""
    recorded = {str(entry.get("head")): entry for entry in results.about.get("distribution") or []}
    options, table = results.about.get("options") or {}, results.table
    weight, state = (table[column].to_numpy() for column in ("weight", "state"))
    history = [past for past in results.about.get("history") or [] if isinstance(past, Mapping)]
    training = (table["split"] != VALID).to_numpy()
    order = {str(name): place for place, name in enumerate(results.about.get("heads") or [])}
    heads = []
    for name in sorted(table["head"].cat.categories, key=lambda name: order.get(name, len(order))):
        here = (table["head"] == name).to_numpy()
        entry = {"head": str(name)} | recorded.get(str(name), {})
        losses, own = read_losses(entry, options), here & judged & training
        seen, finite = here & judged, here & judged & ~nonfinite
        heads.append(
            Head(
                name=str(name),
                members=int(here.sum()),
                suspects=int((here & suspect).sum()),
                mean_weight=float(weight[seen].mean()) if seen.any() else math.nan,
                losses=losses,
                judgement=judgement_of(entry, weight[own], state[own], history),
                judged_suspects=int((finite & training & suspect).sum()),
                expected=_expected(weight[finite].astype(float), suspect[finite]) if losses.probable else None,
            )
        )
    return heads


def read_losses(entry: Mapping[str, Any], options: Mapping[str, Any]) -> Losses:
    """Return what the description of a run says of a head; {} where it says nothing."""
    expected = MIXTURE if options.get("distribution") == MIXTURE else NORMAL
    kind, threshold = str(entry.get("kind", expected)), number(entry.get("threshold", options.get("threshold")))
    location, scale = number(entry.get("location")), number(entry.get("scale"))
    if kind in (NORMAL, LOGNORMAL):
        return Losses(kind, location, scale, threshold)
    if threshold != math.inf:
        threshold = math.nan  # of the first epoch only
    wrong = read_wrong_labels(entry)
    location, scale = (location, scale) if wrong else (math.nan, math.nan)
    return Losses(MIXTURE, location, scale, threshold, wrong)  # any other kind is untrusted text


def _expected(weight: NDArray[np.float64], suspect: NDArray[np.bool_]) -> Expected:
    ambiguous = int(((weight > AMBIGUOUS[0]) & (weight < AMBIGUOUS[1])).sum())
    right, wrong = float(weight[suspect].sum()), float((1 - weight[~suspect]).sum())
    return Expected(int(suspect.sum()), int((~suspect).sum()), right, wrong, ambiguous)


def total_expected(heads: Iterable[Head]) -> Expected | None:
    """Return what is expected over all heads whose weights are probabilities; None: there is no such head."""
    parts = [head.expected for head in heads if head.expected]
    return Expected(*map(sum, zip(*parts, strict=True))) if parts else None


def judged_by_threshold(heads: Iterable[Head]) -> list[Head]:
    """Return the heads whose weights come from a threshold, so that they are no probabilities."""
    return [head for head in heads if head.expected is None and head.judgement.judged]


def by_chance(heads: list[Head], below: float) -> tuple[float, float]:
    """Return how many suspects heads with a threshold would have, if all labels were right; NaN: not recorded.

    With normally distributed losses, and with exponential ones, which are skewed and have mu = sigma.
    """
    judged = np.array([head.judgement.judged for head in heads])
    z = np.array([head.losses.threshold for head in heads]) - norm.ppf(below)  # above it, Phi(t - z) is below the cut
    return float(judged @ norm.sf(z)), float(judged @ expon.sf(1 + z))
