"""What several checks need and one of them has to work out: near frames of the sample, slopes of energy on work."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from .agreement import Verdicts, decide
from .sample import near_pairs
from .settings import Settings
from .survey import Survey


class Slope(NamedTuple):
    """Energy differences against work, for near frames of a file: 1 where signs and units are right."""

    value: float  # geometric mean of the two regressions; nan where nothing can be said
    low: float  # energy on work: errors of the work make it small
    high: float  # work on energy
    right: float  # share of the pairs that say something, and say 1
    pairs: int
    frames: int


class Evidence:
    """A survey, and what follows from it."""

    def __init__(self, survey: Survey) -> None:
        self.survey, self.settings = survey, survey.settings

    @cached_property
    def near(self) -> np.ndarray:
        """Pairs of near frames: neighbours in a file, and all pairs of the sample; (P,) of LINK."""
        heads = [source.head for source in self.survey.sources]
        links, sampled = self.survey.links, near_pairs(self.survey.sample, self.survey.first_row, heads, self.settings)
        known = links[np.isin(links["one"], sampled["one"])]
        new = sampled[~np.isin(_keys(sampled), _keys(known))]
        return np.concatenate([links, new]) if len(new) else links

    @cached_property
    def verdicts(self) -> Verdicts:
        """Which frames near frames contradict; there has to be a pair of them."""
        atoms = self.survey.frames["atoms"][self.near["one"]]
        return decide(self.near, atoms, self.scale(self.near["one"]), self.settings)

    @cached_property
    def kinds(self) -> tuple[np.ndarray, list[str]]:
        """Code of file and config_type of each row, and what they are called."""
        return self.survey.kinds()

    @cached_property
    def slopes(self) -> list[Slope]:
        """The slope of each file, over pairs of one config_type: between two, energies may be off by a constant."""
        return self._slopes(self.survey.frames["source"], len(self.survey.sources))

    @cached_property
    def slopes_of_kinds(self) -> list[Slope]:
        """The slope of each file and config_type."""
        codes, names = self.kinds
        return self._slopes(codes, len(names))

    def _slopes(self, codes: np.ndarray, count: int) -> list[Slope]:
        kinds, _ = self.kinds
        within = kinds[self.near["one"]] == kinds[self.near["two"]]
        of = np.where(within, codes[self.near["one"]], -1)
        return [slope_of(self.near[some(of == code, self.settings.slope_most)], self.settings) for code in range(count)]

    def scale(self, rows: np.ndarray) -> np.ndarray:
        """By how much the work has to be multiplied: the slope of the kind or file where it is another unit or sign."""
        codes, _ = self.kinds
        own = self._factors(self.slopes_of_kinds)[codes[rows]]
        whole = self._factors(self.slopes)[self.survey.frames["source"][rows]]
        return np.where(np.isnan(own), np.nan_to_num(whole, nan=1.0), own)

    def _factors(self, slopes: list[Slope]) -> np.ndarray:
        """Slope where it is another unit, 1 where it isn't, nan where nothing is known."""
        return np.array(
            [slope.value if np.isnan(slope.value) or is_other_unit(slope, self.settings) else 1.0 for slope in slopes]
        )


def some(chosen: np.ndarray, most: int) -> np.ndarray:
    """Places of what is chosen, (M,); of more than `most`, as many evenly spread ones."""
    places = np.flatnonzero(chosen)
    return places if len(places) <= most else places[np.linspace(0, len(places) - 1, most).astype(np.int64)]


def _keys(pairs: np.ndarray) -> np.ndarray:
    """A number for each pair of rows."""
    return pairs["one"].astype(np.int64) << 32 | pairs["two"]


def slope_of(pairs: np.ndarray, settings: Settings) -> Slope:
    """Regress energy on work and work on energy, by medians: errors of either pull one of them, wrong labels none.

        median of dE / w, weighted by |w|  <=  slope  <=  1 / median of w / dE, weighted by |dE|

    over the quarter of the pairs whose work is largest, compared with the bound of its error.
    """
    nothing = Slope(np.nan, np.nan, np.nan, np.nan, len(pairs), 0)
    pairs = pairs[np.isfinite(pairs["difference"]) & (pairs["work"] != 0) & (pairs["difference"] != 0)]
    if len(pairs) < settings.slope_pairs or len(np.unique([pairs["one"], pairs["two"]])) < settings.slope_frames:
        return nothing
    blur = pairs["bound"] / np.abs(pairs["work"])
    pairs = pairs[np.argsort(blur, kind="stable")[: max(settings.slope_pairs, len(pairs) // 4)]]
    ratio = pairs["difference"] / pairs["work"]
    low = weighted_median(ratio, capped(pairs["work"]))
    back = weighted_median(1 / ratio, capped(pairs["difference"]))
    if low * back <= 0 or max(low * back, 1 / (low * back)) > settings.slope_width:
        return nothing
    sharp = settings.bound * pairs["bound"] < settings.slope_sharp * np.abs(pairs["work"])
    right = np.abs(np.log(np.maximum(ratio[sharp], 1e-9))) < np.log(settings.slope_one)
    frames = len(np.unique([pairs["one"], pairs["two"]]))
    share = float(right.mean()) if len(right) else 0.0
    return Slope(float(np.sign(low) * np.sqrt(low / back)), low, 1 / back, share, len(pairs), frames)


def is_other_unit(slope: Slope, settings: Settings) -> bool:
    """Whether both regressions agree, 1 is outside of what they allow, and hardly any pair says 1.

    Where many labels of a series are wrong, most pairs are, but those of right frames still say 1.
    """
    if np.isnan(slope.value) or slope.right > settings.slope_right:
        return False
    low, high = sorted((abs(slope.low), abs(slope.high)))
    return slope.value < 0 or low > settings.slope_one or high < 1 / settings.slope_one


def capped(sizes: np.ndarray) -> np.ndarray:
    """Weights: a wrong label that is off by a hundred times as much doesn't count a hundred times as much."""
    sizes = np.abs(sizes)
    return np.minimum(sizes, 2 * np.median(sizes))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below which half of the weight lies."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])
