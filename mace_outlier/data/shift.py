"""Constant energy shifts of each element between a model and a data set: another reference is not a wrong label."""

import numpy as np
from scipy.optimize import least_squares

FRAMES_FOR_EACH_ELEMENT = 10  # with fewer, a shift would explain real errors away
SAMPLE = 100_000  # configurations to fit to, at random
MAD_TO_SIGMA = 1.4826  # of a normal distribution
AVERAGED = 0.3  # distance of energies of isolated atoms from an average, over what gross errors move that by


def fit_shifts(errors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Fit errors of the energy by a constant for each element, in a way that wrong labels hardly move.

        minimise over s:   sum_i rho( (e_i - sum_z n_iz s_z) / n_i )

    rho: soft L1 (scipy.optimize.least_squares), linear beyond one robust standard deviation of the residuals. Where the
    compositions can't tell elements apart, the smallest of the equivalent shifts.

    Args:
        errors: prediction - label, e (N,), eV; finite.
        counts: atoms of each element, n (N, elements).

    Returns:
        s (elements,), eV; zeros where there are fewer than 10 configurations for each element.
    """
    if len(errors) < FRAMES_FOR_EACH_ELEMENT * max(1, counts.shape[1]):
        return np.zeros(counts.shape[1])
    chosen = np.random.default_rng(0).permutation(len(errors))[:SAMPLE]
    atoms = counts[chosen].sum(axis=1)
    target, fractions = errors[chosen] / atoms, counts[chosen] / atoms[:, None]
    _, sizes, directions = np.linalg.svd(fractions, full_matrices=False)
    basis = directions[sizes > 1e-8 * sizes[0]].T  # what the compositions can tell apart
    design = fractions @ basis
    shift = np.linalg.lstsq(design, target, rcond=None)[0]
    scale = np.inf
    for _ in range(50):  # the scale follows from the fit, and the fit from the scale
        residual = target - design @ shift
        before, scale = scale, MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual))))
        if scale > 0.99 * before or scale == 0:
            break
        fit = least_squares(lambda s: design @ s - target, shift, jac=lambda s: design, loss="soft_l1", f_scale=scale)
        shift = fit.x
    return np.asarray(basis @ shift)


def average_without(
    given: np.ndarray, counts: np.ndarray, energies: np.ndarray, gross: np.ndarray
) -> tuple[np.ndarray, float] | None:
    """Tell whether energies of isolated atoms are an average that has taken gross errors in.

    Nothing else is so near to that average, compared with how far these errors move it.

    Args:
        given: of each element (elements,), eV.
        counts: atoms of each element (N, elements).
        energies: labels (N,), eV; finite.
        gross: which of them are gross errors (N,).

    Returns:
        the average without these (elements,), eV, and by how much the given ones are off, eV/atom; None: they are not.
    """
    if not gross.any() or gross.all():
        return None
    every, right = (np.linalg.lstsq(counts[own], energies[own], rcond=None)[0] for own in (gross | True, ~gross))
    fractions = counts[~gross] / counts[~gross].sum(axis=1, keepdims=True)

    def apart(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.sqrt(np.mean((fractions @ (one - other)) ** 2)))

    return (right, apart(given, right)) if apart(given, every) < AVERAGED * apart(every, right) else None
