"""Part of check `settings`: validation frames that lie between training frames like steps of one trajectory.

The distances T_1 <= ... <= T_k of a frame from its nearest training frames grow as those on a path, T_j ~ j for smooth
motion and sqrt(j) for diffusion, or as those in a space of many dimensions, where all are alike. Their dimension is

    1 / D = mean over frames of  sum_j<k log(T_k / T_j) / (k - 1)        (Levina and Bickel, 2004)

1.7 between steps of a smooth path, 3.3 of a random walk, and 5 to 40 of frames that are independent, however many
there are and in any order.
"""

import numpy as np

from .evidence import Evidence
from .finding import LOOK, Finding
from .probes import Nearness
from .settings import Settings

SAME = 1e-4  # A: the frame itself


def trajectory(evidence: Evidence) -> list[Finding]:
    """Find heads whose validation frames are steps between training frames."""
    survey, settings, found = evidence.survey, evidence.settings, []
    for head in dict.fromkeys(probe.head for probe in survey.probes):
        own = np.flatnonzero([probe.head == head for probe in survey.probes])
        ratio, dimension = path_like(survey.nearness, own, settings)
        if ratio >= settings.path_ratio or dimension >= settings.path_dimension:
            continue
        first = survey.probes[own[0]]
        who = "--valid_fraction takes validation frames" if first.itself else "validation frames are taken"
        what = (
            f"{who} from between training frames, like steps of one trajectory: the next training frame is {ratio:.2g}"
        )
        what += " times as far as all of them are: errors of such frames say little of new geometries"
        fix = "validate with another trajectory, or with a part of it that is in one piece"
        numbers = {"ratio": ratio, "dimension": dimension}
        found.append(Finding("settings", LOOK, what, fix, where=first.path, numbers=numbers))
    return found


def path_like(nearness: Nearness, probes: np.ndarray, settings: Settings) -> tuple[float, float]:
    """Distance of the nearest frame over that of all, in the middle; dimension. Infinite where too little is known."""
    itself = (nearness.nearest < SAME).sum(axis=1)
    known = probes[(nearness.count[probes] >= settings.probe_frames) & (itself[probes] <= 1)]
    if len(known) < settings.probe_fewest:
        return np.inf, np.inf
    places = itself[known][:, None] + np.arange(settings.probe_nearest)
    nearest = np.take_along_axis(nearness.nearest[known], places, axis=1)
    mean = nearness.total[known] / nearness.count[known]
    inverse = np.log(nearest[:, -1:] / nearest[:, :-1]).sum(axis=1) / (settings.probe_nearest - 1)
    return float(np.median(nearest[:, 0] / mean)), float(1 / max(inverse.mean(), 1e-9))
