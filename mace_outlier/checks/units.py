"""Check `units`: sign and unit of the forces, or unit of the energies, of a whole file or config_type.

The slope of energy differences on work is 1 where energies are in eV and forces are -dE/dx in eV/A. Another unit makes
it the ratio of the two; forces that are the gradient make it negative.
"""

from collections.abc import Mapping

import numpy as np

from ..data.units import ENERGIES, FORCES, RARE
from .evidence import Evidence, Slope, is_other_unit
from .finding import CERTAIN, LIKELY, Finding
from .settings import Settings

UNUSUAL = 0.05  # of the logarithm, by which such a unit has to fit better
RATIO_NEAR = 0.08  # of the logarithm: hartree and kcal/mol are 0.17 apart


def check(evidence: Evidence) -> list[Finding]:
    """Find files, or else config_types, whose slope is not 1."""
    found, settings = [], evidence.settings
    codes, names = evidence.kinds
    whole = {number for number, slope in enumerate(evidence.slopes) if is_other_unit(slope, settings)}
    for number in sorted(whole):
        rows = np.arange(len(codes))[evidence.survey.of_source(number)]
        path = evidence.survey.sources[number].path
        found.append(finding(evidence.slopes[number], rows, path, settings))
    for code, slope in enumerate(evidence.slopes_of_kinds):
        rows = np.flatnonzero(codes == code)
        if is_other_unit(slope, settings) and int(evidence.survey.frames["source"][rows[0]]) not in whole:
            found.append(finding(slope, rows, names[code], settings))
    return found


def finding(slope: Slope, rows: np.ndarray, where: str, settings: Settings) -> Finding:
    """Say what a slope means."""
    causes = explanations(slope.value, settings.slope_near)
    sign = slope.value < 0
    parts = ["the forces have the wrong sign: they are the gradient"] if sign else []
    if abs(np.log(abs(slope.value))) > np.log(settings.slope_one):
        parts.append(" or ".join(causes) if causes else f"one of them is off by a factor of {abs(slope.value):.4g}")
    fix = "multiply the forces by -1" if sign and len(parts) == 1 else "convert energies to eV and forces to eV/A"
    fix += " (forces are -dE/dx)" if sign and len(parts) > 1 else ""
    what = (
        f"energies change by {slope.value:.3g} times the work of the forces, over {slope.pairs} pairs of near frames: "
        + ", and ".join(parts)
    )
    numbers = {"slope": slope.value, "pairs": slope.pairs, "causes": causes, "sign": -1 if sign else 1}
    return Finding("units", CERTAIN if causes or sign else LIKELY, what, fix, rows, where, numbers)


def explanations(value: float, near: float) -> list[str]:
    """Name the units that make such a slope, the likeliest first."""
    slopes = {f"the forces are in {unit}": size for unit, size in FORCES.items()}
    slopes |= {f"the energies are in {unit}": 1 / size for unit, size in ENERGIES.items()}
    slopes |= {
        f"energies in {e}, forces in {f}": FORCES[f] / ENERGIES[e]
        for e, f in (("hartree", "kcal/mol/A"), ("kcal/mol", "hartree/bohr"))
    }
    return nearest(value, slopes, near, UNUSUAL)


def nearest(value: float, sizes: Mapping[str, float], near: float, unusual: float = 0.0) -> list[str]:
    """Name what is of this size, either sign, within the factor `near`, the nearest first; rare units later."""
    away = {name: abs(np.log(abs(value) / size)) for name, size in sizes.items()}
    likely = [name for name in away if away[name] < np.log(near)]
    return sorted(likely, key=lambda name: away[name] + (unusual if name.endswith(RARE) else 0.0))


def unit_of_ratio(ratio: float) -> str:
    """Say in which unit energies are that are so many times what others are; "" where it is none."""
    into = {f"they are in {unit}, the others in eV": 1 / size for unit, size in ENERGIES.items()}
    out = {f"they are in eV, the others in {unit}": size for unit, size in ENERGIES.items()}
    if not ratio > 0:
        return ""
    away = {text: abs(np.log(ratio / factor)) for text, factor in (into | out).items()}
    best = min(away, key=lambda text: away[text])
    return best if away[best] < RATIO_NEAR else ""
