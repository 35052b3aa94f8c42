"""One head: evidence gathers over epochs; a label is taken for wrong once two epochs agree. Numpy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .decide import decide
from .densest import densest
from .populations import Populations
from .right_wrong import Logarithmic, Signed
from .seen import ENERGY, Array, Seen
from .settings import Settings
from .unexplained import unexplained

WHOLE = ""  # all labels of a configuration together
Weights = tuple[
    Array, dict[str, Array]
]  # (N,): probability that all labels are right; and by property, that this one is
REFERENCE = 5000  # training configurations, at random, beside which others are judged at most


@dataclass(frozen=True)
class Verdict:
    """What is thought of N configurations."""

    weight: Array  # (N,) probability that all labels are right
    zscore: Array  # (N,) how far the worst property lies from right labels, in their widths
    by_property: dict[str, Array]  # (N,) probability that the label is right

    def confirmed(self, before: "Weights", gross: "Weights") -> "Verdict":
        """With the weights on which two epochs agree, the larger ones; `gross`: a gross error needs no second look."""

        def both(own: Array, earlier: Array, certain: Array) -> Array:
            return np.minimum(np.maximum(own, earlier), certain)

        by_property = {
            name: both(own, before[1].get(name, np.ones(len(own))), gross[1][name])
            for name, own in self.by_property.items()
        }
        return Verdict(both(self.weight, before[0], gross[0]), self.zscore, by_property)


class Looked:
    """How likely each of N labels was right after the epoch before, believed or not; 1: not judged."""

    def __init__(self) -> None:
        self.weights: dict[str, Array] = {}  # (N,) by property; WHOLE: of all labels together

    def exchanged(self, rows: np.ndarray, weights: "Weights", size: int) -> "Weights":
        """Take in those of some rows of `size` ones, and return what they were before."""
        earlier = {name: values[rows] for name, values in self.weights.items()}
        self.weights = {}
        for name, values in (weights[1] | {WHOLE: weights[0]}).items():
            self.weights[name] = np.ones(size)
            self.weights[name][rows] = values
        return earlier.pop(WHOLE, np.ones(len(rows))), earlier


class Evidence:
    """What is not explained of N configurations, averaged over the epochs with a memory.

    x <- x + (new - x) / min(n, memory)          n: epochs in which it was found
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.values: dict[str, Array] = {}  # (N,) by property; NaN: none
        self.epochs: dict[str, Array] = {}  # (N,)

    def add(self, rows: np.ndarray, found: dict[str, Array], size: int) -> None:
        """Take in what was found of some rows of `size` ones."""
        for name, new in found.items():
            values = self.values.setdefault(name, np.full(size, np.nan))
            epochs = self.epochs.setdefault(name, np.zeros(size))
            some = np.isfinite(new)
            own, new = rows[some], new[some]
            epochs[own] += 1
            before = np.where(np.isfinite(values[own]), values[own], new)
            values[own] = before + (new - before) / np.minimum(epochs[own], self.memory)

    def of(self, rows: np.ndarray) -> dict[str, Array]:
        """Evidence of some rows, from where it is densest; energies in widths of that."""
        return {name: _centred(name, values[rows], values) for name, values in self.values.items()}

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint."""
        return {"values": dict(self.values), "epochs": dict(self.epochs)}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.values, self.epochs = ({n: np.array(v) for n, v in state[part].items()} for part in ("values", "epochs"))


def _centred(name: str, values: Array, among: Array) -> Array:
    """Evidence from where that of all is densest; energies in widths of that."""
    zero, width = densest(among)
    return (values - zero) / (width if name == ENERGY else 1.0)


class HeadJudge:
    """Judges the configurations of one head, epoch by epoch.

    Args:
        settings: of the judgement.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.populations: Populations | None = None  # by which weights are given; None: nothing was judged yet
        self.unit = 1.0  # eV/atom: width of what is not explained of right energies
        self.gain, self.undecided = 0.0, 0.0  # evidence for wrong labels, of the last two epochs
        self._last_gain = 0.0
        self.evidence = Evidence(settings.memory)
        self.others = Evidence(settings.memory)  # of a validation set
        self.seen: Seen | None = None  # the last epoch
        self.looked = Looked()

    @property
    def some_are_wrong(self) -> bool:
        """Whether wrong labels are believed in."""
        return self.populations is not None and len(self.populations.classes) > 1

    def refit(self, rows: np.ndarray, seen: Seen, size: int) -> tuple[np.ndarray, Verdict] | None:
        """Judge by an epoch in which these rows, of `size` ones, were seen; return all rows that are judged.

        None: too few to be compared.
        """
        if seen.number < self.settings.least:
            return None
        found, self.unit = unexplained(seen, self.settings)
        self.seen = seen
        self.evidence.add(rows, found, size)
        judged = np.flatnonzero(np.logical_or.reduce([np.isfinite(v) for v in self.evidence.values.values()]))
        if not len(judged):
            return None
        values, at_once = self.evidence.of(judged), bool(np.ptp(seen.times) == 0)  # by one model: nothing changes
        right, best, gain, apart = decide(values, self.settings)
        self.gain, self._last_gain = gain if at_once else min(gain, (gain + self._last_gain) / 2), gain
        looks, twice = best.posterior(values), at_once or bool(self.looked.weights)
        share = float(np.mean(looks[0] < 0.5))
        believed, too_many = best is not right and apart and self.gain > self._needed, share > self.settings.most
        self.undecided = share if believed and (too_many or not twice) else 0.0
        if not (too_many and self.populations):  # then the last good weights stay
            self.populations = best if believed and twice and not too_many else right
        verdict = self._verdict(self.populations, values)
        before = self.looked.exchanged(judged, looks, size)
        return judged, verdict if at_once else verdict.confirmed(before, gross=right.posterior(values))

    @property
    def _needed(self) -> float:
        """Evidence from which wrong labels are believed in: less, once they are, so that nothing flickers."""
        return self.settings.gain_known if self.some_are_wrong else self.settings.gain

    def judge(self, rows: np.ndarray, seen: Seen, size: int) -> Verdict | None:
        """Judge other configurations (a validation set) beside those of the last epoch; None: there was none."""
        if self.populations is None or self.seen is None or not seen.number:
            return None
        some = self.seen
        if some.number > REFERENCE:
            some = some.part(np.sort(np.random.default_rng(0).permutation(some.number)[:REFERENCE]))
        found, _ = unexplained(some.joined(seen), self.settings)
        own = {name: values[some.number :] for name, values in found.items()}
        self.others.add(rows, own, size)
        return self._verdict(
            self.populations,
            {name: _centred(name, self.others.values[name][rows], self.evidence.values[name]) for name in own},
        )

    @staticmethod
    def _verdict(populations: Populations, values: dict[str, Array]) -> Verdict:
        weight, by_property = populations.posterior(values)
        far = [own.widths_from_right(values[name]) for name, own in populations.by_name.items()]
        return Verdict(weight, np.max(np.nan_to_num(far), axis=0), by_property)

    def describe(self) -> dict[str, Any]:
        """Return what the log and the report say of the populations, see LossDistribution.describe."""
        assert self.populations is not None
        found: dict[str, Any] = {"gain": self.gain, "undecided": self.undecided, "properties": {}}
        for k, (name, own) in enumerate(self.populations.by_name.items()):
            share = sum(share for one, share in self.populations.shares.items() if one[k])
            found["properties"][name] = {"share": share} | self._sizes(own)
        return found

    def _sizes(self, own: Signed | Logarithmic) -> dict[str, float]:
        """How far off right and wrong labels are: energies in eV/atom (label - prediction), others by a factor."""
        if isinstance(own, Signed):
            typical = float(np.sinh(own.at)) * self.unit
            return {"right": own.width * self.unit, "wrong": typical, "too_low": own.up}
        return {"right": own.above, "wrong": float(np.exp(own.at - own.centre))}

    # --- state -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint: arrays and builtins."""
        return {
            "populations": None if self.populations is None else self.populations.to_dict(),
            "numbers": [self.unit, self.gain, self.undecided, self._last_gain],
            "evidence": self.evidence.to_dict(),
            "others": self.others.to_dict(),
            "looked": dict(self.looked.weights),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state, which holds nothing of the last epoch."""
        self.seen = None
        own = state["populations"]
        self.populations = None if own is None else Populations.from_dict(own, self.settings)
        self.unit, self.gain, self.undecided, self._last_gain = state["numbers"]
        self.evidence.load(state["evidence"])
        self.others.load(state["others"])
        self.looked.weights = {name: np.array(own) for name, own in state["looked"].items()}
