"""What the log says of a head's loss distribution, at the end of every epoch."""

import logging
from typing import Any

import numpy as np

from .described import POPULATIONS, Described, apart, described
from .populations import SIMILAR


def populations(distribution: dict[str, Any]) -> str:
    """What a head's loss distribution says, for the log; where its fit was refused, the one that stays, and why."""
    if "refused" in distribution:
        before = {name: value for name, value in distribution.items() if name != "refused"}
        return f"fit refused ({distribution['refused']}), that of before stays: {populations(before)}"
    if distribution["kind"] != "mixture":
        return f"mu={distribution['location']:.4e}, sigma={distribution['scale']:.4e}"
    fit = described(distribution)
    undecided = f"or two ({100 * fit.open:.0f} % in one), but which is wrong?" if fit.open else ""
    if not fit.share:
        return f"one population of losses, mode={np.exp(fit.mode):.4e}" + (f", {undecided}" if undecided else "")
    differences = "; ".join(map(_differences, fit.fits))
    rest = f"; the others are one population, {undecided}" if undecided else ""
    return f"{POPULATIONS[len(fit.fits)]}, {100 * fit.wrong:.2f} % wrong: {differences}{rest}"


def _differences(fit: Described) -> str:
    """What tells the wrong labels of a fit from the others."""
    by, differences = apart(fit), []
    if by.losses:
        differences.append(f"losses around {np.exp(fit.high_mean):.1e} instead of {np.exp(fit.mode):.1e}")
    if by.energies:
        differences.append(f"energies off by {in_milli(-fit.high_error, '+')} meV/atom")  # label - prediction
    if by.scatter:
        differences.append(f"energies off by +-{in_milli(fit.high_error_scale)} meV/atom")
    return ", ".join(differences)


def in_milli(value: float, sign: str = "") -> str:
    """Return eV as meV: whole numbers, or two digits that say something."""
    size = abs(1000 * value)
    digits = 1 - int(np.floor(np.log10(size))) if size > 0 else 0
    return f"{1000 * value:{sign}.{min(max(digits, 0), 6)}f}"


def warn_of_refused_fit(distribution: dict[str, Any]) -> None:
    """Say that the last fit of a run was refused, so that its weights are older ones."""
    if "refused" in distribution:
        logging.warning(
            f"head {distribution['head']}: the last fit was refused ({distribution['refused']}): "
            "the weights are those of before"
        )


def warn_of_similar_populations(distribution: dict[str, Any]) -> None:
    """Say that a fit can't tell which of two populations is the wrong one, where they are of similar size."""
    if distribution["kind"] != "mixture":
        return
    fit, head = described(distribution), distribution["head"]
    if fit.open:
        among = ", among those not found wrong," if fit.share else ""
        logging.warning(
            f"head {head}: two populations{among} of similar size ({100 * fit.open:.0f} % in one) and no "
            "way to tell which is wrong: NO configuration was down-weighted for it. Look at examples of both"
        )
    for similar in (one for one in fit.fits if one.share > SIMILAR):
        right = "one with the lower losses" if apart(similar).losses else "larger one"
        logging.warning(
            f"head {head}: two populations of similar size ({100 * similar.share:.0f} % in the one taken for "
            f"wrong). The {right} is taken for right, but a fit can't tell: look at examples of both"
        )
