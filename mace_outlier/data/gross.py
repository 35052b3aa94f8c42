"""Labels so far from all others (another unit, seven orders of magnitude) that nothing should be derived from them.

Before a training, the host derives energies of isolated atoms and the model's scale from the labels, by means and least
squares, which one gross error is enough to spoil. The limits here are far outside of what chemistry does, so that data
without gross errors are used as they are, to the last bit.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .dataset import nonfinite_labels
from .shift import MAD_TO_SIGMA, average_without, fit_shifts

SIGMAS = 10.0  # robust standard deviations
ENERGY = 10.0  # eV/atom, from the median: no binding energy is that far from another
FORCE = 50.0  # eV/A, root mean square over a configuration
SAMPLE = 10_000  # configurations from which the limits are taken, at random


class Limits(NamedTuple):
    """What is plausible for the configurations of one head."""

    energy: float  # median, eV/atom without isolated atoms
    width: float  # eV/atom
    force: float  # largest root mean square, eV/A


FINITE = Limits(0.0, 1e300, 1e300)  # of a head that was not in the sample


def limits(energies: np.ndarray, forces: np.ndarray) -> Limits:
    """Limits from energies (N,), eV/atom without isolated atoms, and root mean squares of forces (N,), eV/A."""
    energies = energies[np.isfinite(energies)]
    logs = np.log(forces[np.isfinite(forces) & (forces > 0)])
    middle, spread = _middle_and_spread(energies)
    force, force_spread = _middle_and_spread(logs)
    largest = np.exp(min(force + SIGMAS * force_spread, 700.0))
    return Limits(middle, max(SIGMAS * spread, ENERGY), max(largest, FORCE))


def _middle_and_spread(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    middle = float(np.median(values))
    return middle, MAD_TO_SIGMA * float(np.median(np.abs(values - middle)))


class Plausible:
    """Tells whether a sample of the host has finite labels that are not gross errors; picklable for workers.

    Args:
        dataset: samples with energy, forces, node_attrs (one-hot elements) and head.
        atomic_energies: energies of isolated atoms (heads, elements) or (elements,), eV.
    """

    def __init__(self, dataset: Sequence[Any], atomic_energies: Any, labels: Iterable[str] = ("energy", "forces")):
        self.atomic_energies, self.labels = np.atleast_2d(np.asarray(atomic_energies, dtype=float)), tuple(labels)
        chosen = np.random.default_rng(0).permutation(len(dataset))[:SAMPLE]
        samples = (dataset[int(i)] for i in chosen)  # one at a time: each holds its edges
        elements = self.atomic_energies.shape[1]
        rows = [(*self._measure(sample), *counts_of(sample)) for sample in samples if sample is not None]
        measured, self._counts = np.split(np.array(rows).reshape(-1, 3 + elements), [3], axis=1)
        self._heads, self._energies, _ = measured.T
        self.limits = {head: limits(*measured[self._heads == head, 1:].T) for head in np.unique(self._heads)}
        self.rejected = sum(not self._inside(*values) for values in measured.tolist())
        self.examined = len(measured)

    def averages(self) -> dict[int, tuple[np.ndarray, float]]:
        """Of heads whose energies of isolated atoms have taken gross errors in: see `shift.average_without`."""
        found = dict[int, tuple[np.ndarray, float]]()
        for head, limit in self.limits.items():
            isolated = self.atomic_energies[min(int(head), len(self.atomic_energies) - 1)]
            own = (self._heads == head) & np.isfinite(self._energies)
            counts, each = self._counts[own], self._energies[own]
            energies = each * counts.sum(axis=1) + counts @ isolated
            average = average_without(isolated, counts, energies, np.abs(each - limit.energy) > limit.width)
            found |= {int(head): average} if average else {}
        return found

    def __call__(self, sample: Any) -> bool:
        """True where the labels of a sample can be used."""
        return self._inside(*self._measure(sample))

    def _inside(self, head: float, energy: float, force: float) -> bool:
        limit = self.limits.get(head, FINITE)  # NaN, no such label, is inside
        return not abs(energy - limit.energy) > limit.width and not force > limit.force

    def _measure(self, sample: Any) -> tuple[float, float, float]:
        """Head, energy (eV/atom without isolated atoms) and root mean square force (eV/A); infinite: not finite."""
        head = int(sample.head) if sample.head is not None else 0
        if nonfinite_labels(sample, self.labels):
            return head, np.inf, np.inf
        isolated = self.atomic_energies[min(head, len(self.atomic_energies) - 1)]
        counts = counts_of(sample)
        energy = (float(sample.energy) - counts @ isolated) / counts.sum() if sample.energy_weight else np.nan
        force = float(sample.forces.double().square().mean().sqrt()) if sample.forces_weight else np.nan
        return head, energy, force


def counts_of(sample: Any) -> np.ndarray:
    """Atoms of each element in a sample (elements,)."""
    return np.asarray(sample.node_attrs.sum(0).double().numpy())


def selected_batches(loader: Any, keep: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the batches of a loader, in its order, without the samples that `keep` rejects."""
    collate = loader.collate_fn
    loader.collate_fn = partial(collate_selected, collate, keep)
    try:
        yield from (batch for batch in loader if batch is not None)
    finally:
        loader.collate_fn = collate


def collate_selected(collate: Callable[[list[Any]], Any], keep: Callable[[Any], bool], samples: list[Any]) -> Any:
    """Collate the samples that `keep` accepts; None where there is none. Picklable for workers."""
    kept = [sample for sample in samples if keep(sample)]
    return collate(kept) if kept else None


def plausible_energies(energies: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Tell which energies (N,), eV, a sum of energies of the elements in `counts` (N, elements) explains, (N,) boolean.

    False for energies that are not finite, or further than max(10 sigma, 10 eV/atom) from a robust fit.
    """
    finite = np.isfinite(energies)
    atoms = counts.sum(axis=1)
    shifts = fit_shifts(energies[finite], counts[finite])
    if not shifts.any():  # too few to tell
        return finite
    residual = np.full(len(energies), np.inf)
    residual[finite] = (energies[finite] - counts[finite] @ shifts) / atoms[finite]
    limit = limits(residual, np.zeros(0))
    return np.abs(residual - limit.energy) <= limit.width


def log_left_out(rejected: int, examined: int, what: str, values: str) -> None:
    """Say what was left out of something that the host derives from the labels, and what difference it makes."""
    logging.warning(
        f"{rejected} of {examined} configurations have labels that are not finite or far from all others: {what} "
        f"without them is {values}"
    )
