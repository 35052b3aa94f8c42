"""The numbers at the head of the page."""

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
    tiles += _populations(summary) + _chance(summary.heads)
    if summary.suspects:
        flagged = len(groups.warnings)
        tiles.append(
            (f"{flagged:,}", "group over-represented" if flagged == 1 else "groups over-represented", flagged > 0)
        )
    if truth:
        tiles.append((text.fixed(truth.all.auroc_weight, 4), "AUROC of 1 - weight", False))
    return tiles


def _populations(summary: Summary) -> list[Tile]:
    """Tiles of the heads whose populations were fitted."""
    heads = summary.heads
    fitted, two = [head for head in heads if head.losses.fit], [head for head in heads if head.losses.two]
    tiles = []
    if two:
        share = sum(head.wrong for head in two) / max(sum(head.judged for head in two), 1)
        where = f"{summary.trained}labels wrong by the fit: {text.percent(share)}"
        if len(heads) > 1:
            where += f", in {text.of_many(len(two), 'head')} with wrong labels"
        tiles.append((text.count(round(sum(head.wrong for head in two))), where, False))
    elif fitted:
        tiles.append(("1", "population: no sign of a second kind of labels", False))
    odds = total_odds(heads)
    if odds and odds.suspects:
        missed = f"; {text.count(odds.missed)} wrong labels missed" if two else ""
        tiles.append((text.count(odds.false_alarms), f"expected false alarms{missed}", False))
    return tiles


def _chance(heads: list[Head]) -> list[Tile]:
    """Tile of the heads with a threshold."""
    by_threshold = judged_by_threshold(heads)
    chance = by_chance(by_threshold)
    if not chance[0] > 0:
        return []
    shown = dict.fromkeys(text.count(number) for number in chance)  # one number, if they look the same
    where = "" if len(by_threshold) == len(heads) else f" ({text.of_many(len(by_threshold), 'head')} with a threshold)"
    return [(f" {text.DASH} ".join(shown), f"by chance, were all labels right{where}", False)]
