"""How likely errors are: those of right labels, whose size is known but for a factor, and scattered ones."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .settings import Settings

Array = NDArray[np.float64]
POINTS = 61  # of the integrals over the size of errors
WIDTHS = 4.0  # to both sides
STEPS = np.linspace(-WIDTHS, WIDTHS, POINTS)
PRIOR = -0.5 * STEPS**2 - np.logaddexp.reduce(-0.5 * STEPS**2)  # normal


def of_right(squares: Array, number: ArrayLike, expected: Array, spread: float) -> Array:
    """Return the logarithm of the likelihood that residuals are those of right labels.

        log Int d(log tau) N(log tau; log expected, spread^2) prod_k N(x_k; 0, tau^2)

    `squares` (...) is sum_k x_k^2, `number` (...) how many x_k count, `expected` (...) the size of one.
    """
    return _integral(squares, number, np.log(expected)[..., None] + spread * STEPS, PRIOR)


def scales(settings: Settings) -> list[float]:
    """Return the sizes that errors without a pattern may have, in those of right labels."""
    return [float(settings.wrong * 2**k / np.sqrt(2)) for k in range(-1, settings.scales - 1)]


def of_scattered(error: Array, expected: Array, scale: float, settings: Settings) -> Array:
    """Return the same for single errors (...) that are wrong without a pattern, whose typical size is `scale`.

        p(x) = exp(-(|x| - t) / s) / 2 s  beyond t,  1 / 2 (t + s)  below
        t = wrong * expected, s = scale * expected

    Suspects were chosen because they are far off: what is below t is missing. So beyond it, the density is that of
    errors that were chosen, or noise that is cut off at t would look like two offsets.
    """
    least, size = settings.wrong * expected, scale * expected
    beyond = np.abs(error) - least
    return np.where(beyond > 0, -beyond / size - np.log(2 * size), -np.log(2 * (least + size)))


def _integral(squares: Array, number: ArrayLike, log_size: Array, prior: Array) -> Array:
    squares, number = np.asarray(squares)[..., None], np.asarray(number)[..., None]
    normal = -number * (log_size + 0.5 * np.log(2 * np.pi)) - 0.5 * squares * np.exp(-2 * log_size)
    return np.asarray(np.logaddexp.reduce(normal + prior, axis=-1))
