"""What the finished trainings of a benchmark measured, beside their oracle's errors."""

import json
from pathlib import Path

import pandas
from demo_arms import RESULT_FILE

REFINED = "refinement, round "  # and its number: arm of iterative refinement


def finished_trainings(runs: Path) -> pandas.DataFrame:
    """One row for each finished training in a folder of folders of arms."""
    found = [json.loads(path.read_text()) for path in sorted(runs.glob(f"*/*/{RESULT_FILE}"))]
    rows = pandas.DataFrame([{name: value for name, value in one.items() if name != "key"} for one in found])
    if "round" in rows:
        refined = rows["round"].notna()
        rows.loc[refined, "arm"] = [f"{REFINED}{int(number)}" for number in rows.loc[refined, "round"]]
    return rows


def over_the_oracle(rows: pandas.DataFrame, same: str | None, ratios: dict[str, str]) -> pandas.DataFrame:
    """Add ratios to the oracle's errors (of clean data: the stock training's), named by `ratios`.

    The oracle is that of the same share and seed, and of the same value in the column `same`.
    """
    of = [*([same] if same else []), "share", "seed"]
    best = rows[(rows.arm == "oracle") | ((rows.share == 0) & (rows.arm == "weighted"))]
    rows = rows.merge(best[[*of, *ratios]], on=of, how="left", suffixes=("", "_oracle"))
    for metric, name in ratios.items():
        rows[name] = rows[metric] / rows.pop(f"{metric}_oracle")
    return rows
