"""What an epoch shows of the configurations of a head: each process explains those that it saw. Numpy only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .densest import densest
from .molecules import typical_of
from .processes import Processes
from .sample import in_sample
from .seen import ENERGY, Array, Seen
from .settings import Settings
from .unexplained import Unexplained


class Shown(NamedTuple):
    """What is not explained; unit and sample are alike in all processes."""

    rows: NDArray[np.int64]  # (N,) ascending: those of the share of this process that any process has seen
    values: dict[str, Array]  # (N,) by property, see Unexplained; energies from the typical one of their molecule
    unit: float  # eV/atom: width of what is not explained of energies
    sample: Seen  # by which the others are judged


class Look:
    """Configurations that were seen, and the sample by which they are to be explained.

    Args:
        rows: (n,) ascending, of `size` ones, that this process has seen.
        seen: what it saw of them.
        sample_rows: (S,) ascending, of the sample, alike in all processes.
        sample: what was seen of these.
        settings: of the judgement.
        beside: configurations of another origin, alike in all processes, with which these are compared.
    """

    def __init__(
        self, rows: NDArray[np.int64], seen: Seen, sample_rows: NDArray[np.int64], sample: Seen, settings: Settings,
        beside: Seen | None,
    ) -> None:  # fmt: skip
        self.rows, self.seen, self.sample_rows, self.sample = rows, seen, sample_rows, sample
        self._settings, self.beside = settings, beside

    def explain(self) -> tuple[Unexplained, dict[str, Array]]:
        """The fit to the sample, and what is not explained of the rows (n,); most of the work, and no exchange."""
        sample, seen = self.sample, self.seen
        if self.beside is not None:
            sample, seen = self.beside.of_origin(0.0).joined(sample.of_origin(1.0)), seen.of_origin(1.0)
        fit = Unexplained(sample, self._settings)
        of_sample = {name: own[len(own) - len(self.sample_rows) :] for name, own in fit.found.items()}
        place = np.searchsorted(self.sample_rows, self.rows).clip(max=max(len(self.sample_rows) - 1, 0))
        inside = self.sample_rows[place] == self.rows
        found = fit.of(seen) if not inside.all() else {name: np.empty(len(self.rows)) for name in fit.found}
        for name, own in of_sample.items():
            found[name][inside] = own[place[inside]]
        return fit, found


def look_at(
    rows: NDArray[np.int64], seen: Seen, settings: Settings, processes: Processes, beside: Seen | None = None
) -> Look | None:
    """Choose the sample among what all processes have seen, see Look; None: too few to be compared."""
    total = int(processes.sum(np.array([seen.number]))[0])
    if total < (settings.least if beside is None else 1):
        return None
    chosen = in_sample(rows, total)
    sample = seen.part(np.flatnonzero(chosen)).in_memory()  # it is needed longer than what was noted
    return Look(rows, seen, *_gathered(rows[chosen], sample, processes), settings, beside)


def shown(look: Look, size: int, settings: Settings, processes: Processes) -> Shown:
    """What is not explained, of rows of `size` ones."""
    (fit, explained), sample, beside = look.explain(), look.sample, look.beside
    rows, molecules, found = _at_their_owners(look.rows, look.seen.molecules, explained, size, processes)
    if ENERGY in found:
        of_sample = sample.molecules if beside is None else np.concatenate((beside.molecules, sample.molecules))
        others = processes.share(0 if beside is None else beside.number)
        energies = np.concatenate((fit.found[ENERGY][others], found[ENERGY]))
        everyone = np.concatenate((of_sample[others], molecules))
        typical = typical_of(energies, everyone, settings.smallest_molecule, processes)
        if typical is not None:
            zero, width = densest(fit.found[ENERGY] - typical.of(of_sample))
            found[ENERGY] = (found[ENERGY] - typical.of(molecules) - zero) / width
    return Shown(rows, found, fit.unit, sample)


def _gathered(rows: NDArray[np.int64], seen: Seen, processes: Processes) -> tuple[NDArray[np.int64], Seen]:
    """Rows and what was seen of them by all processes, in ascending order."""
    if processes.number == 1:
        return rows, seen
    every, first = np.unique(processes.gather(rows), return_index=True)
    return every, seen.with_table(processes.gather(seen.to_table())[first])


def _at_their_owners(
    rows: NDArray[np.int64], molecules: NDArray[np.int64], found: dict[str, Array], size: int, processes: Processes
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, Array]]:
    """Rows, ascending, their molecules and what was found: from those that saw them to those whose share they are."""
    if processes.number == 1:
        return rows, molecules, dict(found)
    numbers, values = np.column_stack((rows, molecules)).astype(np.int64), np.column_stack(list(found.values()))
    numbers, values = processes.exchange_with(numbers, values, processes.owner(rows, size))
    rows, first = np.unique(numbers[:, 0], return_index=True)  # some may have been seen by two
    return rows, numbers[first, 1], dict(zip(found, values[first].T, strict=True))
