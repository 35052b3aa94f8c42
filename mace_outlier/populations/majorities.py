"""Molecules most of whose labels are wrong: right labels are told by what is wrong in the others. No torch.

A group is measured where its values are densest; where most of its labels are wrong, that is at these. They give
themselves away by what they have in common with wrong labels elsewhere: these lie off to one side, scattered, and the
right labels of such a group lie close together, as far off to the other side.
"""

import numpy as np
from numpy.typing import NDArray

from .fit import BACKGROUND, ERROR_RANGE, RIGHT, ROOT_TWO_PI, Fit

STEPS = np.linspace(0.1, 2.0, 20)  # by which a group is moved at trial, in energy errors of typical wrong labels
OPPOSITE = 0.2  # share of a group that lies to the other side by more than a scale, from which on it is looked at
ENOUGH = 3.0  # gain of a group's log-likelihood from which on it is moved

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def correct_majorities(wrong: Mask, e: Array, group: NDArray[np.int64], spread: Array, fit: Fit) -> Mask:
    """What is `wrong` (N,), judged anew by the energies in groups where that is likely to be most.

    The right labels of a group lie about the c that is likeliest, if that is likelier than zero by a factor of e^3:

        sum_i log(s p(s e_i - c))        p(e) = (1 - share) T(e) + share W(e) + background, see Fit

    s: 1, or the ratio of the group's spread to a typical one, if that is larger: wrong labels may have widened it.

    Args:
        wrong: (N,) what looks wrong beside the most frequent labels of its group.
        e: (N,) relative energy errors; NaN: none.
        group: (N,) group of each.
        spread: (G,) of the groups, over a typical one.
        fit: two populations. Where its wrong labels are off to both sides, nothing is judged anew.
    """
    off = np.sinh(fit.high_error) - fit.error
    if abs(fit.high_error - np.arcsinh(fit.error)) < fit.high_error_scale or len(spread) == 1:
        return wrong
    members = _sums(np.isfinite(e), group, spread)
    opposite = _sums(e * np.sign(off) < -fit.error_scale, group, spread)
    looked_at = (opposite >= OPPOSITE * members) & (members > 0)
    some = np.flatnonzero(looked_at[group] & np.isfinite(e))
    by, scale = _likeliest(e[some], group[some], spread, fit, STEPS * off)
    some = some[by[group[some]] != 0]
    right, upper = _densities(scale[group[some]] * e[some] + by[group[some]], fit)
    corrected = wrong.copy()
    corrected[some] = upper > right
    return corrected


def _likeliest(e: Array, group: NDArray[np.int64], spread: Array, fit: Fit, steps: Array) -> tuple[Array, Array]:
    """By how much each group is moved (G,), 0: not at all, after its errors were multiplied by a scale (G,)."""
    ones, members = np.ones(len(spread)), _sums(np.isfinite(e), group, spread)
    best, by, scale = _log_likelihood(e, group, spread, fit) + ENOUGH, 0 * ones, ones.copy()
    for wider in (ones, np.maximum(spread, 1.0)):
        scaled = wider[group] * e
        for step in steps:
            own = _log_likelihood(scaled + step, group, spread, fit) + members * np.log(wider)
            better = own > best
            best[better], by[better], scale[better] = own[better], step, wider[better]
    return by, scale


def _log_likelihood(e: Array, group: NDArray[np.int64], spread: Array, fit: Fit) -> Array:
    """Of the energy errors of each group (G,)."""
    right, wrong = _densities(e, fit)
    density = right + wrong + BACKGROUND / (ERROR_RANGE * fit.error_scale)
    return _sums(np.nan_to_num(np.log(density)), group, spread)


def _densities(e: Array, fit: Fit) -> tuple[Array, Array]:
    """Of energy errors (N,) of right and of wrong labels, times their shares."""
    y, v = (e - fit.error) / fit.error_scale, (np.arcsinh(e) - fit.high_error) / fit.high_error_scale
    right = (1 - fit.share) * (1 + 0.2 * y * y) ** -3 / (2 * RIGHT * fit.error_scale)
    wrong = fit.share * np.exp(-0.5 * v * v) / (fit.high_error_scale * ROOT_TWO_PI * np.sqrt(1 + e * e))
    return right, wrong


def _sums(values: Array | Mask, group: NDArray[np.int64], spread: Array) -> Array:
    """Sum of the values (N,) of each group (G,)."""
    return np.asarray(np.bincount(group, values, minlength=len(spread)), dtype=np.float64)
