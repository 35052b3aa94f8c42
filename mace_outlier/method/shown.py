"""What an epoch shows of the configurations of a head: each process explains those that it saw. Numpy only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .densest import densest, densest_halves
from .processes import Processes
from .sample import in_sample
from .seen import ENERGY, Array, Seen
from .settings import Settings
from .unexplained import Unexplained


class Shown(NamedTuple):
    """What is not explained, alike in all processes."""

    rows: NDArray[np.int64]  # (N,) ascending, that any process has seen
    values: dict[str, Array]  # (N,) by property, see Unexplained; energies from the typical one of their molecule
    unit: float  # eV/atom: width of what is not explained of energies
    sample: Seen  # by which the others are judged


def shown(
    rows: NDArray[np.int64], seen: Seen, settings: Settings, processes: Processes, beside: Seen | None = None
) -> Shown | None:
    """What is not explained of the rows (n,), ascending, that this process has seen, and of those of the others.

    None: too few to be compared. `beside`: configurations of another origin, alike in all processes, with which these
    are compared.
    """
    total = int(processes.sum(np.array([seen.number]))[0])
    if total < (settings.least if beside is None else 1):
        return None
    chosen = in_sample(rows, total)
    sample_rows, sample = _gathered(rows[chosen], seen.part(chosen), processes)
    fit, found = _explained(rows, seen, sample_rows, sample, settings, beside)
    molecules = seen.molecules
    if processes.number > 1:
        rows, first = np.unique(processes.gather(rows), return_index=True)
        molecules = processes.gather(molecules)[first]
        table = processes.gather(np.column_stack(list(found.values())))[first]
        found = dict(zip(found, table.T, strict=True))
    if ENERGY in found:
        others = 0 if beside is None else beside.number
        energies = np.concatenate((fit.found[ENERGY][:others], found[ENERGY]))
        molecules = np.concatenate((molecules[:0] if beside is None else beside.molecules, molecules))
        some = np.concatenate((np.ones(others, dtype=bool), in_sample(rows, total)))
        found[ENERGY] = by_molecule(energies, molecules, some, settings.smallest_molecule, processes)[others:]
    return Shown(rows, found, fit.unit, sample)


def _gathered(rows: NDArray[np.int64], seen: Seen, processes: Processes) -> tuple[NDArray[np.int64], Seen]:
    """Rows and what was seen of them by all processes, in ascending order."""
    if processes.number == 1:
        return rows, seen
    every, first = np.unique(processes.gather(rows), return_index=True)
    return every, seen.with_table(processes.gather(seen.to_table())[first])


def _explained(
    rows: NDArray[np.int64], seen: Seen, sample_rows: NDArray[np.int64], sample: Seen, settings: Settings,
    beside: Seen | None,
) -> tuple[Unexplained, dict[str, Array]]:  # fmt: skip
    """The fit to a sample, and what is not explained of rows (n,), most of which may be others."""
    if beside is not None:
        sample, seen = beside.of_origin(0.0).joined(sample.of_origin(1.0)), seen.of_origin(1.0)
    fit = Unexplained(sample, settings)
    of_sample = {name: own[len(own) - len(sample_rows) :] for name, own in fit.found.items()}
    place = np.searchsorted(sample_rows, rows).clip(max=max(len(sample_rows) - 1, 0))
    inside = sample_rows[place] == rows
    found = fit.of(seen) if not inside.all() else {name: np.empty(len(rows)) for name in fit.found}
    for name, own in of_sample.items():
        found[name][inside] = own[place[inside]]
    return fit, found


def by_molecule(
    values: Array, molecules: NDArray[np.int64], sample: NDArray[np.bool_], smallest: int, processes: Processes
) -> Array:
    """Unexplained errors (N,) from the typical one of each molecule, where there are several, in widths of a sample.

    Each process finds where the errors of some molecules are densest.
    """
    names, number = np.unique(molecules, return_inverse=True)
    known = np.isfinite(values)
    sizes = np.bincount(number[known], minlength=len(names))
    enough = sizes >= smallest
    if np.count_nonzero(sizes) < 2 or not enough.any():
        return values
    own = known & enough[number]
    if processes.number > 1:
        own &= number % processes.number == processes.rank
    middle, _ = densest_halves(values[own], number[own], len(names))
    found = values - processes.sum(np.nan_to_num(middle))[number]
    zero, width = densest(found[sample])
    return (found - zero) / width
