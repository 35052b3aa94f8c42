"""Part of check `energies`: files and config_types in another unit, or of another reference."""

import numpy as np

from .by_elements import ByElements
from .evidence import Evidence
from .expected import Expected, free_atoms, medians
from .finding import CERTAIN, LIKELY, Finding
from .units import unit_of_ratio

REFERENCE = "use E0s of their own (a head), or shift them by the difference of the isolated atoms"


def groups(evidence: Evidence, known: Expected, taken: np.ndarray) -> list[Finding]:
    """Find groups that lie as a whole outside of what the others have; their frames are then `taken`."""
    frames, s = evidence.survey.frames, evidence.settings
    codes, names = evidence.kinds
    finite = np.isfinite(frames["energy"]) & (frames["atoms"] > 1)
    found, by_elements = [], ByElements(evidence.survey, finite, len(names))
    for code in range(len(names)) if len(names) > 1 else []:
        own, others = finite & (codes == code), finite & (codes != code)
        if own.sum() < s.fewest or own.sum() > others.sum():
            continue
        predicted = from_others(evidence, own, others, by_elements)
        each = frames["energy"][own] / frames["atoms"][own]
        use = np.isfinite(predicted)
        if use.sum() < s.many * own.sum():
            continue
        low, middle, high = np.quantile((each - predicted)[use], (0.1, 0.5, 0.9)).tolist()
        least = max(s.reference, s.sigmas * float(np.nan_to_num(np.nanmedian(known.spread[others]))))
        if low > least or high < -least:  # a compressed crystal has high energies too, but not only such
            taken |= codes == code
            ratio = float(np.median((each / predicted)[use]))
            found.append(_finding(middle, ratio, np.flatnonzero(codes == code), names[code], s.gross))
    return found


def _finding(offset: float, ratio: float, rows: np.ndarray, where: str, gross: float) -> Finding:
    unit = unit_of_ratio(ratio)
    what = f"energies lie {offset:+.3g} eV/atom from what other groups have for such compositions"
    what += f", a factor of {ratio:.4g}: {unit}" if unit else ": another reference, or another code"
    certainty = CERTAIN if unit or abs(offset) > gross else LIKELY
    numbers = {"offset": offset, "ratio": ratio, "unit": "eV/atom"}
    return Finding("energies", certainty, what, "convert them to eV" if unit else REFERENCE, rows, where, numbers)


def from_others(evidence: Evidence, own: np.ndarray, others: np.ndarray, by_elements: ByElements) -> np.ndarray:
    """Energy for each atom of a group's rows, by the median of the formula in other groups, or by its elements.

    Args:
        evidence: of all frames.
        own: which frames are of the group, (N,) boolean.
        others: which frames it is compared with, (N,) boolean.
        by_elements: of the frames of both.
    """
    survey = evidence.survey
    frames, formula = survey.frames, survey.frames["formula"][own]
    alike = np.zeros(len(survey.formulas), dtype=bool)
    alike[formula] = True
    other = np.flatnonzero(others & alike[frames["formula"]])
    each = frames["energy"][other] / frames["atoms"][other]
    middle, _, enough = medians(each, frames["formula"][other], len(survey.formulas), evidence.settings.fewest)
    if not enough[formula].all():
        middle = np.where(enough, middle, by_elements.without(own, alike & ~enough))
    return np.asarray(middle[formula])


def all_electron(evidence: Evidence) -> list[Finding]:
    """Find files whose energies are, as numbers, the all-electron energies of their atoms in hartree."""
    survey, found = evidence.survey, []
    totals = free_atoms(survey)
    for number, source in enumerate(survey.sources):
        own = survey.of_source(number)
        frames = survey.frames[own]
        each = frames["energy"] / totals[frames["formula"]]
        each = each[np.isfinite(each) & (frames["atoms"] > 1)]
        ratio = float(np.median(each)) if len(each) else np.nan
        if abs(ratio - 1) < evidence.settings.all_electron:
            what = f"energies are {ratio:.3f} times those of the atoms with all electrons in hartree: that is the unit"
            fix = "convert them to eV: multiply by 27.2114"
            rows = np.arange(own.start, own.stop)
            found.append(Finding("energies", LIKELY, what, fix, rows, source.path, {"ratio": ratio}))
    return found
