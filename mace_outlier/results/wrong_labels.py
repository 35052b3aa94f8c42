"""How the labels of a head were judged, as a run says it, see LossDistribution.describe. No torch."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..method.settings import Settings

NEEDED = Settings().gain  # evidence from which wrong labels are believed in
MOST = Settings().most  # share of a head beyond which nobody can say which are the wrong ones
ONE_SIDE, ALIKE = 0.9, 0.65  # share of wrong energies on the larger side: from here nearly all; up to here as many
TOO_CLOSE = "errors of two sizes, too close to tell wrong labels from hard geometries"  # see Decision.apart
PLURALS = {"energy": "energies", "forces": "forces", "stress": "stresses", "virials": "virials", "loss": "losses"}


class WrongProperty(NamedTuple):
    """Right and wrong labels of one property, by their errors as far as the geometry doesn't explain them.

    Energies: sizes of errors, eV/atom. Others: the logarithm of the error over the expected one.
    """

    name: str  # a key of PLURALS
    share: float  # of wrong labels; 0: none are believed in
    right: float  # width of right labels
    wrong: float  # typical size of wrong ones, smaller than their offset; others than energies: the factor itself
    too_low: float = math.nan  # energies: share of the wrong ones whose label is too low

    @property
    def labels(self) -> str:
        """Labels of this property, in the plural."""
        return PLURALS[self.name]

    @property
    def side(self) -> str:
        """Energies: to which side wrong labels are off; "" for others."""
        if math.isnan(self.too_low):
            return ""
        larger, where = max((self.too_low, "too low"), (1 - self.too_low, "too high"))
        if larger <= ALIKE:
            return "too high and too low alike"
        return where if larger >= ONE_SIDE else f"mostly {where}"

    @property
    def size(self) -> str:
        """How far wrong labels are off."""
        if self.name == "energy":
            return f"{in_milli(self.wrong)} meV/atom more than geometry explains"
        return f"{self.wrong:,.{int(self.wrong < 10)}f} x what is expected"

    @property
    def off(self) -> str:
        """How far wrong labels are off, and to which side."""
        return f"off by some {self.size}" + (f", {self.side}" if self.side else "")


class WrongLabels(NamedTuple):
    """What is believed of the labels of a head; who lost weight for it, the weights say: see `judgement`."""

    gain: float  # evidence for wrong labels over none, in units of the BIC
    undecided: float  # share that looks wrong and was not acted on; 0: none
    properties: tuple[WrongProperty, ...]

    @property
    def believed(self) -> list[WrongProperty]:
        """Properties with wrong labels; []: none, or gross errors only."""
        return [wrong for wrong in self.properties if wrong.share > 0]

    @property
    def too_many(self) -> bool:
        """Whether so many look wrong that nobody can say which are the wrong ones."""
        return self.undecided > MOST

    @property
    def too_close(self) -> bool:
        """Whether nothing is believed although the evidence would do."""
        return not self.believed and not self.undecided and self.gain > NEEDED

    @property
    def evidence(self) -> str:
        """Why nothing is believed; evidence is never rounded up to what is needed."""
        return TOO_CLOSE if self.too_close else f"evidence {math.floor(self.gain)} of the {NEEDED:g} that are needed"


def read_wrong_labels(entry: Mapping[str, Any]) -> WrongLabels | None:
    """Return what an entry of LossDistribution.describe says; None where it says nothing of the kind."""
    properties = entry.get("properties")
    if not isinstance(properties, Mapping):
        return None
    found = [_read_property(name, properties[name]) for name in PLURALS if isinstance(properties.get(name), Mapping)]
    values = {name: number(entry.get(name)) for name in WrongLabels._fields if name != "properties"}
    if None in found or not 0 <= values["undecided"] <= 1 or not math.isfinite(values["gain"]):
        return None
    return WrongLabels(**values, properties=tuple(found))  # type: ignore[arg-type]


def _read_property(name: str, entry: Mapping[str, Any]) -> WrongProperty | None:
    """One property; None where a number makes no sense."""
    read = WrongProperty(name, *(number(entry.get(field)) for field in WrongProperty._fields[1:]))
    needed = (read.share, read.right, read.wrong, read.too_low if name == "energy" else 0.0)
    return read if all(0 <= value < math.inf for value in needed) else None


def number(value: object) -> float:
    """Return what a description may hold where a number is meant ("inf", null, nothing) as a float; NaN: no number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def in_milli(value: float, sign: str = "") -> str:
    """Return eV as meV: whole numbers, or two digits that say something."""
    size = abs(1000 * value)
    digits = 1 - int(np.floor(np.log10(size))) if size > 0 else 0
    return f"{1000 * value:{sign}.{min(max(digits, 0), 6)}f}"


def in_percent(share: float) -> str:
    """Return a share as a percentage, a small one with one digit that says something."""
    return f"{100 * share:.1f} %" if share >= 0.001 or not share else f"{100 * share:.1g} %"
