"""What is wrong with each suspect."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .cause import NOT_FINITE, UNCONVERGED, Cause, Fault, cause_of
from .common_factor import with_common_factor
from .energies import energy_faults
from .expected import Expected, expected_errors
from .forces import force_faults
from .frames import Frame
from .hypotheses import ENERGY, FACTOR, FORCE, NOISE, RIGHT, STRESS, Hypotheses
from .offsets import BY_ELEMENT, OFFSET
from .settings import Settings
from .shares import posterior, table
from .stress import stress_faults


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
        found.append((ENERGY, rows, energy_faults([suspects[i] for i in rows], trusted, expected, settings)))
    rows = [i for i, frame in enumerate(suspects) if frame.has_forces]
    if expected.forces is not None and rows:
        of = partial(force_faults, similar=expected.forces, settings=settings)
        found.append((FORCE, rows, with_common_factor([suspects[i] for i in rows], of, expected.forces, settings)))
    rows = [i for i, frame in enumerate(suspects) if frame.has_stress]
    if expected.stress is not None and rows:
        of = partial(stress_faults, similar=expected.stress, settings=settings)
        found.append((STRESS, rows, with_common_factor([suspects[i] for i in rows], of, expected.stress, settings)))
    return found


def _decided(told: Sequence[Hypotheses], name: str, settings: Settings) -> list[Fault | None]:
    """The likeliest fault of each suspect; None: the label of this property is right."""
    hypotheses, likely = table(told)
    probability, _ = posterior(likely, hypotheses, settings)
    noise = np.flatnonzero([one.kind == NOISE for one in hypotheses])
    probability[:, noise[:1]] = probability[:, noise].sum(axis=1, keepdims=True)  # of all scales
    probability[:, noise[1:]] = 0.0
    right = probability[:, [one.kind == RIGHT for one in hypotheses]].sum(axis=1)
    likeliest = [hypotheses[k] for k in probability.argmax(axis=1)]
    return [
        None if best.kind == RIGHT else Fault(name, best, float(own.max()), told[i][best], float(1 - right[i]))
        for i, (own, best) in enumerate(zip(probability, likeliest, strict=True))
    ]


def _unconverged(causes: list[Cause], faults: list[list[Fault]], settings: Settings) -> list[Cause]:
    """Call it so where energies are too high, and forces scattered, in many of the same suspects.

    The energy of an electronic structure that is not converged is above that of the right one, by the variational
    principle: much the same for all conformations of a molecule, which looks like another reference. But that would
    leave the forces right.
    """
    shifted = _of(faults, ENERGY, lambda fault: fault.is_vague or fault.hypothesis.kind in (OFFSET, BY_ELEMENT))
    scattered = _of(faults, FORCE, lambda fault: fault.is_vague or fault.hypothesis.kind == FACTOR)
    above = {i: fault for i, fault in shifted.items() if fault.told.value > 0}
    both = len(above.keys() & scattered.keys())
    few = both < settings.few or both < settings.scattered * len(above) or 2 * both < len(scattered)
    if few or len(above) < settings.above * len(shifted):
        return causes
    clear = _of(faults, FORCE, lambda fault: True).keys() - scattered.keys()
    below = shifted.keys() - above.keys()
    causes = list(causes)
    for i in (above.keys() | scattered.keys()) - clear - below:
        certainty = max(fault.wrong for fault in faults[i])
        if certainty >= settings.certain and causes[i].words != NOT_FINITE:
            value = above[i].told.value if i in above else np.nan
            causes[i] = Cause(UNCONVERGED, certainty, value, tuple(faults[i]))
    return causes


def _of(faults: list[list[Fault]], label: str, chosen: Callable[[Fault], bool]) -> dict[int, Fault]:
    """Suspects that have a fault of this kind in a label, and that fault."""
    return {i: fault for i, own in enumerate(faults) for fault in own if fault.label == label and chosen(fault)}
