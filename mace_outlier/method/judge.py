"""One head: evidence gathers over epochs; a label is taken for wrong once two epochs agree. Numpy only."""

from collections.abc import Container
from typing import Any

import numpy as np

from .decide import decide
from .evidence import WHOLE, Evidence, Weights, centred, centres, confirmed
from .logarithmic import Logarithmic
from .populations import Populations
from .processes import ALONE, Processes
from .sample import in_sample
from .seen import Array, Seen
from .settings import Settings
from .share import Shared
from .shown import look_at, shown
from .signed import Signed
from .verdict import STORED, Verdict, verdict_of


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
        self.sampled: dict[str, Array] = {}  # evidence by which populations were fitted
        self.looked = Shared(1.0)  # weights after the last epoch, whether wrong labels were believed in or not

    @property
    def some_are_wrong(self) -> bool:
        """Whether wrong labels are believed in."""
        return self.populations is not None and len(self.populations.shares) > 1

    def refit(
        self, rows: np.ndarray, seen: Seen, size: int, processes: Processes = ALONE, at_once: bool = False
    ) -> tuple[np.ndarray, Verdict] | None:
        """Judge by an epoch in which these rows, of `size` ones, were seen; return the rows that are judged.

        Of several processes, each gives the rows that it has seen, and gets those of its share. None: too few to be
        compared. `at_once`: nothing will change, so that a second look would be the same.
        """
        self._forget_all_but(seen.errors)
        look = look_at(rows, seen, self.settings, processes)
        if look is None:
            return None
        epoch = shown(look, size, self.settings, processes)
        self.unit, self.seen = epoch.unit, epoch.sample
        share = processes.share(size)
        self.evidence.add(epoch.rows, epoch.values, share)
        own = self.evidence.rows()
        judged = int(processes.sum(np.array([len(own)]))[0])
        if not judged:
            return None
        self.sampled = self._sampled(own, judged, processes)
        centre = centres(self.sampled)
        right, best, gain, apart = decide(centred(self.sampled, centre), self.settings)
        self.gain, self._last_gain = gain if at_once else min(gain, (gain + self._last_gain) / 2), gain
        values = centred(self.evidence.of(own), centre)
        looks, twice = _weights(best, values), at_once or bool(self.looked.own)
        suspects = float(processes.sum(np.array([np.sum(looks[WHOLE] < 0.5)]))[0]) / judged
        believed, too_many = best is not right and apart and self.gain > self._needed, suspects > self.settings.most
        self.undecided = suspects if believed and (too_many or not twice) else 0.0
        if not (too_many and self.populations):  # then the last good weights stay
            self.populations = best if believed and twice and not too_many else right
        weights = looks if self.populations is best else _weights(self.populations, values)
        if not at_once:
            before = {name: every[own - share.start].astype(float) for name, every in self.looked.own.items()}
            weights = confirmed(weights, before, gross=looks if right is best else _weights(right, values))
        verdict = verdict_of(self.populations if too_many else best, values, weights)
        self.looked.own = {name: _placed(every, own, share) for name, every in looks.items()}
        self.keep(processes, size)
        return own, verdict.stored()

    def _forget_all_but(self, properties: Container[str]) -> None:
        """Forget labels that aren't trained on: a checkpoint may be of another loss."""
        for own in (self.evidence, self.others):
            own.forget_all_but(properties)
        self.looked.own = {name: own for name, own in self.looked.own.items() if name == WHOLE or name in properties}
        if self.populations is not None and not all(name in properties for name in self.populations.by_name):
            self.populations = None

    def _sampled(self, own: np.ndarray, total: int, processes: Processes) -> dict[str, Array]:
        """Evidence of the rows by which populations are fitted, of `total` ones, of which each process has its own."""
        sampled = self.evidence.of(own[in_sample(own, total)])
        return dict(zip(sampled, processes.gather(np.column_stack(list(sampled.values()))).T, strict=True))

    @property
    def _needed(self) -> float:
        """Evidence from which wrong labels are believed in: less, once they are, so that nothing flickers."""
        return self.settings.gain_known if self.some_are_wrong else self.settings.gain

    def judge(
        self, rows: np.ndarray, seen: Seen, size: int, processes: Processes = ALONE
    ) -> tuple[np.ndarray, Verdict] | None:
        """Judge other configurations (a validation set of `size`) beside those of the last epoch; None: there was none.

        Of several processes, each gives the rows that it has evaluated, and gets all, ascending.
        """
        if self.populations is None or self.seen is None:
            return None
        rows, order = np.unique(rows, return_index=True)
        look = look_at(rows, seen.part(order), self.settings, processes, beside=self.seen)
        if look is None:
            return None
        found = shown(look, size, self.settings, processes)
        self.others.add(found.rows, found.values, processes.share(size))
        values = centred(self.others.of(found.rows), centres(self.sampled))
        verdict = verdict_of(self.populations, values, _weights(self.populations, values))
        self.others.keep(processes, size)
        return verdict.gathered(found.rows, processes)

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
        """Go on with other training and validation configurations of the share of this process, see Shared."""
        self.evidence.carry(rows)
        self.others.carry(others)
        self.looked.carry(rows)

    def keep(self, processes: Processes, size: int) -> None:
        """Tell whoever may save it what is known of all `size` training configurations, unless each saves its own."""
        if not processes.in_parts(size):
            self.evidence.keep(processes, size)
            self.looked.keep(processes, size)

    # --- state -------------------------------------------------------------------------------------------------------

    def snapshot(self) -> list[dict[str, Any]]:
        """How it is now, for `put_back`: nothing that is remembered is changed in place."""
        changes = Evidence | Shared  # by themselves
        return [{k: part for k, part in vars(own).items() if not isinstance(part, changes)} for own in self._parts()]

    def put_back(self, snapshot: list[dict[str, Any]]) -> None:
        """Make all as it was, or as it is in another one."""
        for own, before in zip(self._parts(), snapshot, strict=True):
            vars(own).update(before)

    def _parts(self) -> list[Any]:
        """This one, and what in it changes by itself."""
        epochs = [part for own in (self.evidence, self.others) for part in (own, own.values, own.epochs)]
        return [self, *epochs, self.looked]

    def to_dict(self) -> dict[str, Any]:
        """State, for a checkpoint: arrays and builtins."""
        return {
            "populations": None if self.populations is None else self.populations.to_dict(),
            "numbers": [self.unit, self.gain, self.undecided, self._last_gain],
            "evidence": self.evidence.to_dict(),
            "others": self.others.to_dict(),
            "looked": self.looked.to_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state, which holds nothing of the last epoch."""
        self.seen = None
        own = state["populations"]
        self.populations = None if own is None else Populations.from_dict(own, self.settings)
        self.unit, self.gain, self.undecided, self._last_gain = state["numbers"]
        self.evidence.load(state["evidence"])
        self.others.load(state["others"])
        self.looked.load(state["looked"], STORED)


def _weights(populations: Populations, values: dict[str, Array]) -> Weights:
    weight, by_property = populations.posterior(values)
    return by_property | {WHOLE: weight}


def _placed(weights: Array, rows: np.ndarray, share: slice) -> Array:
    """Weights of some rows of a share among all of them; of others, 1."""
    every = np.ones(share.stop - share.start, dtype=weights.dtype)
    every[rows - share.start] = weights
    return every
