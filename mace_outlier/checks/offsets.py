"""Part of check `energies`: groups whose energies differ from those of near frames in another group by one amount."""

from typing import NamedTuple

import numpy as np

from .evidence import Evidence, some
from .finding import CERTAIN, LIKELY, Finding

FIX = "shift them by that, or use another head: it is another calculation"


class Offset(NamedTuple):
    """Energies of the second group minus those of the first, beyond the work between near frames."""

    each: float  # eV/atom
    frame: float  # eV
    bound: float  # eV/atom, of the error
    agree: float  # share of the pairs that say the same
    pairs: int


def offsets(evidence: Evidence) -> list[Finding]:
    """Compare all groups that have near frames in common."""
    codes, names = evidence.kinds
    sizes = np.bincount(codes, minlength=len(names))
    across = evidence.near[codes[evidence.near["one"]] != codes[evidence.near["two"]]]
    ends = np.sort(np.stack((codes[across["one"]], codes[across["two"]])), axis=0)
    found, s = [], evidence.settings
    usual = usual_error(evidence)
    which = ends[0] * len(names) + ends[1]
    for code in np.unique(which).tolist():
        a, b = divmod(code, len(names))
        large, small = (a, b) if sizes[a] >= sizes[b] else (b, a)
        pairs = across[which == code]
        if len(pairs) < s.group_pairs:
            continue
        offset = offset_of(evidence, pairs, np.where(codes[pairs["one"]] == large, 1.0, -1.0))
        tolerance = usual * offset.bound
        if abs(offset.each) <= tolerance + s.converged or offset.agree < s.many:
            continue
        clear = abs(offset.each) > 2 * tolerance + s.converged_clear and offset.pairs > s.group_pairs
        what = f"energies lie {1000 * offset.each:+.3g} meV/atom ({offset.frame:+.3g} eV a frame) from those of near "
        what += f"frames in {names[large]}, in {offset.pairs} pairs: a constant that no geometry explains"
        numbers = {"offset": offset.each, "unit": "eV/atom", "pairs": offset.pairs}
        certainty, rows = CERTAIN if clear else LIKELY, np.flatnonzero(codes == small)
        found.append(Finding("energies", certainty, what, FIX, rows, names[small], numbers))
    return found


def usual_error(evidence: Evidence) -> float:
    """Errors within groups, in units of their bound: hardly one in twenty is larger; the bound itself if pairs are few.

    Between groups the median of many such errors is taken: it is smaller than one of them.
    """
    codes, _ = evidence.kinds
    near = evidence.near
    same = (codes[near["one"]] == codes[near["two"]]) & (near["bound"] > 0)
    within = near[some(same, evidence.settings.slope_most)]
    if len(within) < evidence.settings.slope_pairs:
        return evidence.settings.bound
    scale = evidence.scale(within["one"])
    error = np.abs(within["difference"] - scale * within["work"]) / (np.abs(scale) * within["bound"])
    return float(min(np.quantile(error, 0.95), evidence.settings.bound))


def offset_of(evidence: Evidence, pairs: np.ndarray, sign: np.ndarray) -> Offset:
    """Take the median over the nearest quarter of the pairs, which say most."""
    s = evidence.settings
    nearest = np.argsort(pairs["bound"])[: max(s.group_pairs + 1, len(pairs) // 4)]
    pairs, sign = pairs[nearest], sign[nearest]
    atoms = evidence.survey.frames["atoms"][pairs["one"]]
    error = sign * (pairs["difference"] - evidence.scale(pairs["one"]) * pairs["work"])
    each = float(np.median(error / atoms))
    bound = pairs["bound"] / atoms
    agree = np.abs(error / atoms - each) < np.maximum(s.converged, bound)
    return Offset(each, float(np.median(error)), float(np.median(bound)), float(agree.mean()), len(pairs))
