"""Right and wrong labels of all properties; how likely it is that a label is right. Numpy only."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .logarithmic import Logarithmic
from .seen import ENERGY, Array
from .settings import Settings
from .signed import Signed

TOGETHER = 2**15  # configurations that are worked on together
CERTAIN = 100.0  # log odds, above which nothing becomes more certain

Class = tuple[int, ...]  # for each property, 1: wrong


@dataclass
class Populations:
    """Right and wrong labels of P properties: 2^P classes, of which those in `shares` are believed in."""

    by_name: dict[str, Signed | Logarithmic]  # P
    shares: dict[Class, float]  # of each class
    settings: Settings

    @property
    def can_be_wrong(self) -> list[bool]:
        """Whether any class has wrong labels of a property (P)."""
        return [any(one[k] for one in self.shares) for k in range(len(self.by_name))]

    @property
    def are_apart(self) -> bool:
        """Whether all wrong populations are further off than harder right labels could be."""
        return all(own.is_apart for own, able in zip(self.by_name.values(), self.can_be_wrong, strict=True) if able)

    def posterior(self, values: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Probability (N,) that all labels of a configuration are right, and that each property's is.

        By a ratio of densities for each property that never falls with its error (for energies, at forces as expected),
        and shares that never make a property right because another is wrong: so that no weight rises with an error.
        Where no wrong labels are believed in, all but likely gross errors get exactly 1: a loss as in stock MACE.
        """
        parts = [self._posterior(part) for part in _in_parts(values)]
        weight = np.concatenate([of_all for of_all, _ in parts])
        return weight, {name: np.concatenate([own[name] for _, own in parts]) for name in self.by_name}

    def _posterior(self, values: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """The same of few."""
        known, some_wrong = [np.isfinite(values[name]) for name in self.by_name], any(self.can_be_wrong)
        odds, gross = [], []
        for (name, own), able, has in zip(self.by_name.items(), self.can_be_wrong, known, strict=True):
            there = np.where(has, values[name], 0.0)
            wrong, any_size = (
                np.exp(own.log_odds(there, of_wrong=which).clip(None, CERTAIN)) for which in (True, False)
            )
            odds.append(np.where(has & able, wrong, 1.0))
            far_off = self.settings.gross * any_size
            gross.append(np.where(has & (some_wrong | (far_off > 1.0)), far_off, 0.0))
        total, right, *wrong_of = np.zeros((2 + len(known), len(known[0])))  # right: no label that is there is wrong
        for one, share in self.shares.items():
            are_wrong = [k for k, bit in enumerate(one) if bit]
            term = share * math.prod(odds[k] for k in are_wrong)
            total += term
            right += term * math.prod(~known[k] for k in are_wrong)
            for k in are_wrong:
                wrong_of[k] += term
        by_property = {
            name: np.where(has, (1 - wrong / total).clip(0.0, 1.0) / (1 + far_off), 1.0)
            for name, has, wrong, far_off in zip(self.by_name, known, wrong_of, gross, strict=True)
        }
        return (right / total).clip(0.0, 1.0) / (1 + sum(gross)), by_property

    # --- state -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Builtins only."""
        parameters = {name: asdict(own) for name, own in self.by_name.items()}
        return {"parameters": parameters, "shares": [[list(one), share] for one, share in self.shares.items()]}

    @classmethod
    def from_dict(cls, state: dict[str, Any], settings: Settings) -> "Populations":
        """Populations that were fitted before."""
        by_name = {name: kind_of(name)(**own) for name, own in state["parameters"].items()}
        return cls(by_name, {tuple(one): share for one, share in state["shares"]}, settings)


def _in_parts(values: dict[str, Array]) -> Iterator[dict[str, Array]]:
    """Columns (N,) in parts that stay in a processor's memory while they are worked on."""
    number = len(next(iter(values.values())))
    for first in range(0, max(number, 1), TOGETHER):
        yield {name: own[first : first + TOGETHER] for name, own in values.items()}


def kind_of(name: str) -> type[Signed | Logarithmic]:
    """The densities of a property: energies have a sign, of the others, the size of the error is known."""
    return Signed if name == ENERGY else Logarithmic
