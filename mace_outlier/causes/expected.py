"""Errors of right labels, by the configurations that are trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .frames import Frame
from .likelihood import of_right
from .settings import Settings

Array = NDArray[np.float64]
MAD = 1.4826  # of a normal distribution: its standard deviation over its median absolute deviation
OUTERMOST = (0.05, 0.95)  # quantiles: what lies beyond is left out
SMALLEST = {"energy": 1e-5, "forces": 1e-4, "stress": 1e-7}  # eV/atom, eV/A, eV/A^3: no label has more digits


@dataclass(frozen=True)
class Expected:
    """How large the errors of right labels are; None: too few are known."""

    energy: float | None  # eV/atom, standard deviation
    centre: float  # eV/atom: median of label - prediction
    spread: float  # of the logarithm of that error: how heavy the tail is
    forces: "Similar | None"
    stress: "Similar | None"


class Similar(NamedTuple):
    """Errors of trusted configurations, by what geometry says of them, or by the size of what is predicted.

    Args:
        size: (T,) root mean square of a property that was predicted, rising.
        error: (T,) root mean square of its error, of the same configurations.
        near: how many of them are similar to another one.
        spread: of the logarithm of errors around those that are expected.
        factor: typical factor between right labels and predictions.
        factors: spread of its logarithm.
        apart: logarithm of the ratio of the largest factor and the smallest one, but for the outermost ones.
    """

    size: Array
    error: Array
    near: int
    spread: float
    factor: float = 1.0
    factors: float = 1.0
    apart: float = 2.0

    def of(self, predicted: Array, by_geometry: float = np.nan) -> float:
        """Return what is expected of a right label, by its prediction; more, where the geometry says so."""
        place = int(np.searchsorted(self.size, rms(predicted)))
        first = min(max(place - self.near // 2, 0), max(len(self.size) - self.near, 0))
        return float(np.nanmax((np.median(self.error[first : first + self.near]), by_geometry)))


def expected_errors(trusted: Sequence[Frame], settings: Settings) -> Expected:
    """Measure the errors of trusted configurations."""
    energies = np.array([frame.energy_error for frame in trusted])
    energies = energies[np.isfinite(energies)]
    known = len(energies) >= settings.trusted
    centre = float(np.median(energies)) if known else 0.0
    width = MAD * float(np.median(np.abs(energies - centre))) if known else 0.0
    width = max(width, SMALLEST["energy"])
    forces = [(f.forces, f.predicted_forces, f.expected_forces) for f in trusted if f.has_forces]
    stress = [(f.stress, f.predicted_stress, f.expected_stress) for f in trusted if f.has_stress]
    return Expected(
        width if known else None,
        centre,
        _tail(energies - centre, width, settings) if known else settings.spread,
        _similar(forces, SMALLEST["forces"], settings),
        _similar(stress, SMALLEST["stress"], settings),
    )


def _tail(errors: Array, width: float, settings: Settings) -> float:
    """The spread that explains errors of right labels best."""
    each = [of_right(errors**2, np.array(1.0), np.full(len(errors), width), own).sum() for own in settings.spreads]
    return settings.spreads[int(np.argmax(each))]


def _similar(known: Sequence[tuple[Array, Array, float]], smallest: float, settings: Settings) -> Similar | None:
    """Of labels, predictions and what geometry says of the error."""
    if len(known) < settings.trusted:
        return None
    size = np.array([rms(predicted) for _, predicted, _ in known])
    error = np.maximum([rms(label - predicted) for label, predicted, _ in known], smallest)
    order = np.argsort(size, kind="stable")
    similar = Similar(size[order], error[order], min(settings.near, len(known)), settings.spread)
    off = np.log(error) - np.log([similar.of(predicted, geometry) for _, predicted, geometry in known])
    factors = np.array([factor_between(label, predicted) for label, predicted, _ in known])
    logs = np.log(factors[(size > settings.wrong * error) & (factors > 0)])
    middle = float(np.median(logs)) if len(logs) else 0.0
    return similar._replace(
        spread=max(settings.spread, MAD * float(np.median(np.abs(off)))),
        factor=float(np.exp(middle)),
        factors=MAD * float(np.median(np.abs(logs - middle))) if len(logs) else 1.0,
        apart=float(np.ptp(np.quantile(logs, OUTERMOST))) if len(logs) >= settings.trusted else 2.0,
    )


def factor_between(label: Array, predicted: Array) -> float:
    """Label over prediction: the slope with errors in both, with the sign of their product; 0: one of them vanishes."""
    sizes = rms(label), rms(predicted)
    return float(np.sign(np.sum(label * predicted)) * sizes[0] / sizes[1]) if min(sizes) > 0 else 0.0


def rms(values: Array) -> float:
    """Root mean square of all components."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0
