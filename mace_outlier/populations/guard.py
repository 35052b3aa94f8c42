"""One population or two? What the data have to show before wrong labels are believed in. No torch."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cells import Cells
from .fit import Fit, fit_one, fit_two


class Guard(NamedTuple):
    """What two populations need before they are believed."""

    evidence: float = 10.0  # gain in the Bayesian information criterion
    certainty: float = 0.65  # of what is taken for wrong, see Fit
    factor: float = 2.0  # between the losses at the modes: wrong labels are no small matter, and
    error_factor: float = 4.0  # between the energy errors: one of them is enough, or something of both
    gain_each: float = 0.12  # gain for each configuration: where two populations describe them that much better,
    nearer: float = 0.8  # ... the factors may be smaller, in their logarithms by this
    most: float = 0.45  # share of wrong labels that agree with one another: from here on, who is wrong is a toss-up

    def relaxed(self) -> "Guard":
        """What they need to be believed on, once they have been found: a fit near the limit must not flicker."""
        return self._replace(evidence=0.0, certainty=0.95 * self.certainty, most=self.most / 0.95)

    def among_the_rest(self, share: float) -> "Guard":
        """What they need in what is left without a `share` of wrong labels: all together, these are not the most."""
        return self._replace(most=1 - (1 - self.most) / (1 - share))

    def sees_two(self, fit: Fit, gain_each: float = 0.0) -> bool:
        """Whether two populations are apart in what matters, and the smaller losses are those of right labels."""
        by_loss = np.log(fit.loss_factor) / np.log(self.factor)
        by_energy = np.log(fit.error_factor) / np.log(self.error_factor)
        enough = self.nearer if gain_each > self.gain_each else 1.0
        apart = np.hypot(max(by_loss, 0.0), max(by_energy, 0.0)) > enough
        return bool(apart and by_loss > -1 and fit.certainty > self.certainty)

    def decides(self, fit: Fit) -> bool:
        """Whether it is known which of two populations is the wrong one.

        A model learns what most labels agree on. Wrong labels with energies off to both sides don't agree, and are
        known by far larger losses even where they are the majority; those off to one side do.
        """
        agree = abs(fit.high_error - np.arcsinh(fit.error)) > fit.high_error_scale
        return bool(fit.share < self.most or (fit.loss_factor > self.factor**2 and not agree))


def choose(cells: Cells, guard: Guard, start: NDArray[np.float64] | None = None) -> Fit:
    """Fit one and two populations to the configurations of a head; two only if the data show them.

    The criterion must gain by `guard.evidence`, those that are taken for wrong must be so with some certainty, and
    losses or energy errors must differ by a factor: with very many configurations, the criterion alone would call every
    small deviation from the lower population's form another one, and losses that fall during an epoch can have two
    narrow modes. A little less of a factor will do where two populations describe each configuration clearly better:
    many wrong labels, before the model has learnt to tell them from right ones, lie close, but not in a tail.
    """
    one, two = fit_one(cells), fit_two(cells, start)
    parameters = 5 if np.isfinite(cells.e).any() else 3
    number = cells.counts.sum()
    gain = 2 * (two.log_likelihood - one.log_likelihood) - parameters * np.log(number)
    return two if gain > guard.evidence and guard.sees_two(two, gain / number) else one
