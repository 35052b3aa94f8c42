"""What records say of the configurations of each head, in all processes of a distributed run."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from ..method.sample import in_sample
from ..results.judgement import Judgement, judgement_by
from ..states import JUDGED, MODEL, STATES
from .distribution import widest
from .records import Records
from .whose_fault import are_set_aside

BINS = 20  # of the histogram of the weights, over [0, 1]


class Tally(NamedTuple):
    """How many configurations of a head there are, and what has become of them."""

    judged: int  # also those that were before the model was not finite any more
    suspects: int  # of these, with a weight below 1/2
    nonfinite: int  # with weight 0: a label, geometry or loss that is not finite
    usable: int  # judged by a loss that is finite
    low: int  # of these, with a weight below 1/2
    visited: int  # in this epoch
    low_visited: int  # of these, with a weight below 1/2
    total: float  # of the weights of these
    histogram: list[int]  # (BINS,) of the same
    sample: np.ndarray  # (S,) of the same, of very many

    @property
    def share_of_suspects(self) -> float:
        """Of those that can be judged."""
        return self.low / max(self.usable, 1)


COUNTED = Tally._fields[:7]
NONE = Tally(0, 0, 0, 0, 0, 0, 0, 0.0, [0] * BINS, np.zeros(0))


def tallied(records: Records, heads: int) -> list[Tally]:
    """Count the configurations of so many heads; in all processes. Waits for the device."""
    codes, low, seen, visited = records.codes, records.weight < 0.5, records.time >= 0, records.visited
    finite = seen & (codes == STATES.index(JUDGED))
    judged = finite | (seen & (codes == STATES.index(MODEL)))
    aside = seen & are_set_aside(codes)
    masks = torch.stack((judged, judged & low, aside, finite, finite & low, visited, visited & low))
    counts, weights = [], []
    for head in range(heads):
        here = records.head == head
        weights.append(records.weight[here & visited])
        histogram = torch.histc(weights[-1], BINS, 0.0, 1.0)
        numbers = (masks & here).sum(1), weights[-1].sum(dtype=widest(weights[-1].device))[None], histogram
        counts.append(np.concatenate([part.cpu().double().numpy() for part in numbers]))
    every = records.processes.sum(np.array(counts))
    rows = records.share.start + np.arange(len(records))
    samples = []
    for head, own in enumerate(every):
        here = ((records.head == head) & visited).cpu().numpy()
        chosen = in_sample(rows[here], int(own[COUNTED.index("visited")]))
        samples.append(records.processes.gather(weights[head].cpu().numpy()[chosen]))
    return [_tally(own, sample) for own, sample in zip(every, samples, strict=True)]


def _tally(numbers: np.ndarray, sample: np.ndarray) -> Tally:
    counts, total, histogram = np.split(numbers, [len(COUNTED), len(COUNTED) + 1])
    return Tally._make([*counts.astype(int).tolist(), float(total[0]), histogram.astype(int).tolist(), sample])


def judgement(tally: Tally, described: Mapping[str, Any], history: Iterable[Mapping[str, Any]] = ()) -> Judgement:
    """What is thought of the labels of a head, see `judgement_by`; `described`: see LossDistribution.describe."""
    return judgement_by(described, tally.judged, tally.suspects, tally.nonfinite, history)
