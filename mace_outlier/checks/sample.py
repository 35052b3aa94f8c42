"""A few whole frames that are held, so that frames of different places can be compared."""

import numpy as np

from .examine import Sampled
from .settings import Settings


class Reservoir:
    """Frames that are held: as many of each formula and kind as there is room for, whatever the order of the files."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.total = settings, 0
        self.kept: dict[tuple, list[Sampled]] = {}
        self.rng = np.random.default_rng(0)

    def offer(self, item: Sampled) -> None:
        """Take a frame, or leave it; one of the largest kind goes where there is no room."""
        formula = item.atoms.get_chemical_formula()
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
