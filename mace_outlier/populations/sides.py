"""Wrong labels whose energies are off to both sides, of which only one side looks wrong so far. No torch.

Labels of either sign don't agree with one another, but each half does. A model that follows one of them a little lies
between it and the right labels, so that the other half stands out alone.
"""

import numpy as np
from numpy.typing import NDArray

ONE_SIDE = 0.9  # of what looks wrong: that many lie to one side
AS_FAR, BETWEEN = 0.7, (0.3, 0.6)  # of their distance: as far off to the other side, and a gap before it
AS_MANY, IN_GAP = 0.5, 0.5  # of their number at least, and of the number on the other side at most

Array = NDArray[np.float64]


def both_sides(e: Array, wrong: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return what looks `wrong` (N,) and what lies as far off to the other side, if that is a group as well; else None.

    A group: about as many, and apart from what looks right, whose tail could otherwise be taken for it.

    e: (N,) energy errors, NaN: none. The distance is that of the medians from the median of all that looks right.
    """
    has = np.isfinite(e)
    kept, out = has & ~wrong, has & wrong
    if not kept.any() or not out.any():
        return None
    offset = e - np.median(e[kept])
    distance = np.median(offset[out])
    if np.mean(np.sign(offset[out]) == np.sign(distance)) < ONE_SIDE:
        return None
    opposite = -offset / distance
    group = kept & (opposite > AS_FAR)
    gap = kept & (opposite > BETWEEN[0]) & (opposite < BETWEEN[1])
    if group.sum() < AS_MANY * out.sum() or gap.sum() > IN_GAP * group.sum():
        return None
    return wrong | group
