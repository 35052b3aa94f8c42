"""What became of a configuration: the column `state` of a table, which log, report and export read. No torch."""

import numpy as np
import pandas

JUDGED = ""  # by its loss; or not seen yet
UNUSED = "nothing to judge by"  # no label of it has a weight: it is 0 in the file, or the label is missing
STATES = (JUDGED, UNUSED)


def state_codes(losses: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the place in STATES of each configuration (N,), by its loss and whether it was seen."""
    return (seen & (losses == 0)).astype(np.uint8)


def with_states(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return a table that has the column, of an older one by its losses."""
    if "state" in table:
        return table
    seen = (table["times_seen"] > 0) | (table["last_epoch"] >= 0) | (table["weight"] < 1)
    return table.assign(state=np.array(STATES, dtype=object)[state_codes(table["loss"].to_numpy(), seen.to_numpy())])
