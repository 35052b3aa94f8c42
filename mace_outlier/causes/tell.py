"""What is wrong with each suspect."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .cause import NOT_FINITE, UNCONVERGED, Cause, Fault, cause_of
from .energies import OFFSET, EnergyFaults
from .expected import Expected, Similar, expected_errors
from .forces import force_faults
from .frames import Frame
from .hypotheses import ENERGY, FACTOR, FORCE, NEVER, NOISE, RIGHT, STRESS, Hypothesis, Told
from .settings import Settings
from .shares import posterior
from .stress import stress_faults

Hypotheses = dict[Hypothesis, Told]
FITTED = Hypothesis(FACTOR)  # by each suspect for itself


def tell_causes(
    suspects: Sequence[Frame],
    trusted: Sequence[Frame],
    settings: Settings = Settings(),  # noqa: B008 (immutable)
) -> list[Cause]:
    """Return the cause for each suspect; `trusted`: configurations whose labels are right, eight at least.

    Suspects of one head: how often a cause occurs among them counts for each.
    """
    expected = expected_errors(trusted, settings)
    of_each: list[list[Fault]] = [[] for _ in suspects]
    for name, rows, told in _by_property(suspects, trusted, expected, settings):
        for row, fault in zip(rows, _decided(told, name, settings), strict=True):
            of_each[row] += [] if fault is None else [fault]
    causes = [
        cause_of(faults, settings.certain, frame.isolation > settings.isolated)
        if frame.is_finite
        else Cause(NOT_FINITE, 1.0)
        for frame, faults in zip(suspects, of_each, strict=True)
    ]
    return _unconverged(causes, of_each, settings)


def _by_property(
    suspects: Sequence[Frame], trusted: Sequence[Frame], expected: Expected, settings: Settings
) -> list[tuple[str, list[int], list[Hypotheses]]]:
    """Properties, the suspects whose label can be examined, and all hypotheses on these."""
    found: list[tuple[str, list[int], list[Hypotheses]]] = []
    rows = [i for i, frame in enumerate(suspects) if np.isfinite(frame.energy_error)]
    if expected.energy is not None and rows:
        energies = EnergyFaults([suspects[i] for i in rows], trusted, expected, settings)
        found.append((ENERGY, rows, energies.told()))
    rows = [i for i, frame in enumerate(suspects) if frame.has_forces]
    if expected.forces is not None and rows:
        of = partial(force_faults, similar=expected.forces, settings=settings)
        found.append((FORCE, rows, _with_common_factor([suspects[i] for i in rows], of, expected.forces, settings)))
    rows = [i for i, frame in enumerate(suspects) if frame.has_stress]
    if expected.stress is not None and rows:
        of = partial(stress_faults, similar=expected.stress, settings=settings)
        found.append((STRESS, rows, _with_common_factor([suspects[i] for i in rows], of, expected.stress, settings)))
    return found


def _with_common_factor(
    suspects: Sequence[Frame], told_of: Callable[..., Hypotheses], similar: Similar, settings: Settings
) -> list[Hypotheses]:
    """All hypotheses on each suspect, and a factor that several of them agree on, if that explains much more."""
    told = [told_of(frame) for frame in suspects]
    factors = [own[FITTED].value for own in told if FITTED in own]
    factor = densest_factor(np.array(factors), similar, settings)
    if factor is None:
        return told
    common = Hypothesis(FACTOR, f"{factor:.3g}", factor)
    more = [told_of(frame, common=[common]) for frame in suspects]
    gained = _explained(more, settings) - _explained(told, settings)
    return more if gained > settings.gain + np.log(len(suspects)) else told


def _explained(told: Sequence[Hypotheses], settings: Settings) -> float:
    """The logarithm of the likelihood of all suspects."""
    hypotheses, likely = _table(told)
    return posterior(likely, hypotheses, settings)[1]


def densest_factor(factors: np.ndarray, similar: Similar, settings: Settings) -> float | None:
    """Return the factor on which the most suspects agree; None: too few do."""
    if len(factors) < settings.few:
        return None
    logs = np.log(np.abs(factors) / similar.factor)
    near = (np.abs(logs[:, None] - logs[None]) < 2 * similar.factors) & (np.sign(factors)[:, None] == np.sign(factors))
    best = near[np.argmax(near.sum(axis=1))]
    if best.sum() < settings.few:
        return None
    return float(np.sign(factors[best][0]) * np.exp(np.median(logs[best])))


def _decided(told: Sequence[Hypotheses], name: str, settings: Settings) -> list[Fault | None]:
    """The likeliest fault of each suspect; None: the label of this property is right."""
    hypotheses, likely = _table(told)
    probability, _ = posterior(likely, hypotheses, settings)
    noise = np.flatnonzero([one.kind == NOISE for one in hypotheses])
    probability[:, noise[0]] = probability[:, noise].sum(axis=1)  # of all scales
    probability[:, noise[1:]] = 0.0
    return [
        None if hypotheses[k].kind == RIGHT else Fault(name, hypotheses[k], float(own[k]), told[i][hypotheses[k]])
        for i, (own, k) in enumerate(zip(probability, probability.argmax(axis=1), strict=True))
    ]


def _table(told: Sequence[Hypotheses]) -> tuple[list[Hypothesis], np.ndarray]:
    """All hypotheses (K,), and the logarithms of their likelihoods for each suspect (S, K)."""
    hypotheses, never = list(dict.fromkeys(one for own in told for one in own)), Told(NEVER)
    return hypotheses, np.array([[own.get(one, never).log_likelihood for one in hypotheses] for own in told])


def _unconverged(causes: list[Cause], faults: list[list[Fault]], settings: Settings) -> list[Cause]:
    """Call it so where forces are scattered and energies too high, in nearly all suspects whose forces are scattered.

    The energy of an electronic structure that is not converged is above that of the right one, by the variational
    principle. Energies that are too high by much the same are no constant offset then.
    """
    scattered = [i for i, own in enumerate(faults) if any(f.label == FORCE and f.is_vague for f in own)]
    energy = {i: f for i in scattered for f in faults[i] if f.label == ENERGY and (f.is_vague or _is_offset(f))}
    above = [i for i, fault in energy.items() if fault.told.value > 0]
    if len(above) < settings.few or len(above) < settings.above * len(energy) or 2 * len(above) < len(scattered):
        return causes
    causes = list(causes)
    for i in scattered:
        certainty = next(f.certainty for f in faults[i] if f.label == FORCE)
        value = energy[i].told.value if i in energy else np.nan
        if certainty >= settings.certain and not value < 0:
            causes[i] = Cause(UNCONVERGED, certainty, value, tuple(faults[i]))
    return causes


def _is_offset(fault: Fault) -> bool:
    return fault.hypothesis.kind == OFFSET
