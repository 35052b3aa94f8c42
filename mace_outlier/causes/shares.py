"""How many suspects have which cause, and what follows for each of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .hypotheses import NEVER, Hypotheses, Hypothesis, Told
from .settings import Settings

Array = NDArray[np.float64]
ROUNDS, ENOUGH = 200, 1e-6


def posterior(log_likelihood: Array, hypotheses: Sequence[Hypothesis], settings: Settings) -> tuple[Array, float]:
    """Return the probability of each hypothesis (K,) for each suspect (S,), and the logarithm of the likelihood of all.

        p(k | i) ~ share_k L_ik,    share_k = (a_k + sum_i p(k | i)) / (S + sum a)

    `log_likelihood` (S, K): log L; a_k: pseudo-counts, see Settings. By expectation and maximisation.
    """
    prior = np.array([one.prior(settings) for one in hypotheses])
    shares, before = prior / prior.sum(), -np.inf
    for _ in range(ROUNDS):
        joint = log_likelihood + np.log(shares)
        of_each = logsumexp(joint, axis=1, keepdims=True)
        own = np.exp(joint - of_each)
        shares = (prior + own.sum(axis=0)) / (prior.sum() + len(own))
        now = float(of_each.sum() + prior @ np.log(shares))
        if now - before < ENOUGH * max(len(own), 1):
            break
        before = now
    return own, now


def table(told: Sequence[Hypotheses]) -> tuple[list[Hypothesis], Array]:
    """Return all hypotheses (K,), and the logarithms of their likelihoods for each suspect (S, K)."""
    hypotheses, never = list(dict.fromkeys(one for own in told for one in own)), Told(NEVER)
    return hypotheses, np.array([[own.get(one, never).log_likelihood for one in hypotheses] for own in told])
