"""The best readout of features: robust ridge regression, and each configuration as predicted without its own label.

Today's energies are sums over atoms of (nearly) linear readouts of the node features, so that the best readout of
today's features has a closed form. Numpy only.
"""

from typing import NamedTuple

import numpy as np

from .densest import spread_about_zero
from .seen import Array

PENALTIES = (0.03, 0.3, 3.0, 30.0, 300.0, 3000.0)  # in configurations: features are whitened; the largest: no readout
TAIL = 3.0  # degrees of freedom of the t distribution of what is not explained
PASSES = 2  # reweightings once the penalty is known
FULL = 0.999  # largest leverage


class Readout(NamedTuple):
    """A readout, and what it leaves of the N values that it is fitted to, each predicted without itself."""

    studentised: Array  # (N,) in the unit of the values, divided by what the uncertainty of the readout adds
    predicted: Array  # (N,) by a readout fitted to the others
    penalty: float
    coefficients: Array  # c (p,), fitted to all
    inverse: Array  # A^-1 (p, p), of the normal matrix

    def of(self, design: Array) -> Array:
        """Predictions (n,) of other values."""
        return np.asarray(design @ self.coefficients)

    def studentise(self, residual: Array, design: Array, scale: Array) -> Array:
        """What is not explained of other values (n,), divided by what the uncertainty of the readout adds."""
        return np.asarray(residual / np.sqrt(1 + _uncertainty(design, self.inverse) / np.square(scale)))


def leave_one_out(design: Array, values: Array, scale: Array, penalty: float | None = None) -> Readout:
    """Robust ridge regression with leave-one-out residuals.

        minimise over c:  sum_i rho_i (y_i - x_i c)^2 / s_i^2 + lambda |c|^2
        rho_i = (nu + 1) / (nu + (r_i / s)^2),      r_i = (y_i - x_i c) / s_i,    s: robust width of these
        h_i = rho_i x_i A^-1 x_i / s_i^2,           loo_i = s_i r_i / (1 - h_i)
        studentised_i = loo_i / sqrt(1 + x_i A_-i^-1 x_i / s_i^2)

    Other configurations are predicted by c: they have no part in it.

    Args:
        design: x (N, p), the first column 1 (not penalised), the others whitened.
        values: y (N,).
        scale: s (N,), expected size of what is not explained, in any unit.
        penalty: lambda; None: the one of PENALTIES with the best leave-one-out score (t distribution).
    """
    x, y = design / scale[:, None], values / scale
    unit, weight = float(np.mean(np.square(1 / scale))), _reweighted(y - np.median(y))
    if penalty is None:
        scores = {}
        for candidate in PENALTIES:
            residual, inverse, _ = _solve(x, y, weight, candidate * unit)
            alone = residual / (1 - (weight * _uncertainty(x, inverse)).clip(0.0, FULL))
            scores[candidate] = _score(alone)
            weight = _reweighted(residual)
        penalty = min(scores, key=lambda own: scores[own])
    for _ in range(PASSES):
        residual, inverse, coefficients = _solve(x, y, weight, penalty * unit)
        weight = _reweighted(residual)
    uncertainty = _uncertainty(x, inverse)
    leverage = (weight * uncertainty).clip(0.0, FULL)
    alone = residual / (1 - leverage)
    studentised = alone / np.sqrt(1 + uncertainty / (1 - leverage))
    return Readout(studentised * scale, values - alone * scale, penalty, coefficients, inverse)


def _solve(x: Array, y: Array, weight: Array, penalty: float) -> tuple[Array, Array, Array]:
    """Residuals (N,), the inverse of the normal matrix, and the coefficients (p,)."""
    weighted = x * weight[:, None]
    normal = weighted.T @ x
    normal[np.diag_indices_from(normal)] += penalty * np.where(np.arange(x.shape[1]), 1.0, 1e-6)
    inverse = np.asarray(np.linalg.inv(normal), dtype=np.float64)
    coefficients = inverse @ (weighted.T @ y)
    return y - x @ coefficients, inverse, coefficients


def _uncertainty(x: Array, inverse: Array) -> Array:
    return np.einsum("ij,ij->i", x @ inverse, x)


def _reweighted(residual: Array) -> Array:
    return np.asarray((TAIL + 1) / (TAIL + (residual / spread_about_zero(residual)) ** 2))


def _score(residual: Array) -> float:
    size = spread_about_zero(residual)
    return float(np.log(size) + (TAIL + 1) / 2 * np.mean(np.log1p((residual / size) ** 2 / TAIL)))
