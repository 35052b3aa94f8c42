"""Are there wrong labels at all, and of which properties? Numpy only."""

import itertools
from typing import NamedTuple

import numpy as np

from .fit import Fit, binned
from .populations import Class, Populations
from .seen import Array
from .settings import Settings

TRIAL, STEPS = 8, 80  # steps of a trial, and at most beyond it
HOPELESS = -20.0  # gain after a trial, below which no further steps would help


class Decision(NamedTuple):
    """The populations that the data speak for."""

    right: Populations  # no wrong labels
    best: Populations  # with the highest gain, believed or not
    gain: float  # of `best` over `right`
    apart: bool  # whether wrong labels are further off than harder right ones could be


def decide(values: dict[str, Array], settings: Settings) -> Decision:
    """Choose the populations of what is not explained, by a coarsened criterion, see Fit.

    Source: Schwarz (1978); coarsened: Miller and Dunson, arXiv:1506.06101.
    """
    cells = binned({name: own for name, own in values.items() if np.isfinite(own).sum() >= settings.least})
    right = Fit(cells, [(0,) * len(cells.values)], settings).climb(STEPS)
    if right.number < settings.few:
        return Decision(right.populations, right.populations, 0.0, True)
    without = right.criterion()
    found = []
    for classes, together in candidates(len(cells.values)):
        own = Fit(cells, classes, settings, together).climb(TRIAL)
        if own.criterion() - without > HOPELESS:
            own.climb(STEPS)
        found.append((own.populations.are_apart, own.criterion() - without, own))
    better = [one for one in found if one[1] > 0]
    apart, gain, best = max(better, key=lambda one: one[:2], default=(True, 0.0, right))
    return Decision(right.populations, best.populations, gain, apart)


def candidates(number: int) -> list[tuple[list[Class], bool]]:
    """Classes beside all right: one property is wrong; all are at once; any of them are. And how to start."""
    every = list(itertools.product((0, 1), repeat=number))
    found = [([every[0], one], False) for one in every if sum(one) == 1]
    return found + ([([every[0], every[-1]], True), (every, False)] if number > 1 else [])
