"""Constant energy shifts of each element between a model and a data set: another reference is not a wrong label."""

import numpy as np
from scipy.optimize import least_squares

FRAMES_FOR_EACH_ELEMENT = 10  # with fewer, a shift would explain real errors away
SAMPLE = 100_000  # configurations to fit to, at random
MAD_TO_SIGMA = 1.4826  # of a normal distribution


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
