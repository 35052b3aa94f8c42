"""The fit of populations to what is not explained: expectation maximisation, and its criterion. Numpy only."""

import math
from typing import Any, NamedTuple

import numpy as np

from .logarithmic import Logarithmic
from .populations import Class, Populations
from .seen import ENERGY, FORCES, Array
from .settings import Settings
from .signed import Signed
from .tails import TAILS

START_ENERGY, START_OTHERS = 1.8, 1.5  # widths beyond which labels are taken for wrong at first
EACH, PROGRESS = 4, 1e-3  # steps after which progress is looked at, and the least for each configuration that goes on
FEW = 5000  # configurations that are taken one by one; more are binned
BIN = 0.08  # of asinh of values in their widths
FEWEST = 10.0  # configurations that a form costs at least: fewer are single gross errors, which need no population
MOST_GROSS = 0.1  # share of errors of any size that need no population of their own


class Cells(NamedTuple):
    """Configurations one by one, or, of many, those that occur on a grid."""

    values: dict[str, Array]  # (K,) by property, what is not explained; NaN: no label
    counts: Array  # (K,) configurations that each stands for


class Fit:
    """Populations of which those in `classes` are believed in, fitted to cells.

        p(x) = sum_c share_c prod_k p_k(x_k | c_k) + gross prod_k q_k(x_k)

    c_k = 0: right, 1: wrong; q: errors of any size, so that a few gross ones make no population. Their share is fitted,
    at most MOST_GROSS; the posterior takes the one of the settings. A property without a label has density 1.
    """

    def __init__(self, cells: Cells, classes: list[Class], settings: Settings, together: bool = False) -> None:
        """Start with what lies START widths off as wrong; `together`: where all properties do."""
        self.known = {name: np.isfinite(own) for name, own in cells.values.items()}
        self.values = {name: np.where(self.known[name], own, 0.0) for name, own in cells.values.items()}
        self.counts, self.classes, self.number = cells.counts, classes, float(cells.counts.sum())
        by_name: dict[str, Any] = {
            name: Signed(settings.energy_apart) if name == ENERGY else Logarithmic.of(own, settings.error_apart)
            for name, own in cells.values.items()
        }
        self.populations = Populations(by_name, dict.fromkeys(classes, 1.0 / len(classes)), settings)
        self.can_be_wrong, self.hardness = self.populations.can_be_wrong, np.zeros(len(cells.counts))
        self.gross, self._gross = settings.gross, 0.0  # share and number of errors of any size
        self.joint = 0.5 / len(classes)  # share of those that are wrong in all properties at once
        self.log_likelihood, self._steps = -math.inf, 0
        self.probabilities = self._start(together)  # (classes, K)

    def _start(self, together: bool) -> Array:
        far = []
        for name, own in self.populations.by_name.items():
            widths = START_ENERGY if name == ENERGY else START_OTHERS
            far.append(self.known[name] & (own.widths_from_right(self.values[name]) > widths))
        if together:
            every = [own | ~known for own, known in zip(far, self.known.values(), strict=True)]
            far = [np.logical_and.reduce(every)] * len(far)
        bits = np.stack([own & able for own, able in zip(far, self.can_be_wrong, strict=True)])
        close = np.stack([(bits == np.array(one)[:, None]).sum(axis=0) for one in self.classes])
        closest = close == close.max(axis=0)
        return closest / closest.sum(axis=0)

    def climb(self, steps: int) -> "Fit":
        """Maximise the likelihood by at most so many steps of expectation maximisation."""
        last = -math.inf
        for step in range(1, steps + 1):
            self._maximise()
            self._expect()
            if step % EACH == 0:
                if self.log_likelihood - last < PROGRESS * self.number:
                    break
                last = self.log_likelihood
        return self

    def _maximise(self) -> None:
        self._steps += 1
        self.gross = min(max(self._gross / max(self.number, 1.0), self.populations.settings.gross), MOST_GROSS)
        self._share(dict(zip(self.classes, (self.probabilities @ self.counts).tolist(), strict=True)))
        for k, (name, own) in enumerate(self.populations.by_name.items()):
            counts, choose = self.counts * self.known[name], self._steps % EACH == 0
            right = sum(q for q, one in zip(self.probabilities, self.classes, strict=True) if not one[k])
            wrong = (1.0 - right) * counts if self.can_be_wrong[k] else None
            hardness = self.hardness if name == ENERGY else 0.0
            self.populations.by_name[name] = own.updated(self.values[name], right * counts, wrong, hardness, choose)

    def _share(self, totals: dict[Class, float]) -> None:
        """Shares by the configurations in each class.

        Where any property may be wrong, they are so independently, or all at once: then no weight rises with any error.

            share_c = joint [c = all wrong] + (1 - joint) prod_k (m_k if c_k else 1 - m_k)
        """
        number, shares = sum(totals.values()), self.populations.shares
        if len(self.classes) < 4:
            shares |= {one: (own + 0.5) / (number + 0.5 * len(totals)) for one, own in totals.items()}
            return
        every = self.classes[-1]
        at_once = totals[every] * self.joint / shares[every]
        self.joint = (at_once + 0.5) / (number + 1.0)
        wrong = [sum(own for one, own in totals.items() if one[k]) - at_once for k in range(len(every))]
        margins = [(own + 0.5) / (number - at_once + 1.0) for own in wrong]
        for one in self.classes:
            by_chance = math.prod(m if bit else 1 - m for m, bit in zip(margins, one, strict=True))
            shares[one] = self.joint * (one == every) + (1 - self.joint) * by_chance

    def _expect(self) -> None:
        """Probabilities of the classes (classes, K), and the log-likelihood."""
        own: dict[str, Any] = self.populations.by_name
        if ENERGY in own and FORCES in own:
            self.hardness = np.where(self.known[FORCES], own[FORCES].hardness(self.values[FORCES]), 0.0)
        logs, gross = [], np.full(len(self.counts), math.log(self.gross))
        for (name, population), able in zip(own.items(), self.can_be_wrong, strict=True):
            known, values = self.known[name], self.values[name]
            right = np.where(known, population.log_right(values, self.hardness), 0.0)
            logs.append((right, np.where(known, population.log_wrong(values), 0.0) if able else right))
            gross += np.where(known, population.log_gross(values), 0.0)
        shares = self.populations.shares
        classes = [math.log(shares[one]) + sum(logs[k][bit] for k, bit in enumerate(one)) for one in self.classes]
        table = np.stack([*classes, gross])
        top = table.max(axis=0)
        density = np.exp(table - top)
        total = density.sum(axis=0)
        self.probabilities = density[:-1] / total
        self._gross = float((density[-1] / total * self.counts).sum())
        self.log_likelihood = float((self.counts * (top + np.log(total))).sum())

    def criterion(self) -> float:
        """Coarsened BIC: 2 c log L + 2 log prior - k log n, where c = min(1, coarsened / N).

        n: configurations that tell of a parameter: all of a share, of the form of a wrong population those in it. The
        prior is that of the tails of right labels, whose other parameters are the same for all classes and left out.
        """
        settings, own = self.populations.settings, self.populations.by_name.values()
        number = min(self.number, float(settings.coarsened))
        prior = sum(TAILS[population.tail].log_prior for population in own)
        cost = -2 * prior + (len(self.classes) - 1) * math.log(max(number, 2.0))
        for k, population in enumerate(own):
            if self.can_be_wrong[k]:
                inside = number * sum(share for one, share in self.populations.shares.items() if one[k])
                cost += population.PARAMETERS * math.log(max(inside, FEWEST))
        if any(sum(one) > 1 for one in self.classes):
            cost += settings.together
        return 2 * self.log_likelihood * number / max(self.number, 1.0) - cost


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
