"""Part of check `energies`: groups whose energies differ from those of near frames in another group by one amount."""

from typing import NamedTuple

import numpy as np

from .evidence import Evidence
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
    near = evidence.near
    one, two = codes[near["one"]], codes[near["two"]]
    found, s = [], evidence.settings
    both = np.sort(np.stack((one, two)), axis=0)[:, one != two]
    for a, b in np.unique(both, axis=1).T.tolist():
        large, small = (a, b) if sizes[a] >= sizes[b] else (b, a)
        pairs = np.flatnonzero(((one == a) & (two == b)) | ((one == b) & (two == a)))
        if len(pairs) < s.group_pairs:
            continue
        offset = offset_of(evidence, near[pairs], np.where(one[pairs] == large, 1.0, -1.0))
        if abs(offset.each) <= s.bound * offset.bound + s.converged or offset.agree < s.many:
            continue
        clear = abs(offset.each) > s.bound_clear * offset.bound + s.converged_clear and offset.pairs > s.group_pairs
        what = f"energies lie {1000 * offset.each:+.3g} meV/atom ({offset.frame:+.3g} eV a frame) from those of near "
        what += f"frames in {names[large]}, in {offset.pairs} pairs: a constant that no geometry explains"
        numbers = {"offset": offset.each, "unit": "eV/atom", "pairs": offset.pairs}
        certainty, rows = CERTAIN if clear else LIKELY, np.flatnonzero(codes == small)
        found.append(Finding("energies", certainty, what, FIX, rows, names[small], numbers))
    return found


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
