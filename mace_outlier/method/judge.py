"""One head: evidence gathers over epochs; a label is taken for wrong once two epochs agree. Numpy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .decide import decide
from .evidence import WHOLE, Evidence, Weights, carried, centred, centres, confirmed
from .logarithmic import Logarithmic
from .populations import Populations
from .processes import ALONE, Processes
from .sample import in_sample
from .seen import Array, Seen
from .settings import Settings
from .shown import shown
from .signed import Signed

STORED, LARGEST = np.float32, 1e30  # how weights and z-scores are exchanged and remembered; the largest of such numbers


@dataclass(frozen=True)
class Verdict:
    """What is thought of N configurations."""

    weight: Array  # (N,) probability that all labels are right
    zscore: Array  # (N,) how far the worst property lies from right labels, in their widths
    by_property: dict[str, Array]  # (N,) probability that the label is right


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
        self.seen: Seen | None = None  # a sample of the last epoch
        self.looked: Weights = {}  # after the last epoch, whether wrong labels were believed in or not; 1: not judged

    @property
    def some_are_wrong(self) -> bool:
        """Whether wrong labels are believed in."""
        return self.populations is not None and len(self.populations.shares) > 1

    def refit(
        self, rows: np.ndarray, seen: Seen, size: int, processes: Processes = ALONE
    ) -> tuple[np.ndarray, Verdict] | None:
        """Judge by an epoch in which these rows, of `size` ones, were seen; return all rows that are judged.

        Of several processes, each gives the rows that it has seen, and all get the same verdict. None: too few to be
        compared.
        """
        epoch = shown(rows, seen, self.settings, processes)
        if epoch is None:
            return None
        self.unit, self.seen = epoch.unit, epoch.sample
        self.evidence.add(epoch.rows, epoch.values, size)
        judged = self.evidence.rows
        if not len(judged):
            return None
        sampled = self._sampled(judged)
        centre = centres(sampled)
        right, best, gain, apart = decide(centred(sampled, centre), self.settings)
        at_once = bool(np.ptp(epoch.sample.times) == 0)  # by one model: nothing changes
        self.gain, self._last_gain = gain if at_once else min(gain, (gain + self._last_gain) / 2), gain
        own = judged[processes.share(len(judged))]
        values = centred(self.evidence.of(own), centre)
        looks, twice = _weights(best, values), at_once or bool(self.looked)
        share = float(processes.sum(np.array([np.sum(looks[WHOLE] < 0.5)]))[0]) / len(judged)
        believed, too_many = best is not right and apart and self.gain > self._needed, share > self.settings.most
        self.undecided = share if believed and (too_many or not twice) else 0.0
        if not (too_many and self.populations):  # then the last good weights stay
            self.populations = best if believed and twice and not too_many else right
        weights = looks if self.populations is best else _weights(self.populations, values)
        if not at_once:
            before = {name: every[own].astype(float) for name, every in self.looked.items()}
            weights = confirmed(weights, before, gross=looks if right is best else _weights(right, values))
        verdict, looks = _gathered(_verdict(self.populations if too_many else best, values, weights), looks, processes)
        self.looked = {name: _placed(every, judged, size) for name, every in looks.items()}
        return judged, verdict

    def _sampled(self, judged: np.ndarray) -> dict[str, Array]:
        """Evidence of the rows by which populations are fitted."""
        return self.evidence.of(judged[in_sample(judged, len(judged))])

    @property
    def _needed(self) -> float:
        """Evidence from which wrong labels are believed in: less, once they are, so that nothing flickers."""
        return self.settings.gain_known if self.some_are_wrong else self.settings.gain

    def judge(self, rows: np.ndarray, seen: Seen, size: int, processes: Processes = ALONE) -> Verdict | None:
        """Judge other configurations (a validation set) beside those of the last epoch; None: there was none.

        All processes give the same rows, and share the work.
        """
        if self.populations is None or self.seen is None or not seen.number:
            return None
        own = np.argsort(rows)[processes.share(seen.number)]
        found = shown(rows[own], seen.part(own), self.settings, processes, beside=self.seen)
        assert found is not None
        self.others.add(found.rows, found.values, size)
        values = centred(self.others.of(rows), centres(self._sampled(self.evidence.rows)))
        return _verdict(self.populations, values, _weights(self.populations, values))

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

    def carry(self, rows: np.ndarray, others: np.ndarray) -> None:
        """Go on with other configurations and another validation set, see `evidence.carried`."""
        self.evidence.carry(rows)
        self.others.carry(others)
        self.looked = {name: carried(own, rows, 1.0) for name, own in self.looked.items()}

    # --- state -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint: arrays and builtins."""
        return {
            "populations": None if self.populations is None else self.populations.to_dict(),
            "numbers": [self.unit, self.gain, self.undecided, self._last_gain],
            "evidence": self.evidence.to_dict(),
            "others": self.others.to_dict(),
            "looked": dict(self.looked),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state, which holds nothing of the last epoch."""
        self.seen = None
        own = state["populations"]
        self.populations = None if own is None else Populations.from_dict(own, self.settings)
        self.unit, self.gain, self.undecided, self._last_gain = state["numbers"]
        self.evidence.load(state["evidence"])
        self.others.load(state["others"])
        self.looked = {name: np.array(own, dtype=STORED) for name, own in state["looked"].items()}


def _weights(populations: Populations, values: dict[str, Array]) -> Weights:
    weight, by_property = populations.posterior(values)
    return by_property | {WHOLE: weight}


def _gathered(verdict: Verdict, looks: Weights, processes: Processes) -> tuple[Verdict, Weights]:
    """A verdict of each process's share, and what weights look like, of all of them.

    In single precision: by half, a last bit of one process would be 0.0005 in another.
    """
    columns = [verdict.weight, verdict.zscore.clip(max=LARGEST), *verdict.by_property.values(), *looks.values()]
    weight, zscore, *others = processes.gather(np.column_stack(columns).astype(STORED)).T
    of_properties, of_looks = others[: len(verdict.by_property)], others[len(verdict.by_property) :]
    by_property = dict(zip(verdict.by_property, of_properties, strict=True))
    return Verdict(weight, zscore, by_property), dict(zip(looks, of_looks, strict=True))


def _placed(weights: Array, rows: np.ndarray, size: int) -> Array:
    """Weights of some rows among `size` ones; of others, 1."""
    every = np.ones(size, dtype=weights.dtype)
    every[rows] = weights
    return every


def _verdict(populations: Populations, values: dict[str, Array], weights: Weights) -> Verdict:
    far = [own.widths_from_right(values[name]) for name, own in populations.by_name.items()]
    by_property = {name: own for name, own in weights.items() if name != WHOLE}
    return Verdict(weights[WHOLE], np.max(np.nan_to_num(far), axis=0), by_property)
