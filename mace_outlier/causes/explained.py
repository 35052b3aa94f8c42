"""What geometry explains of a model's errors: how wrong a prediction is, and how uncertain."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..method.covariates import Covariates, Geometry
from ..method.readout import leave_one_out
from ..method.seen import ENERGY, FORCES, STRESS, Seen
from ..method.settings import Settings
from .expected import rms
from .frames import Frame

Array = NDArray[np.float64]
SMALLEST = 1e-9  # of an error whose logarithm is taken
OUTERMOST = 0.95  # quantile of distances to the nearest neighbour
NEAR = 4  # neighbours: a region of five frames is one


class Measured(NamedTuple):
    """What a model says of the geometry of N configurations, see `weights.features`."""

    predicted_force: Array  # (N,) root mean square, eV/A; NaN: none
    conditions: Array  # (N, C) what else determines a label
    features: Array  # (N, K) pooled node features


def explained(frames: Sequence[Frame], measured: Measured, trusted: NDArray[np.bool_]) -> list[Frame]:
    """Return frames with predictions as geometry corrects them, and the errors that are expected of right labels.

    Both by readouts of the features, fitted to the configurations that are trusted (N,), of which each is predicted
    without itself.
    """
    settings, seen = Settings(), _seen(frames, measured).in_double()
    energy = readout(seen, trusted, ENERGY, settings)
    alone = isolation(seen, trusted, settings)
    sizes = {name: np.exp(readout(seen, trusted, name, settings)) for name in (FORCES, STRESS)}
    return [
        frame._replace(
            predicted_energy=frame.predicted_energy - np.nan_to_num(energy[i]) * frame.atoms,
            expected_forces=float(sizes[FORCES][i]),
            expected_stress=float(sizes[STRESS][i]),
            isolation=float(alone[i]),
        )
        for i, frame in enumerate(frames)
    ]


def _seen(frames: Sequence[Frame], measured: Measured) -> Seen:
    """As the judgement wants it; of the errors, those that are known."""
    elements, zero = np.unique(np.concatenate([frame.numbers for frame in frames])), np.zeros(len(frames))
    unknown = np.nan
    return Seen(
        errors={
            ENERGY: np.array([-frame.energy_error for frame in frames]),
            FORCES: np.array([rms(f.forces - f.predicted_forces) if f.has_forces else unknown for f in frames]),
            STRESS: np.array([rms(f.stress - f.predicted_stress) if f.has_stress else unknown for f in frames]),
        },
        features=measured.features,
        composition={str(z): np.array([np.mean(frame.numbers == z) for frame in frames]) for z in elements},
        atoms=np.array([float(frame.atoms) for frame in frames]),
        predicted_force=measured.predicted_force,
        label_force=zero,
        conditions=measured.conditions,
        times=zero,
        molecules=zero.astype(np.int64),
    )


def readout(seen: Seen, trusted: NDArray[np.bool_], name: str, settings: Settings) -> Array:
    """Return the errors of a property as far as geometry explains them (N,), others than energies: their logarithms.

    NaN: not known.
    """
    found, errors = np.full(seen.number, np.nan), seen.errors[name]
    known = np.isfinite(errors)
    fitted = known & trusted
    if fitted.sum() <= max(settings.least, NEAR + 1):
        return found
    columns, used = _columns(seen.part(known), settings), fitted[known]
    design = columns.design if name == ENERGY else columns.coarse
    values = errors[fitted] if name == ENERGY else np.log(errors[fitted] + SMALLEST)
    fit = leave_one_out(design[used], values, np.ones(len(values)))
    found[known] = design @ fit.coefficients
    found[fitted] = fit.predicted
    if name != ENERGY:
        found[known] = np.maximum(found[known], _of_neighbours(columns.place, used, values))
    return found


def _columns(seen: Seen, settings: Settings) -> Covariates:
    return Geometry(seen, settings.components).columns(seen)


def isolation(seen: Seen, trusted: NDArray[np.bool_], settings: Settings) -> Array:
    """Return how far configurations (N,) are from the nearest one that is trusted, in typical distances of these.

    Typical are the 5 % of the trusted ones that are the furthest from all others. NaN: too few are trusted, or nothing
    is known of the geometries.
    """
    place = _columns(seen, settings).place
    if trusted.sum() <= settings.least or not place.shape[1]:
        return np.full(seen.number, np.nan)
    tree = KDTree(place[trusted])
    typical = float(np.quantile(tree.query(place[trusted], k=2)[0][:, 1], OUTERMOST))
    return np.asarray(tree.query(place)[0] / max(typical, SMALLEST))


def _of_neighbours(place: Array, used: NDArray[np.bool_], values: Array) -> Array:
    """The median of the values of the nearest configurations that are used, for all (N,); never its own.

    Where nothing says which are near, the values themselves are no guide: minus infinity.
    """
    if not place.shape[1]:
        return np.full(len(place), -np.inf)
    tree, near = KDTree(place[used]), min(NEAR + 1, len(values) - 1)
    own = tree.query(place, k=near + 1)[1][:, :-1]
    own[used] = tree.query(place[used], k=near + 1)[1][:, 1:]
    return np.median(values[own], axis=1)
