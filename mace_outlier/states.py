"""What became of a configuration: the column `state` of a table, which log, report and export read. No torch.

A run notes in place of a loss why there is none; what follows from that is in `weights.whose_fault`.
"""

import numpy as np
import pandas

JUDGED = ""  # by its loss; or not seen yet
UNUSED = "nothing to judge by"  # no label of it has a weight: it is 0 in the file, or the label is missing
LABEL = "label not finite"
GEOMETRY = "impossible geometry"  # two atoms on the same place, or a position that is no number: never trained on
LOSS = "loss not finite"  # nor is the prediction, as a rule; the model was finite for others
MODEL = "model not finite"  # and so nothing is known of the label: weight and errors are those of before
STATES = (JUDGED, UNUSED, LABEL, GEOMETRY, LOSS, MODEL)
SET_ASIDE = (LABEL, GEOMETRY, LOSS)  # these have weight 0
ASIDE = tuple(STATES.index(state) for state in SET_ASIDE)  # their codes: places in STATES

# in place of a loss; for the last two see `weights.whose_fault`
NO_LABEL, NO_GEOMETRY, NO_LOSS = np.nan, -np.inf, np.inf


def were_seen(table: pandas.DataFrame) -> np.ndarray:
    """Mask (N,) of the configurations of which something is known."""
    return np.asarray((table["times_seen"] > 0) | (table["last_epoch"] >= 0) | (table["weight"] < 1))


def with_states(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return a table that has the column, of an older one by its losses."""
    if "state" in table:
        return table
    seen, loss = were_seen(table), table["loss"].to_numpy(dtype=float)
    states = np.select([seen & ~np.isfinite(loss), seen & (loss == 0)], [LABEL, UNUSED], JUDGED)
    return table.assign(state=states.astype(object))
