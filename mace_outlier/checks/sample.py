"""A few whole frames that are held, so that frames of different places can be compared."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from .examine import LINK, Sampled
from .settings import Settings
from .work import Points, comparable, compare, may_be_near


class Reservoir:
    """Frames that are held: as many of each formula and kind as there is room for, whatever the order of the files."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.total = settings, 0
        self.kept: dict[tuple, list[Sampled]] = {}
        self.rng = np.random.default_rng(0)

    def offer(self, item: Sampled) -> None:
        """Take a frame, or leave it; one of the largest kind goes where there is no room."""
        formula = item.formula
        key = (formula, item.source, item.group)
        if key not in self.kept and len({known[0] for known in self.kept} | {formula}) > self.settings.sample_formulas:
            return
        most = min(self.settings.sample, int(np.sqrt(self.settings.sample_atoms / len(item.atoms))))
        own = self.kept.setdefault(key, [])
        own.append(item)
        self.total += 1
        of_formula = sum(len(items) for known, items in self.kept.items() if known[0] == formula)
        if self.total > self.settings.sample or of_formula > most:
            pool = self.kept if of_formula <= most else {k: v for k, v in self.kept.items() if k[0] == formula}
            largest = max(pool.values(), key=len)
            largest.pop(int(self.rng.integers(len(largest))))
            self.total -= 1


def near_pairs(
    sample: Iterable[Sampled], first_row: Sequence[int], heads: Sequence[str], settings: Settings
) -> np.ndarray:
    """Compare the frames that differ in their positions only, all with all; those that are near, (P,) of LINK.

    Args:
        sample: the frames.
        first_row: of each source.
        heads: of each source.
        settings: of the checks.
    """
    found = [np.zeros(0, LINK)]
    for alike in _alike(sample):
        points = Points(
            np.array([item.atoms.positions for item in alike]),
            np.array([item.forces for item in alike]),
            np.array([item.energy for item in alike]),
        )
        rows = np.array([first_row[item.source] + item.frame for item in alike])
        of_head = np.array([heads[item.source] for item in alike])
        for i in range(len(alike) - 1):
            later = np.flatnonzero(of_head[i + 1 :] == of_head[i]) + i + 1
            found.append(_near_one(points, i, later, rows, alike[0], settings))
    return np.concatenate(found)


def _near_one(
    points: Points, one: int, later: np.ndarray, rows: np.ndarray, kind: Sampled, settings: Settings
) -> np.ndarray:
    """Pairs of a frame and later ones; most aren't near, and their forces aren't looked at."""
    cell, pbc = kind.atoms.cell.complete().array, kind.atoms.pbc
    first = Points(*(values[one : one + 1] for values in points))
    later = later[may_be_near(first.positions, points.positions[later], cell, pbc, settings.step)]
    if not len(later):
        return np.zeros(0, LINK)
    pair = compare(first, Points(*(values[later] for values in points)), cell, pbc, settings.morse)
    near = pair.step <= settings.step
    links = np.zeros(int(near.sum()), LINK)
    links["one"], links["two"] = rows[one], rows[later[near]]
    for name, values in zip(("step", "difference", "work", "bound"), pair, strict=True):
        links[name] = values[near]
    return links


def _alike(sample: Iterable[Sampled]) -> list[list[Sampled]]:
    """Frames by what they have in common; sorted, so that pairs point forward."""
    by_formula: dict[tuple, list[list[Sampled]]] = defaultdict(list)
    for item in sorted(sample, key=lambda item: (item.source, item.frame)):
        same = by_formula[(item.formula, item.conditions)]
        for group in same:
            if comparable(group[0].atoms, item.atoms):
                group.append(item)
                break
        else:
            same.append([item])
    return [group for same in by_formula.values() for group in same if len(group) > 1]
