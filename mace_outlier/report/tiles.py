"""The numbers at the head of the page."""

import math

from ..results.wrong_labels import NEEDED, WrongProperty
from . import text
from .groups import Groups
from .heads import Head, by_chance, judged_by_threshold, total_odds
from .summary import CERTAIN, PERSISTENT, RECENT, Summary
from .truth import Truth

Tile = tuple[str, str, bool]  # number, what it counts, whether it wants attention


def tiles_of(summary: Summary, groups: Groups, truth: Truth | None) -> list[Tile]:
    """Return number, what it counts, and whether it wants attention."""
    verdicts = summary.verdicts
    counts = [f"{count.suspects:,} in {count.split}" for count in summary.counts if count.split]
    where = f": {', '.join(counts)}" if counts else ""
    tiles = [(f"{summary.suspects:,}", f"suspects of {summary.rows:,}{where}", summary.suspects > 0)]
    tiles.append((f"{verdicts[CERTAIN]:,}", "certainly wrong: not finite", verdicts[CERTAIN] > 0))
    if verdicts[PERSISTENT] + verdicts[RECENT]:
        others = f", {verdicts[RECENT]:,} only lately" if verdicts[RECENT] else ""
        tiles.append((f"{verdicts[PERSISTENT]:,}", f"suspects in most epochs{others}", False))
    tiles += _wrong_labels(summary.heads) + _odds(summary.heads) + _chance(summary.heads)
    if summary.suspects:
        flagged = len(groups.warnings)
        tiles.append(
            (f"{flagged:,}", "group over-represented" if flagged == 1 else "groups over-represented", flagged > 0)
        )
    if truth:
        tiles.append((text.fixed(truth.all.auroc_weight, 4), "AUROC of 1 - weight", False))
    return tiles


def _wrong_labels(heads: list[Head]) -> list[Tile]:
    """Tiles of what tells wrong labels apart; where several heads have some: how many do."""
    judged = [head.losses.wrong for head in heads if head.losses.wrong]
    found = [wrong for wrong in judged if wrong.believed]
    undecided = [wrong.undecided for wrong in judged if wrong.undecided]
    tiles = []
    if len(found) == 1:
        tiles = [_property(own, len(heads) > 1) for own in found[0].believed]
    elif found:
        tiles = [(f"{len(found):,}", f"of {text.of_many(len(heads), 'head')} have wrong labels", False)]
    elif judged and not undecided:
        strongest = math.floor(max(wrong.gain for wrong in judged))
        tiles = [(f"{strongest:,}", f"evidence for wrong labels, of the {NEEDED:g} that are needed", False)]
    if undecided:
        where = f", in {text.of_many(len(undecided), 'head')}" if len(heads) > 1 else ""
        tiles.append((text.percent(max(undecided)), f"look wrong, but undecided{where}", True))
    return tiles


def _property(own: WrongProperty, one_of_several: bool) -> Tile:
    side = f", {own.side}" if own.side else ""
    where = ", in 1 head" if one_of_several else ""
    size, _, unit = own.size.partition(" ")
    return size, f"{unit}: typical wrong {own.labels}, {text.percent(own.share)}{side}{where}", False


def _odds(heads: list[Head]) -> list[Tile]:
    """Tile of the heads whose weights are probabilities."""
    odds = total_odds(heads)
    if not odds or not odds.suspects:
        return []
    found = any(head.losses.found for head in heads)
    missed = f"; {text.count(odds.missed)} wrong labels missed" if found else ""
    return [(text.count(odds.false_alarms), f"expected false alarms{missed}", False)]


def _chance(heads: list[Head]) -> list[Tile]:
    """Tile of the heads with a threshold."""
    by_threshold = judged_by_threshold(heads)
    chance = by_chance(by_threshold)
    if not chance[0] > 0:
        return []
    shown = dict.fromkeys(text.count(number) for number in chance)  # one number, if they look the same
    where = "" if len(by_threshold) == len(heads) else f" ({text.of_many(len(by_threshold), 'head')} with a threshold)"
    return [(f" {text.DASH} ".join(shown), f"by chance, were all labels right{where}", False)]
