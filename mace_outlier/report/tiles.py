"""The numbers at the head of the page."""

import math
from typing import NamedTuple

from ..results.judgement import NONE, WRONG
from ..results.wrong_labels import NEEDED, TOO_CLOSE
from ..states import JUDGED
from .groups import Groups
from .heads import Head, by_chance, judged_by_threshold, total_expected
from .summary import PERSISTENT, RECENT, Summary
from .text import DASH, count, fixed, of_many, percent
from .truth import Truth


class Tile(NamedTuple):
    """A number, what it counts, and whether it wants attention."""

    value: str
    what: str
    look: bool = False


def tiles_of(summary: Summary, groups: Groups, truth: Truth | None) -> list[Tile]:
    """Return the tiles of a run, in order."""
    verdicts, heads = summary.verdicts, summary.heads
    splits = [f"{part.suspects:,} in {part.split}" for part in summary.counts if part.split]
    where = f": {', '.join(splits)}" if splits else ""
    tiles = [
        Tile(f"{summary.suspects:,}", f"suspects of {summary.rows:,}{where}", summary.suspects > 0),
        *(Tile(f"{number:,}", state, True) for state, number in summary.states.items() if state != JUDGED and number),
    ]
    if verdicts[PERSISTENT] + verdicts[RECENT]:
        others = f", {verdicts[RECENT]:,} only lately" if verdicts[RECENT] else ""
        tiles.append(Tile(f"{verdicts[PERSISTENT]:,}", f"suspects in most epochs{others}"))
    tiles += _wrong_labels(heads)
    expected = total_expected(heads)
    if expected and expected.suspects:
        believed = any(head.judgement.found == WRONG for head in heads)
        missed = f"; {count(expected.missed)} wrong labels missed" if believed else ""
        tiles.append(Tile(count(expected.false_alarms), f"expected false alarms{missed}"))
    by_threshold = judged_by_threshold(heads)
    chance = by_chance(by_threshold, summary.below)
    if chance[0] > 0:
        numbers = dict.fromkeys(map(count, chance))  # one number, if they look the same
        where = "" if len(by_threshold) == len(heads) else f" ({of_many(len(by_threshold), 'head')} with a threshold)"
        tiles.append(Tile(f" {DASH} ".join(numbers), f"by chance, were all labels right{where}"))
    if summary.suspects:
        flagged = len(groups.warnings)
        tiles.append(Tile(f"{flagged:,}", f"group{'s' * (flagged != 1)} over-represented", flagged > 0))
    return [*tiles, Tile(fixed(truth.all.auroc_weight, 4), "AUROC of 1 - weight")] if truth else tiles


def _wrong_labels(heads: list[Head]) -> list[Tile]:
    """Tiles of how far wrong labels are off; where several heads have wrong labels: of how many do."""
    judged = [head.judgement for head in heads if head.judgement.how]
    believed = [own.how.believed for own in judged if own.how and own.found == WRONG]
    undecided = [own.how.undecided for own in judged if own.how and own.how.undecided]
    tiles = []
    if len(believed) == 1:
        where = ", in 1 head" if len(heads) > 1 else ""
        for prop in believed[0]:
            (size, _, unit), side = prop.size.partition(" "), f", {prop.side}" if prop.side else ""
            tiles.append(Tile(size, f"{unit}: typical wrong {prop.labels}, {percent(prop.share)}{side}{where}"))
    elif believed:
        tiles = [Tile(f"{len(believed):,}", f"of {of_many(len(heads), 'head')} have wrong labels")]
    elif judged and all(own.found == NONE for own in judged):
        most = max((own.how for own in judged if own.how), key=lambda how: how.gain)
        what = TOO_CLOSE if most.too_close else f"wrong labels, of the {NEEDED:g} that are needed"
        tiles = [Tile(f"{math.floor(most.gain):,}", f"evidence for {what}")]
    if undecided:
        where = f", in {of_many(len(undecided), 'head')}" if len(heads) > 1 else ""
        tiles.append(Tile(percent(max(undecided)), f"look wrong, but undecided{where}", True))
    return tiles
