"""One likelihood of all properties of a configuration, right or wrong each; its fit, and the posterior. Numpy only."""

import math
from typing import Any, NamedTuple

import numpy as np

from .right_wrong import Logarithmic, Signed
from .seen import ENERGY, FORCES, Array
from .settings import Settings
from .tails import TAILS

EACH, ENOUGH = 4, 3e-4  # steps after which progress is looked at, and the least for each configuration that goes on
FEW = 5000  # configurations that are taken one by one; more are binned
BIN = 0.08  # of asinh of values in their widths
CERTAIN = 100.0  # log odds, above which nothing becomes more certain
FEWEST = 10.0  # configurations that a form costs at least: fewer are single gross errors, which need no population

MOST_GROSS = 0.1  # share of errors of any size that need no population of their own

Class = tuple[int, ...]  # for each property, 1: wrong


class Cells(NamedTuple):
    """Configurations one by one, or, of many, those that occur on a grid."""

    values: dict[str, Array]  # (K,) by property, what is not explained; NaN: no label
    counts: Array  # (K,) configurations that each stands for


class Populations:
    """Right and wrong labels of P properties: 2^P classes, of which those in `classes` are believed in.

        p(x) = sum_c share_c prod_k p_k(x_k | c_k) + gross prod_k q_k(x_k)

    c_k = 0: right, 1: wrong; q: errors of any size, so that a few gross ones make no population. Their share is fitted,
    at most MOST_GROSS; the posterior takes the one of the settings. A property without a label has density 1.
    """

    def __init__(self, cells: Cells, classes: list[Class], settings: Settings) -> None:
        self.names, self.classes, self.settings, self.counts = list(cells.values), classes, settings, cells.counts
        self.number = float(cells.counts.sum())
        kinds = {
            name: (Signed, settings.energy_apart) if name == ENERGY else (Logarithmic, settings.error_apart)
            for name in self.names
        }
        self.by_name: dict[str, Any] = {
            n: kind(cells.values[n], cells.counts, apart) for n, (kind, apart) in kinds.items()
        }
        self.can_be_wrong = [any(one[k] for one in classes) for k in range(len(self.names))]
        self.shares = dict.fromkeys(classes, 1.0 / len(classes))
        self.gross, self._gross = settings.gross, 0.0  # share and number of errors of any size
        self.joint = 0.5 / len(classes)  # share of those that are wrong in all properties at once
        self.log_likelihood = -math.inf
        self.probabilities = np.zeros((len(classes), len(cells.counts)))  # of the classes

    # --- the fit -----------------------------------------------------------------------------------------------------

    def start(self, energies: float, others: float, together: bool) -> "Populations":
        """Start with what lies so many widths off as wrong; `together`: where all properties do."""
        far = []
        for own in self.by_name.values():
            widths = energies if isinstance(own, Signed) else others
            far.append(own.known & (own.widths_from_right(own.values) > widths))
        if together:
            every = [own | ~population.known for own, population in zip(far, self.by_name.values(), strict=True)]
            far = [np.logical_and.reduce(every)] * len(far)
        bits = np.stack([own & able for own, able in zip(far, self.can_be_wrong, strict=True)])
        close = np.stack([(bits == np.array(one)[:, None]).sum(axis=0) for one in self.classes])
        self.probabilities = (close == close.max(axis=0)) / (close == close.max(axis=0)).sum(axis=0)
        for own in self.by_name.values():
            own.log_right(), own.log_wrong()
        return self

    def climb(self, steps: int) -> "Populations":
        """Maximise the likelihood by at most so many steps of expectation maximisation."""
        last = -math.inf
        for step in range(1, steps + 1):
            self._maximise()
            self._expect()
            if step % EACH == 0:
                if self.log_likelihood - last < ENOUGH * self.number:
                    break
                last = self.log_likelihood
        return self

    def _maximise(self) -> None:
        self.gross = min(max(self._gross / max(self.number, 1.0), self.settings.gross), MOST_GROSS)
        self._share(dict(zip(self.classes, (self.probabilities @ self.counts).tolist(), strict=True)))
        for k, own in enumerate(self.by_name.values()):
            right = sum(q for q, one in zip(self.probabilities, self.classes, strict=True) if not one[k])
            own.update(right, 1.0 - right if self.can_be_wrong[k] else None)

    def _share(self, totals: dict[Class, float]) -> None:
        """Shares by the configurations in each class.

        Where any property may be wrong, they are so independently, or all at once: then no weight rises with any error.

            share_c = joint [c = all wrong] + (1 - joint) prod_k (m_k if c_k else 1 - m_k)
        """
        number = sum(totals.values())
        if len(self.classes) < 4:
            self.shares = {one: (own + 0.5) / (number + 0.5 * len(totals)) for one, own in totals.items()}
            return
        every = self.classes[-1]
        at_once = totals[every] * self.joint / self.shares[every]
        self.joint = (at_once + 0.5) / (number + 1.0)
        wrong = [sum(own for one, own in totals.items() if one[k]) - at_once for k in range(len(self.names))]
        margins = [(own + 0.5) / (number - at_once + 1.0) for own in wrong]
        for one in self.classes:
            by_chance = math.prod(m if bit else 1 - m for m, bit in zip(margins, one, strict=True))
            self.shares[one] = self.joint * (one == every) + (1 - self.joint) * by_chance

    def _expect(self) -> None:
        """Probabilities of the classes (classes, K), and the log-likelihood."""
        if ENERGY in self.by_name and FORCES in self.by_name:
            self.by_name[ENERGY].hardness = self.by_name[FORCES].hardness
        properties = zip(self.by_name.values(), self.can_be_wrong, strict=True)
        logs = [(right := own.log_right(), own.log_wrong() if able else right) for own, able in properties]
        table = [math.log(self.shares[one]) + sum(logs[k][bit] for k, bit in enumerate(one)) for one in self.classes]
        table.append(math.log(self.gross) + sum(own.log_gross() for own in self.by_name.values()))
        top = np.max(table, axis=0)
        density = np.exp(np.stack(table) - top)
        total = density.sum(axis=0)
        self.probabilities = density[:-1] / total
        self._gross = float((density[-1] / total * self.counts).sum())
        self.log_likelihood = float((self.counts * (top + np.log(total))).sum())

    @property
    def are_apart(self) -> bool:
        """Whether all wrong populations are further off than harder right labels could be."""
        return all(own.is_apart for own, able in zip(self.by_name.values(), self.can_be_wrong, strict=True) if able)

    def criterion(self) -> float:
        """Coarsened BIC: 2 c log L + 2 log prior - k log n, where c = min(1, coarsened / N).

        n: configurations that tell of a parameter: all of a share, of the form of a wrong population those in it. The
        prior is that of the tails of right labels, whose other parameters are the same for all classes and left out.
        """
        number = min(self.number, float(self.settings.coarsened))
        prior = sum(TAILS[own.tail].log_prior for own in self.by_name.values())
        cost = -2 * prior + (len(self.classes) - 1) * math.log(max(number, 2.0))
        for k, own in enumerate(self.by_name.values()):
            if self.can_be_wrong[k]:
                inside = number * sum(share for one, share in self.shares.items() if one[k])
                cost += own.PARAMETERS * math.log(max(inside, FEWEST))
        if any(sum(one) > 1 for one in self.classes):
            cost += self.settings.together
        return 2 * self.log_likelihood * number / max(self.number, 1.0) - cost

    # --- what follows from it ----------------------------------------------------------------------------------------

    def posterior(self, values: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Probability (N,) that all labels of a configuration are right, and that each property's is.

        By a ratio of densities for each property that never falls with its error (for energies, at forces as expected),
        and shares that never make a property right because another is wrong: so that no weight rises with an error.
        """
        known = [np.isfinite(values[name]) for name in self.names]
        odds, gross = [], []
        for own, able, has, name in zip(self.by_name.values(), self.can_be_wrong, known, self.names, strict=True):
            there = np.where(has, values[name], 0.0)
            odds.append(np.where(has & able, np.exp(own.log_odds(there, of_wrong=True).clip(None, CERTAIN)), 1.0))
            gross.append(
                np.where(
                    has, self.settings.gross * np.exp(own.log_odds(there, of_wrong=False).clip(None, CERTAIN)), 0.0
                )
            )
        shares = list(self.shares.items())
        terms = {one: share * np.prod([odds[k] ** bit for k, bit in enumerate(one)], axis=0) for one, share in shares}
        total, right, by_property = np.sum(list(terms.values()), axis=0), np.zeros(len(known[0])), {}
        for k, name in enumerate(self.names):
            wrong = np.sum([term * one[k] for one, term in terms.items()], axis=0)
            by_property[name] = np.where(known[k], (1 - wrong / total).clip(0.0, 1.0) / (1 + gross[k]), 1.0)
        for one, term in terms.items():  # a label that isn't there can't be wrong
            right += term * np.prod([np.where(known[k], 1 - bit, 1.0) for k, bit in enumerate(one)], axis=0)
        return (right / total).clip(0.0, 1.0) / (1 + np.sum(gross, axis=0)), by_property

    # --- state -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What the posterior depends on: builtins only."""
        parameters = {name: own.parameters() for name, own in self.by_name.items()}
        return {"parameters": parameters, "shares": [[list(one), share] for one, share in self.shares.items()]}

    @classmethod
    def from_dict(cls, state: dict[str, Any], settings: Settings) -> "Populations":
        """Populations that were fitted before."""
        none = Cells({name: np.zeros(0) for name in state["parameters"]}, np.zeros(0))
        made = cls(none, [tuple(one) for one, _ in state["shares"]], settings)
        made.shares = {tuple(one): share for one, share in state["shares"]}
        for name, parameters in state["parameters"].items():
            made.by_name[name].__dict__.update(parameters)
        return made


def binned(values: dict[str, Array]) -> Cells:
    """Cells of configurations: above FEW, on a grid of asinh of the values in their widths."""
    number = len(next(iter(values.values())))
    if number <= FEW:
        return Cells(values, np.ones(number))
    widths = [1.0 if name == ENERGY else max(float(np.nanstd(own)), 1e-6) for name, own in values.items()]
    codes = [np.rint(np.arcsinh(own / width) / BIN) for own, width in zip(values.values(), widths, strict=True)]
    missing = np.iinfo(np.int32).max
    unique, counts = np.unique(np.nan_to_num(codes, nan=missing).T, axis=0, return_counts=True)
    cells = np.sinh(np.where(unique == missing, np.nan, unique * BIN)) * widths
    return Cells(dict(zip(values, cells.T, strict=True)), counts.astype(float))
