"""Check `stress`: sign, unit and order of components of the stress of a file or config_type with strained cells.

The slope of energy differences on the work of the stress is 1 where both are right (`strain`). Another unit or sign
makes it another number; with components in another order, the energies are no multiple of the work.
"""

import itertools
from typing import NamedTuple

import numpy as np

from ..data.units import ENERGIES, STRESSES
from .evidence import Evidence, capped, weighted_median
from .finding import CERTAIN, LIKELY, Finding
from .frame import Flag
from .settings import Settings
from .strain import Strained, strained_pairs, work
from .units import nearest

NAMES = ("yz", "xz", "xy")
AS_READ = (0, 1, 2)
ORDERS = list(itertools.permutations(AS_READ))  # the first is that of ASE and MACE


class Fit(NamedTuple):
    """How well the stress explains the energies of strained cells, in one order of its components."""

    order: tuple[int, ...]
    slope: float
    left: float  # share of the energy differences that isn't explained


def check(evidence: Evidence) -> list[Finding]:
    """Find config_types whose stress is not the slope of the energy."""
    survey, settings = evidence.survey, evidence.settings
    codes, names = evidence.kinds
    rows = np.array([survey.first_row[item.source] + item.frame for item in survey.sample], dtype=np.int64)
    pairs = strained_pairs(survey.sample, codes[rows], settings)
    if not len(pairs.one):
        return []
    scale = evidence.scale(rows[pairs.one])  # of the work of the forces; where it isn't 1, that may be the energies'
    pairs = pairs._replace(difference=pairs.difference - scale * pairs.forces)
    of, found = codes[rows[pairs.one]], []
    for code in np.unique(of):
        own = of == code
        of_kind = Strained(*(column[own] for column in pairs))
        fit = best_fit(of_kind, settings)
        if fit is not None and not any(_is(fit, slope, settings) for slope in (1.0, scale[own][0])):
            having = np.flatnonzero((codes == code) & ~survey.has(Flag.NO_STRESS | Flag.BAD_STRESS))
            of_file = survey.of_source(int(survey.frames["source"][having[0]]))
            others = bool((codes[of_file] != code).any())
            found.append(_finding(fit, of_kind, having, names[code], others, settings))
    return found


def best_fit(pairs: Strained, settings: Settings) -> Fit | None:
    """The order of components that explains the energies best, as they are read unless another is far better."""
    frames = len(np.unique([pairs.one, pairs.two]))
    if len(pairs.one) < settings.slope_pairs or frames < settings.slope_frames:
        return None
    fits = [_fit(pairs, order) for order in ORDERS]
    best = min(fits, key=lambda fit: fit.left)
    best = fits[0] if fits[0].left < settings.strain_better * best.left else best
    return best if best.left < settings.strain_left else None


def _fit(pairs: Strained, order: tuple[int, ...]) -> Fit:
    """The slope, by medians, and what it leaves; energies that are far off don't count for more than others."""
    of_stress, difference = work(pairs, order), pairs.difference
    use = (of_stress != 0) & (difference != 0)
    if not use.any():
        return Fit(order, np.nan, np.inf)
    slope = weighted_median(difference[use] / of_stress[use], capped(of_stress[use]))
    sizes = capped(difference)
    left = np.minimum(np.abs(difference - slope * of_stress), sizes)
    return Fit(order, slope, float(left.sum() / sizes.sum()))


def _is(fit: Fit, slope: float, settings: Settings) -> bool:
    """Whether the components are in order, and the slope is near this one."""
    ratio = fit.slope / slope
    return fit.order == AS_READ and ratio > 0 and abs(np.log(ratio)) < np.log(settings.slope_one)


def _finding(fit: Fit, pairs: Strained, rows: np.ndarray, where: str, others: bool, settings: Settings) -> Finding:
    """Say what the fit means; `others`: the file has frames of other config_types."""
    causes = explanations(fit.slope, float(np.median(pairs.volume)), settings.slope_near)
    parts, fixes = [], []
    if fit.slope < 0:
        parts.append("the stress has the wrong sign")
        fixes.append("multiply it by -1 (it is positive where a cell is pulled)")
    if abs(np.log(abs(fit.slope))) > np.log(settings.slope_one):
        parts.append(" or ".join(causes) if causes else f"it is off by a factor of {abs(1 / fit.slope):.4g}")
        fixes.append("convert energies to eV and stress to eV/A^3")
    what = f"over {len(pairs.one)} pairs of strained cells, energies change by {fit.slope:.3g} times the work of the "
    what += "stress"
    if fit.order != AS_READ:
        order = ", ".join(NAMES[fit.order.index(place)] for place in AS_READ)
        what += f" if its last three components are {order}, where ASE and MACE read {', '.join(NAMES)}"
        fixes.insert(0, "put the components in the order xx, yy, zz, yz, xz, xy")
    what += ": " + ", and ".join(parts) if parts else ""
    fix = " and ".join(fixes) + ("; frames without strained cells may have the same fault" if others else "")
    numbers = {"slope": fit.slope, "pairs": len(pairs.one), "causes": causes, "order": list(fit.order)}
    certainty = CERTAIN if causes or fit.order != AS_READ or fit.slope < 0 else LIKELY
    return Finding("stress", certainty, what, fix, rows, where, numbers)


def explanations(slope: float, volume: float, near: float) -> list[str]:
    """Name the units that make such a slope, the likeliest first."""
    sizes = {f"it is in {unit}": size for unit, size in STRESSES.items()} | {"these are virials, in eV": 1 / volume}
    sizes |= {f"the energies are in {unit}": 1 / size for unit, size in ENERGIES.items()}
    return nearest(slope, sizes, near)
