"""Check `energies`: what no composition explains, groups in another unit or of another reference, spin and charge."""

from collections import Counter

import numpy as np

from .evidence import Evidence
from .expected import Expected, expected
from .finding import CERTAIN, LIKELY, LOOK, Finding
from .groups import all_electron, groups
from .offsets import offsets
from .spins import spins
from .units import RATIO_NEAR, unit_of_ratio

FIX = "recompute them, or leave them out"
NO_BOND = "below what their composition has: no bond is worth that"


def check(evidence: Evidence) -> list[Finding]:
    """Find energies that can't be right, and groups that don't go together."""
    known = expected(evidence.survey, evidence.settings.fewest)
    taken = np.zeros(len(evidence.survey.frames), dtype=bool)  # frames that have been explained
    found = groups(evidence, known, taken)
    found += _units(evidence, known, taken)
    found += _gross(evidence, known, taken)
    return found + offsets(evidence) + all_electron(evidence) + spins(evidence)


def _usual(evidence: Evidence, known: Expected, sigmas: float) -> np.ndarray:
    """How far energies (eV/atom) of such a composition may lie from their middle, (N,)."""
    return np.maximum(sigmas * known.spread, evidence.settings.least_spread)


def _units(evidence: Evidence, known: Expected, taken: np.ndarray) -> list[Finding]:
    """Single energies whose ratio to those of their composition is that of two units."""
    survey, found = evidence.survey, []
    usual = _usual(evidence, known, evidence.settings.sigmas_unit)
    off = np.flatnonzero((np.abs(known.residual) > usual) & ~taken)
    ratios = survey.frames["energy"][off] / known.energy[off]
    units = _agreed(ratios)
    sources = survey.frames["source"][off]
    for source, unit in sorted({(int(s), u) for s, u in zip(sources, units.tolist(), strict=True) if u}):
        own = (sources == source) & (units == unit)
        rows, ratio = off[own], float(np.median(ratios[own]))
        taken[rows] = True
        what = (
            f"{len(rows)} energ{'ies are' if len(rows) > 1 else 'y is'} {ratio:.4g} times that of such a composition: "
        )
        path, numbers = survey.sources[source].path, {"ratio": ratio, "unit": unit}
        found.append(Finding("energies", CERTAIN, what + unit, "convert them to eV", rows, path, numbers))
    return found


def _agreed(ratios: np.ndarray) -> np.ndarray:
    """Name the units of ratios, (N,) of texts; those of a few that lie near one that more have are that one."""
    units = np.array([unit_of_ratio(ratio) for ratio in ratios.tolist()], dtype=object)
    logs, settled = np.log(np.maximum(ratios, 1e-12)), units == ""
    for name, _ in Counter(units[~settled].tolist()).most_common():
        own = (units == name) & ~settled
        if own.any():
            near = (np.abs(logs - np.median(logs[own])) < 2 * RATIO_NEAR) & ~settled
            units[near], settled = name, settled | near
    return units


def _gross(evidence: Evidence, known: Expected, taken: np.ndarray) -> list[Finding]:
    """Single energies far below all of their kind, which no bond explains, or far above without short distances.

    What is above may be right: a restricted calculation of separated atoms lies some 10 eV too high.
    """
    frames, s = evidence.survey.frames, evidence.settings
    usual, residual = _usual(evidence, known, s.sigmas), known.residual
    deep = np.maximum(s.gross, usual)
    certain = ~taken & (residual < -deep)
    below = ~taken & ~certain & (residual < -np.maximum(s.below, usual))
    above = ~taken & (residual > deep) & ~(frames["ratio"] < s.short) & (frames["atoms"] > 1)
    words = (
        (certain, CERTAIN, NO_BOND),
        (below, LIKELY, NO_BOND),
        (above, LOOK, "above what their composition has, without short distances"),
    )
    found = []
    for chosen, certainty, why in words:
        for rows, path in evidence.survey.by_source(chosen):
            worst = float(np.abs(residual[rows]).max())
            what = f"{len(rows)} energ{'ies lie' if len(rows) > 1 else 'y lies'} up to {worst:.3g} eV/atom {why}"
            numbers = {"largest": worst, "unit": "eV/atom"}
            found.append(Finding("energies", certainty, what, FIX, rows, path, numbers))
    return found
