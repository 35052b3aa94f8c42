"""What it costs that the optimiser remembers wrong labels that have lost their weight."""

import pandas
from readme_tables import markdown
from real_bars import RATIOS
from real_cells import KEPT, OF_MOMENTS
from real_scatter import with_scatter

ARMS = {KEPT: "kept", "ema_robust": "renewed"}
SHOWN = ("energy_ratio", "force_ratio")


def moments(rows: pandas.DataFrame) -> str:
    """Markdown: errors over the oracle's, with the moments of Adam kept and renewed, of the seeds that have both."""
    lines = []
    for name, own in rows[(rows.fault == OF_MOMENTS) & (rows.train == "forces")].groupby("set", sort=False):
        of_arm = {arm: own[own.arm == arm].set_index("seed") for arm in ARMS}
        seeds = of_arm[KEPT].index.intersection(of_arm["ema_robust"].index)
        if len(seeds):
            cells = [with_scatter(of_arm[arm].loc[seeds, ratio]) for ratio in SHOWN for arm in ARMS]
            lines.append([str(name), *cells, str(len(seeds))])
    head = [f"{RATIOS[ratio]}: {arm}" for ratio in SHOWN for arm in ARMS.values()]
    return markdown(["data", *head, "seeds"], lines)
