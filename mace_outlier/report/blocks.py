"""Blocks of consecutive frames of a file: a trajectory or a batch of calculations, wrong or hard as a whole."""

import numpy as np
import pandas
from numpy.typing import NDArray

BLOCK = 10  # frames


def codes_of_blocks(table: pandas.DataFrame) -> tuple[NDArray[np.int64], pandas.DataFrame]:
    """Codes (N,) of the blocks of configurations; of each block its `source` (a code) and `block` number."""
    source = table["source"].cat.codes.to_numpy().astype(np.int64)
    block = table["frame"].to_numpy().astype(np.int64).clip(min=0) // BLOCK
    width = int(block.max(initial=0)) + 1
    keys, codes = np.unique(source * width + block, return_inverse=True)
    return codes, pandas.DataFrame({"source": keys // width, "block": keys % width})


def runs_of_blocks(flagged: pandas.DataFrame, sources: list[str], folder: str) -> pandas.DataFrame:
    """Flagged blocks that follow one another in a file, as one, named by their frames; shares and weights as before.

    `flagged`: counts, p_value, source and block, in the order of blocks. `folder` is left out of the names of files.
    """
    follows = (flagged["source"].diff() == 0) & (flagged["block"].diff() == 1)
    runs = flagged.groupby((~follows).cumsum(), sort=False)
    merged = runs[["members", "suspects", "nonfinite", "weight"]].sum()
    first, last = BLOCK * runs["block"].min(), BLOCK * runs["block"].max() + BLOCK - 1
    files = [sources[code].removeprefix(folder) for code in runs["source"].first()]
    merged.index = pandas.Index(
        [f"{file}, frames {a:,} to {b:,}" for file, a, b in zip(files, first, last, strict=True)], dtype=object
    )
    merged["p_value"], merged["flagged"] = runs["p_value"].min().to_numpy(), True
    merged["share"] = merged["suspects"] / merged["members"]
    merged["mean_weight"] = merged["weight"] / merged["members"]
    return merged
