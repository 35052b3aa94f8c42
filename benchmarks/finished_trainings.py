"""What the finished trainings of a benchmark measured, beside their oracle's errors.

Trainings lie in `build/`, which a checkout doesn't share with the next one; what they measured is committed as
`trainings.csv`. So a row of that table counts as finished until the training is run again here.
"""

import json
from pathlib import Path

import pandas
from demo_arms import RESULT_FILE, Training
from source_commit import gives_these_weights

UNTOUCHED = r"(weighted|universal|l1l2|oracle|refinement|landed)\b"  # arms that the present code has no part in
BEFORE = "ed20af0"  # as the plugin was before the present judgement: some arms are trained by it on purpose
REFINED = "refinement, round "  # and its number: arm of iterative refinement
NAMES = {  # of the arms in tables; each benchmark names its oracle
    "weighted": "stock `weighted`",
    "universal": "stock `universal`",
    "published": "`ema_robust`, as published",
    "landed": "`ema_robust` of 0.1.0",
    "default": "**`ema_robust`**",
    **{f"{REFINED}{number}": f"refinement, {number + 1} trainings" for number in (1, 2, 3)},
}
WHICH = ["arm", "kind", "share", "seed"]  # training of a benchmark


def finished_trainings(runs: Path, committed: Path, which: list[str] = WHICH) -> pandas.DataFrame:
    """One row for each finished training: those in a folder of folders of arms, else those of a committed table."""
    found = [json.loads(path.read_text()) for path in sorted(runs.glob(f"*/*/{RESULT_FILE}"))]
    own = pandas.DataFrame([{name: value for name, value in one.items() if name != "key"} for one in found])
    earlier = pandas.read_csv(committed, dtype={"commit": str}) if committed.exists() else pandas.DataFrame()
    rows = pandas.concat([_named_by_round(some) for some in (own, earlier) if len(some)], ignore_index=True)
    return rows.drop_duplicates(which, keep="first", ignore_index=True)


def _named_by_round(rows: pandas.DataFrame) -> pandas.DataFrame:
    if "round" in rows:
        refined = rows["round"].notna()
        rows.loc[refined, "arm"] = [f"{REFINED}{int(number)}" for number in rows.loc[refined, "round"]]
    return rows


def is_committed(training: Training, committed: Path, arm: str | None = None) -> bool:
    """Whether a committed table has a training, or another `arm` of its data (named KIND-SHARE-seed-SEED)."""
    kind, share = training.data.name.split("-")[:2]
    return (arm or training.arm, kind, float(share), training.seed) in committed_trainings(committed)


def committed_trainings(committed: Path, which: list[str] = WHICH, by_any_code: bool = False) -> set[tuple]:
    """Arm, kind, share and seed (or other columns) of those trainings of a committed table that hold, or of all."""
    if not committed.exists():
        return set()
    rows = _named_by_round(pandas.read_csv(committed, dtype={"commit": str}))
    return set(rows.loc[by_any_code | holding(rows), which].itertuples(index=False, name=None))


def holding(rows: pandas.DataFrame) -> pandas.Series:
    """Mask of the trainings that hold: by code that weighs as that here, by none of ours, or by what was BEFORE."""
    which = list(rows[["commit", "arm"]].itertuples(index=False, name=None))
    present = {(commit, arm): commit == BEFORE or gives_these_weights(str(commit), arm) for commit, arm in set(which)}
    return rows["arm"].str.match(UNTOUCHED) | pandas.Series([present[one] for one in which], rows.index, dtype=bool)


def over_the_oracle(rows: pandas.DataFrame, same: str | None, ratios: dict[str, str]) -> pandas.DataFrame:
    """Add ratios to the oracle's errors (of clean data: the stock training's), named by `ratios`.

    The oracle is that of the same share and seed, and of the same value in the column `same`.
    """
    of = [*([same] if same else []), "share", "seed"]
    rows = rows.drop(columns=list(ratios.values()), errors="ignore")  # of an earlier table
    best = rows[(rows.arm == "oracle") | ((rows.share == 0) & (rows.arm == "weighted"))]
    rows = rows.merge(best[[*of, *ratios]], on=of, how="left", suffixes=("", "_oracle"))
    for metric, name in ratios.items():
        rows[name] = rows[metric] / rows.pop(f"{metric}_oracle")
    return rows
