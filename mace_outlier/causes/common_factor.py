"""A factor that is no unit, on which several suspects agree."""

from collections.abc import Callable, Sequence

import numpy as np

from .expected import Similar
from .frames import Frame
from .hypotheses import FACTOR, Hypotheses, Hypothesis
from .settings import Settings
from .shares import posterior, table

FITTED = Hypothesis(FACTOR)  # to each suspect for itself


def with_common_factor(
    suspects: Sequence[Frame], told_of: Callable[..., Hypotheses], similar: Similar, settings: Settings
) -> list[Hypotheses]:
    """Return all hypotheses on each suspect, with a factor that several of them agree on, if that explains much more.

    `told_of`: the hypotheses on the forces, or on the stress, of a suspect; `similar`: errors of right ones.
    """
    told = [told_of(frame) for frame in suspects]
    factors = [own[FITTED].value for own in told if FITTED in own]
    factor = _densest(np.array(factors), similar, settings)
    if factor is None:
        return told
    common = Hypothesis(FACTOR, f"{factor:.3g}", factor)
    more = [told_of(frame, common=[common]) for frame in suspects]
    gained = _explained(more, settings) - _explained(told, settings)
    return more if gained > settings.gain + np.log(len(suspects)) else told


def _explained(told: Sequence[Hypotheses], settings: Settings) -> float:
    """The logarithm of the likelihood of all suspects."""
    hypotheses, likely = table(told)
    return posterior(likely, hypotheses, settings)[1]


def _densest(factors: np.ndarray, similar: Similar, settings: Settings) -> float | None:
    """The factor on which the most suspects agree; None: too few do."""
    if len(factors) < settings.few:
        return None
    logs = np.log(np.abs(factors) / similar.factor)
    near = (np.abs(logs[:, None] - logs[None]) < 2 * similar.factors) & (np.sign(factors)[:, None] == np.sign(factors))
    best = near[np.argmax(near.sum(axis=1))]
    if best.sum() < settings.few:
        return None
    return float(np.sign(factors[best][0]) * np.exp(np.median(logs[best])))
